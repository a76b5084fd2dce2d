//! An outgoing request, and its extensions.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::{HeaderMap, Method};
use throughline::propagation::SendBaggage;

use crate::server::Entered;

/// The template of a request's URL, such as `/orders/{order_no}`, as an extension of the request.
///
/// The span is then named `GET /orders/{order_no}`, so templates must have low cardinality. For clients whose requests
/// have no extensions, use [`ClientLayer::url_template`](super::ClientLayer::url_template).
///
/// ```
/// use throughline_http::UrlTemplate;
///
/// let request = http::Request::get("http://orders.internal/orders/1001")
///     .extension(UrlTemplate("/orders/{order_no}".into()))
///     .body(())
///     .unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UrlTemplate(pub Cow<'static, str>);

/// Counts the attempts of a request, as an extension of the request, which a retry policy clones with it.
///
/// The spans of all attempts but the first have the attribute `http.request.resend_count`. For clients whose requests
/// have no extensions, use [`ClientLayer::attempts`](super::ClientLayer::attempts).
///
/// ```
/// use throughline_http::Attempts;
///
/// let request = http::Request::get("http://orders.internal/").extension(Attempts::new()).body(()).unwrap();
/// ```
#[derive(Debug, Clone, Default)]
pub struct Attempts(Arc<AtomicU32>);

impl Attempts {
    /// Creates a counter that starts at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of attempts so far.
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// An outgoing request, for clients that are not tower services: the data that
/// [`ClientLayer::start`](super::ClientLayer::start) records, and the headers into which it injects the context.
#[derive(Debug)]
#[must_use = "a request does nothing until a layer starts its span"]
pub struct Outgoing<'a> {
    pub(super) method: &'a Method,
    pub(super) target: Target<'a>,
    pub(super) template: Option<&'a str>,
    pub(super) attempts: Option<&'a Attempts>,
    pub(super) baggage: Option<&'a SendBaggage>,
    /// Set if the request was received by this process and is forwarded.
    pub(super) received: Option<&'a Entered>,
    pub(super) headers: &'a mut HeaderMap,
}

impl<'a> Outgoing<'a> {
    /// Creates a request. The context is injected into `headers`.
    pub fn new(method: &'a Method, target: Target<'a>, headers: &'a mut HeaderMap) -> Self {
        Self { method, target, template: None, attempts: None, baggage: None, received: None, headers }
    }

    /// Sets the template of the URL; see [`UrlTemplate`]. It takes precedence over that of the layer.
    pub fn url_template(mut self, template: &'a str) -> Self {
        self.template = Some(template);
        self
    }

    /// Sets the counter for the attempts of this request. It takes precedence over that of the layer.
    pub fn attempts(mut self, attempts: &'a Attempts) -> Self {
        self.attempts = Some(attempts);
        self
    }

    /// Restricts the baggage that is sent, in addition to the restrictions of the layer and the propagator.
    pub fn send_baggage(mut self, baggage: &'a SendBaggage) -> Self {
        self.baggage = Some(baggage);
        self
    }
}

/// The target of a request. Unknown parts are `None`; a client that only receives a path knows neither scheme nor
/// authority.
#[derive(Debug, Clone, Copy, Default)]
pub struct Target<'a> {
    /// `http` or `https`.
    pub scheme: Option<&'a str>,
    /// Host and port as in the URL, including credentials, which are not recorded.
    pub authority: Option<&'a str>,
    /// The host. An IPv6 address may be in brackets.
    pub host: Option<&'a str>,
    /// The port, if specified.
    pub port: Option<u16>,
    /// The path.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: Option<&'a str>,
}
