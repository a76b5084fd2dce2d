//! Header maps as carriers, and as origins.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Request, request};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector};
use throughline::text::header_value;
use throughline::{Origin, propagation};

/// The maximum number of values read for one header; no format has a use for more.
const MAX_VALUES: usize = 64;

/// A header map as a carrier to extract a context from. A header may occur more than once. A value that is not UTF-8 is
/// treated as invalid, not as absent.
///
/// ```
/// use http::HeaderMap;
/// use throughline_http::Headers;
/// use throughline::propagation;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap());
/// let context = propagation::extract(&Headers(&headers));
/// # use opentelemetry::trace::TraceContextExt;
/// # assert!(context.span().span_context().is_sampled());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a>(pub &'a HeaderMap);

fn text(value: &HeaderValue) -> &str {
    header_value(value.as_bytes())
}

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(text)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values: Vec<_> = self.0.get_all(key).iter().take(MAX_VALUES).map(text).collect();
        (!values.is_empty()).then_some(values)
    }
}

/// A header map as a carrier to inject a context into. Existing headers are replaced, and the `tracestate` of another
/// `traceparent` is removed. Headers that are invalid or do not fit into the map are omitted.
///
/// ```
/// use http::HeaderMap;
/// use throughline_http::HeadersMut;
/// use throughline::propagation;
///
/// let mut headers = HeaderMap::new();
/// throughline::in_span("send", || propagation::inject(&mut HeadersMut(&mut headers)));
/// ```
#[derive(Debug)]
pub struct HeadersMut<'a>(pub &'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) else { return };
        if key == "traceparent" {
            self.0.remove("tracestate");
        }
        // It fails if the map is full, where `insert` panics.
        let _ = self.0.try_insert(name, value);
    }
}

/// Marks the implementations of [`Origin`] for [`HeaderMap`], [`Request`] and [`Parts`](request::Parts), which can be
/// used in `parent = …`, `link = …` and `links = …`. It is inferred and never has to be specified.
#[derive(Debug)]
pub enum Http {}

impl Origin<Http> for HeaderMap {
    fn origin(&self) -> Context {
        propagation::extract(&Headers(self))
    }
}

impl Origin<Http> for request::Parts {
    fn origin(&self) -> Context {
        self.headers.origin()
    }
}

impl<B> Origin<Http> for Request<B> {
    fn origin(&self) -> Context {
        self.headers().origin()
    }
}
