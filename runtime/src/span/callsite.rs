//! Const facts of one instrumented function.

use std::panic::Location;

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;

use crate::semconv;

/// What is known of a function before it runs: its span's name and kind, and where it stands in
/// the source.
///
/// Built in a `const` by generated code, so that none of it costs anything when the function runs.
#[derive(Debug)]
pub struct Callsite {
    pub(crate) name: &'static str,
    pub(crate) kind: SpanKind,
    /// Whether a drop half-way is recorded.
    pub(crate) cancel: bool,
    /// Whether an error is logged.
    pub(crate) log: bool,
    function: Option<&'static str>,
    pub(crate) place: Option<&'static Location<'static>>,
}

impl Callsite {
    /// The facts of the function `function` (its full path); the place is that of the caller.
    #[track_caller]
    pub const fn new(name: &'static str, function: &'static str) -> Self {
        Self {
            name,
            kind: SpanKind::Internal,
            cancel: true,
            log: false,
            function: Some(function),
            place: Some(Location::caller()),
        }
    }

    /// No function, and no place in the source.
    pub(crate) const fn nowhere() -> Self {
        Self { name: "", kind: SpanKind::Internal, cancel: true, log: false, function: None, place: None }
    }

    /// Sets the span kind.
    #[must_use]
    pub const fn kind(mut self, kind: SpanKind) -> Self {
        self.kind = kind;
        self
    }

    /// A drop half-way is nothing to record.
    #[must_use]
    pub const fn cancel_off(mut self) -> Self {
        self.cancel = false;
        self
    }

    /// Logs the errors of the function.
    #[must_use]
    pub const fn log(mut self) -> Self {
        self.log = true;
        self
    }

    /// The attributes that every span has, with room for those of its function. `place` is that of a block of
    /// code, which has no callsite of its own.
    ///
    /// `code.*` is by the semantic conventions for source code.
    pub(crate) fn described(&self, place: Option<&'static Location<'static>>) -> Vec<KeyValue> {
        let mut attributes = Vec::with_capacity(ATTRIBUTES + TYPICAL_TAGS);
        if let Some(function) = self.function {
            attributes.push(KeyValue::new(semconv::CODE_FUNCTION_NAME, function));
        }
        if let Some(place) = self.place.or(place) {
            attributes.push(KeyValue::new(semconv::CODE_FILE_PATH, place.file()));
            attributes.push(KeyValue::new(semconv::CODE_LINE_NUMBER, i64::from(place.line())));
        }
        attributes
    }
}

/// How many attributes describe a function.
const ATTRIBUTES: usize = 3;

/// Room for the tags of one function, so that they are allocated once.
const TYPICAL_TAGS: usize = 3;
