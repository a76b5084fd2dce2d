//! The fields of a span.

use std::error::Error;
use std::fmt::Debug;

use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _};
use opentelemetry::{KeyValue, Value};
use tracing::field::{Field, Visit};

use super::entry::On;
use crate::guard::panics::caught;
use crate::log::span_events::source_texts;
use crate::redact::error_text;
use crate::tags::value::{TagValue, debug, text, within_bounds};

/// Records fields on a span.
pub(super) struct Fields<'a> {
    on: On<'a>,
    /// The status that the fields set.
    code: Option<Code>,
    description: Option<String>,
}

#[derive(Clone, Copy)]
enum Code {
    Unset,
    Ok,
    Error,
}

impl<'a> Fields<'a> {
    pub(super) fn new(on: On<'a>) -> Self {
        Self { on, code: None, description: None }
    }

    /// Sets the status, if the fields have one.
    pub(super) fn finish(self) {
        let status = match (self.code, self.description) {
            (None, None) => return,
            (Some(Code::Ok), _) => Status::Ok,
            (Some(Code::Unset), _) => Status::Unset,
            (Some(Code::Error) | None, description) => Status::error(description.unwrap_or_default()),
        };
        match self.on {
            On::Unstarted(span) => span.set_status(status),
            On::Started(context) => context.span().set_status(status),
        }
    }

    /// Sets a value that need not be copied if the span is encoded.
    fn scalar(&mut self, field: &Field, value: &(impl TagValue + ?Sized)) {
        let key = key(field);
        match &mut self.on {
            On::Unstarted(span) => span.set_ref(key, &value),
            On::Started(context) => {
                if let Some(value) = caught(|| value.tag_value()).flatten() {
                    context.span().set_attribute(KeyValue::new(key, within_bounds(value)));
                }
            }
        }
    }

    fn value(&mut self, key: &'static str, value: impl FnOnce() -> Value) {
        match &mut self.on {
            On::Unstarted(span) => span.set(key, value),
            On::Started(context) => {
                let value = within_bounds(value());
                context.span().set_attribute(KeyValue::new(key, value));
            }
        }
    }

    /// Handles the fields `otel.*`. Returns `false` for any other field.
    fn special(&mut self, field: &Field, value: &dyn Fn() -> String) -> bool {
        let Some(name) = field.name().strip_prefix("otel.") else { return false };
        match name {
            "name" => match &mut self.on {
                On::Unstarted(span) => span.set_name(value()),
                On::Started(context) => context.span().update_name(value()),
            },
            "kind" => {
                if let (On::Unstarted(span), Some(kind)) = (&mut self.on, kind(&value())) {
                    span.set_kind(kind);
                }
            }
            "status_code" => self.code = Some(code(&value())),
            "status_description" | "status_message" => self.description = Some(value()),
            _ => return false,
        }
        true
    }
}

/// The name of a field without the prefix of a raw identifier.
fn key(field: &Field) -> &'static str {
    field.name().strip_prefix("r#").unwrap_or(field.name())
}

fn kind(text: &str) -> Option<SpanKind> {
    let kinds = [
        ("server", SpanKind::Server),
        ("client", SpanKind::Client),
        ("producer", SpanKind::Producer),
        ("consumer", SpanKind::Consumer),
        ("internal", SpanKind::Internal),
    ];
    kinds.into_iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, kind)| kind)
}

fn code(text: &str) -> Code {
    if text.eq_ignore_ascii_case("ok") {
        Code::Ok
    } else if text.eq_ignore_ascii_case("error") {
        Code::Error
    } else {
        Code::Unset
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if !self.special(field, &|| text(format_args!("{value:?}"))) {
            self.value(key(field), || debug(value));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if !self.special(field, &|| text(format_args!("{value}"))) {
            self.scalar(field, value);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.scalar(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.scalar(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.scalar(field, &value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.scalar(field, &value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.scalar(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.scalar(field, &value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let Some(text) = error_text::of(format_args!("{value}")) else { return };
        self.value(key(field), || Value::from(text));
        let Some(sources) = source_texts(value) else { return };
        let chain = KeyValue::new(format!("{}.chain", key(field)), sources);
        match &mut self.on {
            On::Unstarted(span) => span.set_unchanged(chain),
            On::Started(context) => context.span().set_attribute(chain),
        }
    }
}
