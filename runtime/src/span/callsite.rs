//! Constant properties of a traced function.

use std::panic::Location;

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;

#[cfg(feature = "sdk")]
use crate::encoding::code::CodeAttributes;
use crate::semconv;

/// Properties of a function that are known at compile time: the name and kind of its span, and its source location.
///
/// Generated code builds it in a `const`, so it costs nothing at run time.
#[derive(Debug)]
pub struct Callsite {
    pub(crate) name: &'static str,
    pub(crate) kind: SpanKind,
    /// Whether cancellation is recorded.
    pub(crate) cancel: bool,
    /// Whether errors are logged.
    pub(crate) log: bool,
    /// Whether there are tags for the spans below.
    pub(crate) has_scoped_tags: bool,
    function: Option<&'static str>,
    #[cfg(feature = "sdk")]
    code: CodeAttributes,
    pub(crate) place: Option<&'static Location<'static>>,
}

impl Callsite {
    /// The callsite of the function with the path `function`, located at the caller.
    #[track_caller]
    pub const fn new(name: &'static str, function: &'static str) -> Self {
        Self {
            #[cfg(feature = "sdk")]
            code: CodeAttributes::new(name, function, Location::caller()),
            name,
            kind: SpanKind::Internal,
            cancel: true,
            log: false,
            has_scoped_tags: false,
            function: Some(function),
            place: Some(Location::caller()),
        }
    }

    /// A callsite without a function and without a source location.
    pub(crate) const fn nowhere() -> Self {
        Self {
            name: "",
            kind: SpanKind::Internal,
            cancel: true,
            log: false,
            has_scoped_tags: true,
            function: None,
            #[cfg(feature = "sdk")]
            code: CodeAttributes::NONE,
            place: None,
        }
    }

    /// Sets the span kind.
    #[must_use]
    pub const fn kind(mut self, kind: SpanKind) -> Self {
        self.kind = kind;
        self
    }

    /// Does not record cancellation.
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

    /// Evaluates tags even if the span is not recorded, as far as callees need them.
    #[must_use]
    pub const fn with_scoped_tags(mut self) -> Self {
        self.has_scoped_tags = true;
        self
    }

    /// The attributes that describe the source code, with spare capacity for tags. `place` is the location of a code
    /// block, which has no callsite of its own.
    ///
    /// `code.*` follows the semantic conventions for source code.
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

    /// The same, encoded at compile time.
    #[cfg(feature = "sdk")]
    #[inline]
    pub(crate) fn code(&self) -> &CodeAttributes {
        &self.code
    }
}

/// The number of attributes that describe a function.
const ATTRIBUTES: usize = 3;

/// Spare capacity for the tags of a function, to avoid reallocation.
const TYPICAL_TAGS: usize = 3;
