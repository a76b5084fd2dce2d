//! Panics in the log.

use std::borrow::Cow;
use std::panic::{self, PanicHookInfo};
use std::sync::Once;
use std::thread;

use tracing::field::display;

use crate::context::current;
use crate::redact::error_text;
use crate::span::failure::Fields;

/// Writes an ERROR event of `tracing` for every panic from now on, with the trace it happened in.
///
/// The event, of target `throughline::panics`, has the fields `error` (the panic's message, as far as
/// [`set_error_text`](crate::set_error_text) lets it be recorded), `error.type` (`panic`),
/// `code.file.path`, `code.line.number` and `thread.name`. The ids of the current span and the tags are on
/// its line, as on every line of the formatters of this [module](crate::log); where none of them is in
/// use, they are the fields `trace_id`, `span_id` and `throughline.tags`. In a trace that is not sampled, and where
/// nothing is set up, the event is written all the same.
///
/// This installs a panic hook, which calls the one before it after the event is written. That is commonly
/// the standard library's, which prints the message and the place to standard error, whatever was chosen
/// for the texts of errors. To have the event alone, take that one away first:
/// `std::panic::set_hook(Box::new(|_| {}))`. A hook that is set later replaces this one, unless it calls
/// it. A second call of this function does nothing.
///
/// # Panics
///
/// If it is called while the thread panics, as all that sets a panic hook.
///
/// A panic inside of a panic hook aborts the process. So a subscriber, or a function that redacts, must
/// not panic when it sees such an event.
///
/// ```
/// tracing_subscriber::fmt().event_format(throughline::log::Text::new()).init();
/// throughline::log::panics();
/// ```
pub fn panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
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

    let Fields { trace_id, span_id, tags } = Fields::of(&current::get());
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
