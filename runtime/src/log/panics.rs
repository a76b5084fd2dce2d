//! Panics in the log.

use std::borrow::Cow;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;
use std::thread;

use tracing::field::display;

use crate::context::current;
use crate::redact::error_text;
use crate::span::failure::EventFields;

/// Installs a panic hook that logs every panic as an ERROR event of `tracing`, with its trace.
///
/// The event has the target `throughline::panics` and the fields `error` (the panic message, subject to
/// [`set_error_text`](crate::set_error_text)), `error.type` (`panic`), `code.file.path`, `code.line.number` and
/// `thread.name`. The formatters of this [module](crate::log) write the IDs of the current span and the tags on its
/// line, as on every line; if none of them is in use, the event has them as the fields `trace_id`, `span_id` and
/// `throughline.tags`. It is also written in unsampled traces, and without any telemetry set up.
///
/// The hook then calls the previous one. By default that is the standard library's, which prints the message and the
/// location to standard error, regardless of `set_error_text`. To have only the event, replace that hook before this
/// call: `std::panic::set_hook(Box::new(|_| {}))`. A hook that is set later replaces this one, unless it calls it.
/// Calling this function again has no effect.
///
/// # Panics
///
/// Panics if called from a panicking thread, as [`std::panic::set_hook`] does.
///
/// A panic inside a panic hook aborts the process. So a subscriber, or a redaction function, must not panic on such an
/// event.
///
/// ```
/// tracing_subscriber::fmt().event_format(throughline::log::Text::new()).init();
/// throughline::log::panics();
/// ```
pub fn panics() {
    static INSTALLED: Once = Once::new();
    // A call from a panicking thread panics, and must not make later ones panic, too.
    INSTALLED.call_once_force(|_| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            write(info);
            previous(info);
        }));
    });
}

fn write(info: &PanicHookInfo<'_>) {
    let payload = info.payload();
    let message = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref().map(String::as_str));
    let error = error_text::of(format_args!("{}", message.unwrap_or("the panic's payload is not text")));
    let (file, line) = info.location().map(|place| (place.file(), place.line())).unzip();
    let thread = thread::current();
    let name = thread.name().map_or_else(|| Cow::Owned(format!("{:?}", thread.id())), Cow::Borrowed);

    let EventFields { trace_id, span_id, tags } = EventFields::of(&current::get());
    let (trace_id, span_id) = (trace_id.map(display), span_id.map(display));
    tracing::error!(
        target: "throughline::panics",
        error,
        "error.type" = "panic",
        "code.file.path" = file,
        "code.line.number" = line,
        "thread.name" = &*name,
        trace_id,
        span_id,
        "throughline.tags" = tags,
        "panicked"
    );
}
