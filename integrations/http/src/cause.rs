//! The causes of failed requests: the errors of calls, and the cause that a handler provides.

use std::any::Any;
use std::error::Error;
use std::fmt::{self, Display};
use std::sync::Arc;

use throughline::redact;

/// The cause of a server error, provided by a handler in the [extensions](http::Extensions) of the response.
///
/// In a response with a status of 500 or above, it is recorded as the description of the server span's status, as an
/// `exception` event on the span, and as the `error` of the log event that [`ServerLayer`](crate::ServerLayer) emits.
/// In other responses, it is ignored. It is never sent to the caller.
///
/// With the feature `axum`, it can be part of a response tuple:
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::http::StatusCode;
/// use axum::response::IntoResponse;
/// use throughline_http::Cause;
///
/// async fn stock() -> Result<String, impl IntoResponse> {
///     let asked: std::io::Result<String> = Err(std::io::ErrorKind::ConnectionRefused.into());
///     asked.map_err(|error| (StatusCode::BAD_GATEWAY, Cause::from_error(&error), "the warehouse does not answer"))
/// }
/// # let _ = stock;
/// # }
/// ```
///
/// Without a `Cause`, the last error recorded by a span below the request is used, such as that of a `#[traced]`
/// function or of a call to another service. A handler that recovered from that error and fails for another reason
/// should provide a `Cause`.
#[derive(Debug, Clone)]
pub struct Cause(Arc<str>);

impl Cause {
    /// Creates a cause from an error, with its sources. The text is redacted like that of every error; see
    /// [`set_error_text`](throughline::set_error_text).
    pub fn from_error(error: &(dyn Error + 'static)) -> Self {
        Self(redact::error(error).unwrap_or_default().into())
    }

    /// Creates a cause from a description, which is redacted like the text of an error.
    pub fn new(text: impl Display) -> Self {
        Self(redact::text(text).unwrap_or_default().into())
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponseParts for Cause {
    type Error = std::convert::Infallible;

    fn into_response_parts(
        self,
        mut parts: axum::response::ResponseParts,
    ) -> Result<axum::response::ResponseParts, Self::Error> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

/// An empty response, for `(StatusCode::BAD_GATEWAY, Cause::from_error(&error))`.
#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Cause {
    fn into_response(self) -> axum::response::Response {
        (self, ()).into_response()
    }
}

type AsError = fn(&dyn Any) -> Option<&(dyn Error + 'static)>;

fn as_error<E: Error + 'static>(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    error.downcast_ref::<E>().map(|error| error as _)
}

/// The types of errors whose sources are described, besides those that [`redact::any_error`] knows. The error of a
/// service is only required to implement `Display`.
#[derive(Clone, Default)]
pub(crate) struct Causes(Vec<AsError>);

impl Causes {
    pub(crate) fn add<E: Error + 'static>(&mut self) {
        self.0.push(as_error::<E>);
    }

    /// The text of an error, with its sources if its type is known.
    pub(crate) fn describe<E: Display + 'static>(&self, error: &E) -> String {
        const KNOWN: &[AsError] = &[
            as_error::<hyper_util::client::legacy::Error>,
            #[cfg(feature = "axum")]
            as_error::<axum::Error>,
        ];
        let known = KNOWN.iter().chain(&self.0).find_map(|as_error| as_error(error));
        known.map_or_else(|| redact::any_error(error), redact::error).unwrap_or_default()
    }
}

impl fmt::Debug for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Causes").finish_non_exhaustive()
    }
}
