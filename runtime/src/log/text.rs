//! Log lines as text.

use std::any::TypeId;
use std::error::Error;
use std::fmt::{self, Arguments, Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::fmt::format::{DefaultFields, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::current::{Current, current_of};
use super::sources;
use super::styles::write_styled;
use crate::tags::set::read_by_logs;
use crate::text::{Escaper, QuotedValue, Word};

/// An event format for [`tracing_subscriber::fmt()`]: its full format, plus the IDs of the current OpenTelemetry span
/// and the tags, after the level.
///
/// ```text
/// 2026-04-02T09:30:00.000000Z  INFO trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7 tenant_id=acme shop: order placed order_no=1001
/// ```
///
/// Outside of a trace and without tags, the line is that of the full format. In an unsampled trace the IDs and tags
/// are there too, with `trace_flags=00`; see the [module](super#unsampled-traces) for the cost.
///
/// An event is one line, whatever its values: line feeds, escape sequences for the terminal and all other characters
/// that [could disguise a line](crate::text::needs_escape) are escaped in messages, names, values and keys. The IDs
/// come before any value, so in a trace the first `trace_id=` of a line is the true one.
///
/// Colours follow the layer's `with_ansi`, which has to be called before `event_format` on `tracing_subscriber::fmt()`.
/// A custom field formatter (`fmt_fields`) is used, without colours in the fields of the event. Records of the `log`
/// crate that arrive through `tracing-log` show their own target, file and line. If the formatter of a value fails, the
/// line contains what it had written before.
///
/// Formatting does not allocate beyond the line buffer, which `tracing_subscriber` keeps for each thread. With
/// `tracing` spans around the event it does, if `tracing_subscriber` is built without `smallvec`.
///
/// ```
/// use tracing_subscriber::fmt;
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let subscriber = fmt().event_format(throughline::log::Text::new().with_target(false)).finish();
/// // or as one layer among others
/// let layers = tracing_subscriber::registry().with(fmt::layer().event_format(throughline::log::Text::new()));
/// # drop((subscriber, layers));
/// ```
#[derive(Debug, Clone)]
pub struct Text<T = SystemTime> {
    timer: T,
    parts: Parts,
}

#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
struct Parts {
    time: bool,
    level: bool,
    thread_names: bool,
    thread_ids: bool,
    target: bool,
    file: bool,
    line_number: bool,
}

impl Text {
    /// Creates a format with time, level, IDs and tags, the `tracing` spans, target, message and fields.
    pub fn new() -> Self {
        read_by_logs();
        let parts = Parts {
            time: true,
            level: true,
            thread_names: false,
            thread_ids: false,
            target: true,
            file: false,
            line_number: false,
        };
        Self { timer: SystemTime, parts }
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Text<T> {
    /// Formats the time with `timer`.
    #[must_use]
    pub fn with_timer<U>(self, timer: U) -> Text<U> {
        Text { timer, parts: Parts { time: true, ..self.parts } }
    }

    /// Omits the time, for a service manager that adds it.
    #[must_use]
    pub fn without_time(self) -> Text<()> {
        Text { timer: (), parts: Parts { time: false, ..self.parts } }
    }

    /// Sets whether the level is shown. Default: true.
    #[must_use]
    pub fn with_level(mut self, show: bool) -> Self {
        self.parts.level = show;
        self
    }

    /// Sets whether the target is shown, which is the module unless the event has another. Default: true.
    #[must_use]
    pub fn with_target(mut self, show: bool) -> Self {
        self.parts.target = show;
        self
    }

    /// Sets whether the name of the thread is shown, or its ID if it has no name. Default: false. Names are not padded to
    /// the longest one, as they are in the full format.
    #[must_use]
    pub fn with_thread_names(mut self, show: bool) -> Self {
        self.parts.thread_names = show;
        self
    }

    /// Sets whether the ID of the thread is shown. Default: false.
    #[must_use]
    pub fn with_thread_ids(mut self, show: bool) -> Self {
        self.parts.thread_ids = show;
        self
    }

    /// Sets whether the source file is shown. Default: false.
    #[must_use]
    pub fn with_file(mut self, show: bool) -> Self {
        self.parts.file = show;
        self
    }

    /// Sets whether the line in the source file is shown. Default: false.
    #[must_use]
    pub fn with_line_number(mut self, show: bool) -> Self {
        self.parts.line_number = show;
        self
    }
}

impl<S, N, T> FormatEvent<S, N> for Text<T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    T: FormatTime,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let record = event.normalized_metadata();
        let metadata = record.as_ref().unwrap_or_else(|| event.metadata());
        let mut line = Line { ansi: writer.has_ansi_escapes(), out: writer };

        self.write_time(&mut line);
        if self.parts.level {
            line.level(*metadata.level());
        }
        line.current(&current_of(event.metadata()));
        self.write_thread(&mut line);
        line.spans(ctx);
        self.write_place(&mut line, metadata);
        if TypeId::of::<N>() == TypeId::of::<DefaultFields>() {
            event.record(&mut Fields { line: &mut line, is_first: true, is_record: record.is_some() });
        } else {
            let _ = ctx.format_fields(Writer::new(&mut Escaper(&mut line.out)), event);
        }
        line.out.write_char('\n')
    }
}

impl<T: FormatTime> Text<T> {
    fn write_time(&self, line: &mut Line<'_>) {
        if !self.parts.time {
            return;
        }
        line.style(Style::Dimmed);
        if self.timer.format_time(&mut Writer::new(&mut Escaper(&mut line.out))).is_err() {
            line.write(format_args!("<unknown time>"));
        }
        line.style(Style::Plain);
        line.write(format_args!(" "));
    }
}

impl<T> Text<T> {
    fn write_thread(&self, line: &mut Line<'_>) {
        if !self.parts.thread_names && !self.parts.thread_ids {
            return;
        }
        let thread = std::thread::current();
        let name = thread.name().filter(|_| self.parts.thread_names);
        if let Some(name) = name {
            line.write(format_args!("{name} "));
        }
        if name.is_none() || self.parts.thread_ids {
            line.write(format_args!("{:0>2?} ", thread.id()));
        }
    }

    fn write_place(&self, line: &mut Line<'_>, metadata: &Metadata<'_>) {
        if self.parts.target {
            line.styled(Style::Dimmed, format_args!("{}:", metadata.target()));
            line.write(format_args!(" "));
        }
        let file = metadata.file().filter(|_| self.parts.file);
        let number = metadata.line().filter(|_| self.parts.line_number);
        if let Some(file) = file {
            line.styled(Style::Dimmed, format_args!("{file}:"));
        }
        if let Some(number) = number {
            line.styled(Style::Dimmed, format_args!("{number}:"));
        }
        if file.is_some() || number.is_some() {
            line.write(format_args!(" "));
        }
    }
}

/// A line being written. Everything but the styles goes through [`Escaper`].
struct Line<'w> {
    out: Writer<'w>,
    ansi: bool,
}

#[derive(Clone, Copy)]
enum Style {
    Plain,
    Bold,
    Dimmed,
    Italic,
    Level(Level),
}

impl Line<'_> {
    /// Writes text. Writing to the buffer cannot fail, so an error comes from a value's formatter. Its output so far is
    /// kept.
    fn write(&mut self, text: Arguments<'_>) {
        let _ = Escaper(&mut self.out).write_fmt(text);
    }

    fn style(&mut self, style: Style) {
        if !self.ansi {
            return;
        }
        let code = match style {
            Style::Plain => "\x1b[0m",
            Style::Bold => "\x1b[1m",
            Style::Dimmed => "\x1b[2m",
            Style::Italic => "\x1b[3m",
            Style::Level(Level::ERROR) => "\x1b[31m",
            Style::Level(Level::WARN) => "\x1b[33m",
            Style::Level(Level::INFO) => "\x1b[32m",
            Style::Level(Level::DEBUG) => "\x1b[34m",
            Style::Level(Level::TRACE) => "\x1b[35m",
        };
        let _ = self.out.write_str(code);
    }

    fn styled(&mut self, style: Style, text: Arguments<'_>) {
        self.style(style);
        self.write(text);
        self.style(Style::Plain);
    }

    fn level(&mut self, level: Level) {
        self.styled(Style::Level(level), format_args!("{:>5}", level.as_str()));
        self.write(format_args!(" "));
    }

    /// Writes the IDs and the tags.
    fn current(&mut self, current: &Current) {
        if let Some(identity) = current.identity() {
            self.styled(Style::Dimmed, format_args!("{identity}"));
            self.write(format_args!(" "));
        }
        if let Some(id) = current.request_id() {
            self.styled(Style::Dimmed, format_args!("request_id="));
            self.write(format_args!("{} ", Word(id)));
        }
        for tag in current.tags() {
            self.styled(Style::Italic, format_args!("{}", Word(tag.key.as_str())));
            self.equals();
            self.write(format_args!("{} ", QuotedValue(&tag.value)));
        }
    }

    fn equals(&mut self) {
        self.styled(Style::Dimmed, format_args!("="));
    }

    /// Writes the `tracing` spans around the event, outermost first.
    fn spans<S, N>(&mut self, ctx: &FmtContext<'_, S, N>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        N: for<'a> FormatFields<'a> + 'static,
    {
        let Some(scope) = ctx.event_scope() else { return };
        for span in scope.from_root() {
            self.styled(Style::Bold, format_args!("{}", span.name()));
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>().filter(|fields| !fields.is_empty()) {
                self.styled(Style::Bold, format_args!("{{"));
                // Formatted when the span was created, with colours if they are enabled.
                let out = &mut self.out;
                let _ = if self.ansi { write_styled(out, fields) } else { Escaper(out).write_str(fields) };
                self.styled(Style::Bold, format_args!("}}"));
            }
            self.styled(Style::Dimmed, format_args!(":"));
        }
        self.write(format_args!(" "));
    }
}

/// Writes the message and the fields of an event, as `tracing_subscriber` does by default.
struct Fields<'l, 'w> {
    line: &'l mut Line<'w>,
    is_first: bool,
    /// Whether the event is a record of the `log` crate, whose metadata is in fields `log.*`.
    is_record: bool,
}

impl Fields<'_, '_> {
    fn write(&mut self, field: &Field, value: Arguments<'_>) {
        let name = field.name();
        if self.is_record && name.starts_with("log.") {
            return;
        }
        if !std::mem::take(&mut self.is_first) {
            self.line.write(format_args!(" "));
        }
        if name != "message" {
            self.line.styled(Style::Italic, format_args!("{}", name.strip_prefix("r#").unwrap_or(name)));
            self.line.equals();
        }
        self.line.write(value);
    }
}

impl Visit for Fields<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.write(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.write(field, format_args!("{value}"));
        } else {
            self.write(field, format_args!("{value:?}"));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.write(field, format_args!("{value}"));
        if value.source().is_none() {
            return;
        }
        self.line.write(format_args!(" "));
        self.line.styled(Style::Italic, format_args!("{}.sources", field.name()));
        self.line.equals();
        self.line.write(format_args!("["));
        for (at, source) in sources(value).enumerate() {
            let comma = if at > 0 { ", " } else { "" };
            self.line.write(format_args!("{comma}{source}"));
        }
        self.line.write(format_args!("]"));
    }
}
