//! The error that a request has failed of, for whoever answers it.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::Context;

use crate::context::data::ContextExt as _;

/// The last error that a span below has recorded: what an integration names as the cause of an answer that
/// only says `502`.
///
/// Put it into the context of a request as an [extension](crate::ContextExt::with_extension), and
/// [take](Self::take) the text from a clone when the answer is there. Only the texts of errors that may be
/// recorded are in it (see [`set_error_text`](crate::set_error_text)). In a trace that is not sampled, spans
/// record nothing; an integration may [`note`](Self::note) what it knows.
///
/// ```
/// use throughline::{Context, ContextExt as _, LastError};
///
/// let last_error = LastError::new();
/// let context = Context::new().with_extension(last_error.clone());
/// LastError::note(&context, "Connection refused");
/// assert_eq!(last_error.take().as_deref(), Some("Connection refused"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct LastError(Arc<Mutex<Option<String>>>);

impl LastError {
    /// No error yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the text out.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Tells whoever watches `context`, if somebody does, of an error.
    pub fn note(context: &Context, text: &str) {
        if let Some(watching) = context.extension::<Self>() {
            *watching.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
        }
    }
}
