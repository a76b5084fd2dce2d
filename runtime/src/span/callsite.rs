//! Const facts of one instrumented function.

use std::panic::Location;

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;

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
        let mut callsite = Self::block(name);
        callsite.function = Some(function);
        callsite
    }

    /// The facts of a block of code, which has no path of its own.
    #[track_caller]
    pub(crate) const fn block(name: &'static str) -> Self {
        Self {
            name,
            kind: SpanKind::Internal,
            cancel: true,
            log: false,
            function: None,
            place: Some(Location::caller()),
        }
    }

    /// The facts of a span that a transport opens: there is no code of the user's to point at.
    #[cfg(any(feature = "propagation", feature = "sql"))]
    #[cfg_attr(not(feature = "full"), allow(dead_code, reason = "each transport uses some of it"))]
    pub(crate) const fn transport(name: &'static str, kind: SpanKind) -> Self {
        Self { name, kind, cancel: true, log: false, function: None, place: None }
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

    /// How many attributes [`Callsite::describe`] adds at most.
    pub(crate) const ATTRIBUTES: usize = 3;

    /// Adds `code.*`, by the semantic conventions for source code. Does not allocate beyond
    /// `attributes` itself.
    pub(crate) fn describe(&self, attributes: &mut Vec<KeyValue>) {
        if let Some(function) = self.function {
            attributes.push(KeyValue::new("code.function.name", function));
        }
        if let Some(place) = self.place {
            attributes.push(KeyValue::new("code.file.path", place.file()));
            attributes.push(KeyValue::new("code.line.number", i64::from(place.line())));
        }
    }
}
