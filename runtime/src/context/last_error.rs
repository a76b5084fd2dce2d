//! The most recent error below a request, for the code that produces the response.

use std::sync::{Mutex, PoisonError};

use opentelemetry::Context;

use crate::context::extensions::ContextExt as _;

/// The text of the last error recorded by a span below.
///
/// Integrations use it to report the cause of a response that contains only a status such as `502`.
///
/// Add it to a request's context as an [extension](crate::ContextExt::with_extension), and [take](Self::take) the
/// text once the response is ready. It holds only error text that may be recorded (see
/// [`set_error_text`](crate::set_error_text)). Spans of traces that are not sampled record nothing; an integration
/// can still [`note`](Self::note) an error there.
///
/// ```
/// use throughline::{Context, ContextExt as _, LastError};
///
/// let context = Context::new().with_extension(LastError::new());
/// let last_error = context.extension::<LastError>().expect("it was set");
/// LastError::note(&context, "Connection refused");
/// assert_eq!(last_error.take().as_deref(), Some("Connection refused"));
/// ```
#[derive(Debug, Default)]
pub struct LastError(Mutex<Option<String>>);

impl LastError {
    /// Creates an empty slot.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the text of the last error, and leaves the slot empty.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Stores the text of an error in the slot of `context`, if it has one.
    pub fn note(context: &Context, text: &str) {
        if let Some(slot) = context.extension::<Self>() {
            *slot.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
        }
    }
}
