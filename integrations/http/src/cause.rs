//! Why a request has failed: from the error of a call to the answer that it has led to.

use std::any::Any;
use std::error::Error;
use std::fmt::{self, Display};
use std::io;
use std::sync::Arc;

use throughline::redact;

/// Why a handler answers with a failure. In the [extensions](http::Extensions) of a response with a
/// status of 500 and above it becomes the description of the server span's status, an `exception` event on
/// the span, and the `error` of the event that [`ServerLayer`](crate::ServerLayer) writes. In other responses it
/// means nothing. It is not part of what the caller gets.
///
/// With axum (feature `axum`) it stands among the parts of a response:
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::http::StatusCode;
/// use axum::response::IntoResponse;
/// use throughline_http::Cause;
///
/// async fn stock() -> Result<String, impl IntoResponse> {
///     let asked: std::io::Result<String> = Err(std::io::ErrorKind::ConnectionRefused.into());
///     asked.map_err(|error| (StatusCode::BAD_GATEWAY, Cause::of(&error), "the warehouse does not answer"))
/// }
/// # let _ = stock;
/// # }
/// ```
///
/// Without it the last error counts that a span below the request's has recorded, `#[traced]` functions and
/// calls to other services alike. A handler that has dealt with that error, and fails for another reason,
/// should say so with a `Cause`.
#[derive(Debug, Clone)]
pub struct Cause(Arc<str>);

impl Cause {
    /// An error, with all that has led to it.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        Self(chain(error).into())
    }

    /// What is known, in words.
    pub fn new(text: impl Display) -> Self {
        Self(self::text(text).into())
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

/// An empty response, for `(StatusCode::BAD_GATEWAY, Cause::of(&error))`.
#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Cause {
    fn into_response(self) -> axum::response::Response {
        (self, ()).into_response()
    }
}

/// The text of an error and of its sources, as far as it may be shown.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    redact::error(error).unwrap_or_default()
}

fn text(of: impl Display) -> String {
    redact::text(of).unwrap_or_default()
}

type AsError = fn(&dyn Any) -> Option<&(dyn Error + 'static)>;

fn as_error<E: Error + 'static>(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    error.downcast_ref::<E>().map(|error| error as _)
}

fn boxed(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    error.downcast_ref::<Box<dyn Error + Send + Sync>>().map(|error| &**error as _)
}

fn boxed_local(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    error.downcast_ref::<Box<dyn Error>>().map(|error| &**error)
}

/// Whose errors can be asked for their causes. Services promise no more than that theirs can be shown, and
/// boxed errors, which are common with tower, are no `Error` themselves.
#[derive(Clone, Default)]
pub(crate) struct Causes(Vec<AsError>);

impl Causes {
    pub(crate) fn add<E: Error + 'static>(&mut self) {
        self.0.push(as_error::<E>);
    }

    /// The text of an error, with its causes if they are known.
    pub(crate) fn describe<E: Display + 'static>(&self, error: &E) -> String {
        const KNOWN: &[AsError] = &[
            as_error::<hyper_util::client::legacy::Error>,
            boxed,
            boxed_local,
            as_error::<io::Error>,
            #[cfg(feature = "axum")]
            as_error::<axum::Error>,
        ];
        let known = KNOWN.iter().chain(&self.0).find_map(|as_error| as_error(error));
        known.map_or_else(|| redact::any_error(error).unwrap_or_default(), chain)
    }
}

impl fmt::Debug for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Causes").finish_non_exhaustive()
    }
}
