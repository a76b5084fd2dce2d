//! Recording attributes and errors on the current span.

use std::any::type_name_of_val;
use std::error::Error;
use std::fmt::{Debug, Display};

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, Key, KeyValue};

use crate::context::current;
use crate::guard::panics::caught;
use crate::redact::error_text::{self, Chain};
use crate::span::outcome::exception;
use crate::tags::value::{DebugValue, DisplayValue, TagValue, within_bounds};

/// Sets an attribute on the current span, for values that become known while the span is open. What is known when the
/// span starts is better set then, as a tag, because samplers see no later attributes.
///
/// The current span is that of OpenTelemetry's `Context`, whichever library started it. If there is none, or if it is
/// not recorded, this does nothing, and `value` is not converted. The attribute applies to this span only; for one
/// that the spans below inherit, use [`in_tags`](crate::in_tags) or [`#[biz_tags]`](macro@crate::biz_tags).
///
/// A value replaces an earlier one of the same key, if `init` set up the tracer provider; the OpenTelemetry SDK keeps
/// both.
///
/// ```
/// use throughline::traced;
///
/// #[traced]
/// fn checkout(prices: &[i64]) -> i64 {
///     let total = prices.iter().sum::<i64>();
///     throughline::record("order.total_cents", total);
///     throughline::record("order.id", throughline::display(format_args!("o-{}", prices.len())));
///     total
/// }
/// # let capture = throughline::testing::Capture::new();
/// # assert_eq!(capture.run(|| checkout(&[1, 2])), 3);
/// # assert_eq!(capture.span("checkout").attribute("order.total_cents"), Some(&throughline::Value::I64(3)));
/// # assert_eq!(capture.span("checkout").attribute("order.id").unwrap().as_str(), "o-2");
/// ```
#[inline]
pub fn record(key: impl Into<Key>, value: impl TagValue) {
    if let Some(context) = recording() {
        set(&context, key.into(), &value);
    }
}

/// Sets several attributes; otherwise like [`record`].
///
/// ```
/// # let (items, currency) = (3, "EUR");
/// throughline::record_all(&[("order.items", &items), ("order.currency", &currency)]);
/// ```
pub fn record_all(facts: &[(&'static str, &dyn TagValue)]) {
    if let Some(context) = recording() {
        for (key, value) in facts {
            set(&context, Key::from_static_str(key), *value);
        }
    }
}

/// Records a handled error as an `exception` event on the current span.
///
/// The event follows OpenTelemetry's semantic conventions, with the type of the error and its text, including that of
/// its sources.
///
/// The span's status and `error.type` are unchanged, because they describe the outcome of the work, and a handled
/// error does not determine that. There is no need to call this for an error that a traced function returns. How much
/// of the text is recorded is controlled by [`set_error_text`](crate::set_error_text).
///
/// If there is no current span, or if it is not recorded, this does nothing.
///
/// For an `anyhow::Error` or a boxed error, pass `&*error`.
///
/// ```
/// use throughline::traced;
///
/// #[traced]
/// fn timeout(setting: &str) -> u32 {
///     setting.parse().unwrap_or_else(|error| {
///         throughline::record_error(&error);
///         30
///     })
/// }
/// # let capture = throughline::testing::Capture::new();
/// # assert_eq!(capture.run(|| timeout("soon")), 30);
/// # assert!(!capture.span("timeout").is_error() && capture.span("timeout").event("exception").is_some());
/// ```
pub fn record_error<E: Error + ?Sized>(error: &E) {
    let Some(context) = recording() else { return };
    // A reference to the reference, because an unsized error cannot become a trait object.
    let message = error_text::of(format_args!("{}", Chain(&error)));
    context.span().add_event("exception", exception(type_name_of_val(error).into(), message.as_deref()));
}

/// Records a value through its `Display` implementation: the function form of `%value`.
///
/// ```
/// # let address = std::path::Path::new("/tmp").display();
/// throughline::record("upload.folder", throughline::display(&address));
/// throughline::span("upload").tag("upload.folder", throughline::display(&address)).run(|| {});
/// ```
pub fn display<T: Display>(value: T) -> DisplayValue<T> {
    DisplayValue(value)
}

/// Records a value through its `Debug` implementation: the function form of `?value`.
///
/// ```
/// # let range = 3..7;
/// throughline::record("upload.range", throughline::debug(&range));
/// ```
pub fn debug<T: Debug>(value: T) -> DebugValue<T> {
    DebugValue(value)
}

/// The current context, if its span is recorded. Cloned, because the conversion of values is application code, which
/// may use the current context.
fn recording() -> Option<Context> {
    let context = current::with(|context| context.has_active_span().then(|| context.clone()))?;
    context.span().is_recording().then_some(context)
}

/// Sets an attribute on the span of `context`, unless computing the value panics.
pub(super) fn set(context: &Context, key: Key, value: &dyn TagValue) {
    if let Some(value) = caught(|| value.tag_value()).flatten() {
        context.span().set_attribute(KeyValue::new(key, within_bounds(value)));
    }
}
