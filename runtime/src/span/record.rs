//! What is learnt while a span is open already.

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

/// Records a fact that was learnt half-way as an attribute of the current span.
///
/// The current span is that of OpenTelemetry's `Context`, whichever library has opened it. Where there is
/// none, or it is not recorded, nothing happens, and `value` is not converted. The attribute is of this
/// span alone; for one that all spans below have, open a span with
/// [`#[biz_tags]`](macro@crate::biz_tags).
///
/// Record each key once: the OpenTelemetry SDK keeps every value it is given. What `throughline::init`
/// sends has the last.
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

/// Records several facts; otherwise like [`record`].
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

/// Records an error that was handled: an `exception` event on the current span, by OpenTelemetry's
/// conventions, with the error's type, and its text followed by those of its sources.
///
/// The status of the span stays as it is, and so does its `error.type`: it tells how the work ended, which
/// an error that was handled does not decide. An error that a traced function returns is recorded without
/// this. What is recorded of the text is for [`set_error_text`](crate::set_error_text) to say.
///
/// Where there is no current span, or it is not recorded, nothing happens.
///
/// For an `anyhow::Error` or a boxed error, write `&*error`.
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
    let message = error_text::of(format_args!("{}", Sources(error)));
    context.span().add_event("exception", exception(type_name_of_val(error).into(), message.as_deref()));
}

/// The value as a tag, through its `Display`: what `%value` is in an attribute.
///
/// ```
/// # let address = std::path::Path::new("/tmp").display();
/// throughline::record("upload.folder", throughline::display(&address));
/// throughline::span("upload").tag("upload.folder", throughline::display(&address)).run(|| {});
/// ```
pub fn display<T: Display>(value: T) -> DisplayValue<T> {
    DisplayValue::new(value)
}

/// The value as a tag, through its `Debug`: what `?value` is in an attribute.
///
/// ```
/// # let range = 3..7;
/// throughline::record("upload.range", throughline::debug(&range));
/// ```
pub fn debug<T: Debug>(value: T) -> DebugValue<T> {
    DebugValue::new(value)
}

/// The current context, if its span is recorded. A clone, because conversions are code of the
/// application's, which may use the current context.
fn recording() -> Option<Context> {
    let context = current::with(|context| context.has_active_span().then(|| context.clone()))?;
    context.span().is_recording().then_some(context)
}

fn set(context: &Context, key: Key, value: &dyn TagValue) {
    if let Some(value) = caught(|| value.tag_value()).flatten() {
        context.span().set_attribute(KeyValue::new(key, within_bounds(value)));
    }
}

/// [`Chain`] takes a trait object, which an unsized error cannot become.
struct Sources<'a, E: ?Sized>(&'a E);

impl<E: Error + ?Sized> Display for Sources<'_, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A reference to an error is one as well, and is sized.
        Chain(&self.0).fmt(f)
    }
}
