//! Formats a trace as text.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use anstyle::{AnsiColor, Style};
use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

use super::buffer::{BufferedSpan, Part};
use crate::render::span::{Ending, attribute, ending, kind, tag};
use crate::render::tree::{self, Node, Row};
use crate::semconv;
use crate::tags::set::has_key;
use crate::text::{excerpt, truncate_chars};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const ERROR: Style = AnsiColor::Red.on_default().bold();
const NOTICE: Style = AnsiColor::Yellow.on_default();
const NEW_TAG: Style = AnsiColor::Cyan.on_default();

/// The durations are aligned to the longest name, but not beyond this column.
const MAX_NAME_COLUMN: usize = 60;

/// Limits for text, in characters.
const MAX_NAME: usize = 100;
const MAX_VALUE: usize = 100;
const MAX_MESSAGE: usize = 200;

/// The maximum number of links that are shown of one span.
const MAX_LINKS: usize = 3;

/// A job that waited this long for its first poll shows the wait; in microseconds.
const LONG_WAIT_US: i64 = 10_000;

/// Attributes that are not shown as tags, because they describe the code or the transport, or are shown in another way.
/// A name that ends in a dot is a prefix.
const HIDDEN: [&str; 21] = [
    "code.",
    "thread.",
    "url.",
    "http.",
    "rpc.",
    "messaging.",
    "db.",
    "server.",
    "network.",
    "client.",
    "user_agent.",
    semconv::ERROR_TYPE,
    semconv::THROUGHLINE_CANCELLED,
    semconv::THROUGHLINE_DETACHED,
    "throughline.job.",
    "throughline.db.",
    "throughline.redis.",
    "throughline.rocketmq.",
    "target",
    "busy_ns",
    "idle_ns",
];

/// Exceptions from [`HIDDEN`].
const SHOWN: [&str; 2] = [semconv::HTTP_RESPONSE_STATUS_CODE, semconv::MESSAGING_BATCH_MESSAGE_COUNT];

/// Our own attributes that are shown under a short name.
const SHORT: [(&str, &str); 3] = [
    (semconv::THROUGHLINE_RETURN, "return"),
    (semconv::THROUGHLINE_UNFINISHED, "unfinished"),
    (semconv::THROUGHLINE_MESSAGING_REDELIVERED, "redelivered"),
];

/// Formats a line for the trace and the tree of its spans, with escape sequences for colour.
pub(super) fn trace(part: &Part, now: SystemTime) -> String {
    let spans = &part.spans;
    let nodes: Vec<_> = spans.iter().map(node).collect();
    let rows = tree::layout(&nodes);
    let cells: Vec<_> = rows.iter().map(|row| Cells::new(row, part, now)).collect();
    let names = cells.iter().map(Cells::name_width).max().unwrap_or(0).min(MAX_NAME_COLUMN);
    let durations = cells.iter().map(|cells| width(&cells.duration)).max().unwrap_or(0);

    let lines = rows.iter().zip(&cells).map(|(row, cells)| (row.depth, cells.line(names, durations)));
    let mut out = head(part, now);
    out.push_str(&tree::draw(lines));
    out.push('\n');
    out
}

fn head(part: &Part, now: SystemTime) -> String {
    let spans = &part.spans;
    let mut title = paint(BOLD, &format!("trace {}", part.trace));
    match &part.continues {
        Some(name) if !name.is_empty() => title = format!("{title}, continued from {}", excerpt(name, MAX_NAME)),
        Some(_) => title.push_str(", continued"),
        None => {}
    }
    let mut facts = vec![title];
    let start = spans.iter().map(|span| span.data.start_time).fold(part.start, SystemTime::min);
    if let Some(end) = spans.iter().map(|span| end(span, now)).max() {
        let so_far = if spans.iter().any(|span| span.open) { " so far" } else { "" };
        facts.push(short(since(start, end)) + so_far);
    }
    let spans_in_all = count(spans.len(), "span");
    match spans.iter().filter(|span| ending(&span.data).is_error()).count() {
        0 => facts.push(spans_in_all),
        failed => facts.push(format!("{spans_in_all}, {}", paint(ERROR, &format!("{failed} failed")))),
    }
    if part.omitted > 0 {
        facts.push(count(part.omitted, "span") + " omitted");
    }
    facts.join(" · ") + "\n"
}

/// The parts of one line.
struct Cells {
    indent: usize,
    name: String,
    kind: String,
    duration: String,
    notes: Vec<String>,
}

impl Cells {
    fn new(row: &Row, part: &Part, now: SystemTime) -> Self {
        let span = &part.spans[row.index];
        let parent = row.parent.map(|index| &part.spans[index]);
        let mut notes = Vec::new();
        notes.extend(outcome(span));
        notes.extend(timing(span, parent, part, now).map(|note| paint(DIM, &note)));
        if span.data.parent_span_is_remote && parent.is_none() && part.continues.is_none() {
            notes.push(paint(DIM, "(remote parent)"));
        }
        let tags = tags(&span.data, parent.map(|parent| &parent.data));
        if !tags.is_empty() {
            notes.push(tags);
        }
        notes.extend(links(&span.data, part));
        Self {
            indent: row.depth * 4,
            name: excerpt(&span.data.name, MAX_NAME).into_owned(),
            kind: kind(&span.data.span_kind).map(|kind| format!(" [{kind}]")).unwrap_or_default(),
            duration: short(since(span.data.start_time, end(span, now))),
            notes,
        }
    }

    fn name_width(&self) -> usize {
        self.indent + width(&self.name) + width(&self.kind)
    }

    fn line(&self, names: usize, durations: usize) -> String {
        let gap = names.saturating_sub(self.name_width()) + 2 + durations.saturating_sub(width(&self.duration));
        let mut line = paint(BOLD, &self.name);
        if !self.kind.is_empty() {
            line.push_str(&paint(DIM, &self.kind));
        }
        line.extend(std::iter::repeat_n(' ', gap));
        line.push_str(&self.duration);
        for note in &self.notes {
            line.push_str("  ");
            line.push_str(note);
        }
        line
    }
}

fn outcome(span: &BufferedSpan) -> Option<String> {
    if span.open {
        return Some(paint(NOTICE, "… still running"));
    }
    match ending(&span.data) {
        Ending::Ok => None,
        Ending::Error("") => Some(paint(ERROR, "✗ error")),
        Ending::Error(why) => Some(paint(ERROR, &format!("✗ error: {}", excerpt(why, MAX_MESSAGE)))),
        Ending::Panicked(why) => Some(paint(ERROR, &format!("✗ panicked: {}", excerpt(why, MAX_MESSAGE)))),
        Ending::Cancelled => Some(paint(NOTICE, "⊘ cancelled")),
    }
}

/// The start of a span that does not lie within its parent, and how long it was queued. The start of the first span is
/// not shown, because it is that of the trace.
fn timing(span: &BufferedSpan, parent: Option<&BufferedSpan>, part: &Part, now: SystemTime) -> Option<String> {
    let queued = attribute(&span.data, semconv::THROUGHLINE_JOB_QUEUE_TIME_US);
    let outlives = parent.is_some_and(|parent| !parent.open && end(span, now) > parent.data.end_time);
    let is_first = parent.is_none() && part.continues.is_none();
    let mut facts = Vec::new();
    if !is_first && (queued.is_some() || outlives) {
        facts.push(format!("detached, +{}", short(since(part.start, span.data.start_time))));
    }
    if let Some(Value::I64(micros @ LONG_WAIT_US..)) = queued {
        facts.push(format!("queued {}", short(Duration::from_micros(micros.unsigned_abs()))));
    }
    (!facts.is_empty()).then(|| format!("({})", facts.join(", ")))
}

/// The tags; those that are the same as on the parent are dimmed.
fn tags(span: &SpanData, parent: Option<&SpanData>) -> String {
    let mut out = String::new();
    for (index, KeyValue { key, value, .. }) in span.attributes.iter().enumerate() {
        if is_hidden(key.as_str()) || has_key(&span.attributes[index + 1..], key) {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        let inherited = parent.is_some_and(|parent| attribute(parent, key.as_str()) == Some(value));
        let short = SHORT.iter().find(|(long, _)| *long == key.as_str()).map(|&(_, short)| Key::from_static_str(short));
        let key = short.as_ref().unwrap_or(key);
        let text = value.as_str();
        let shown = match truncate_chars(&text, MAX_VALUE) {
            kept if kept.len() < text.len() => tag(key, &Value::from(format!("{kept}…"))),
            _ => tag(key, value),
        };
        out.push_str(&paint(if inherited { DIM } else { NEW_TAG }, &shown));
    }
    out
}

fn is_hidden(key: &str) -> bool {
    let hides = |hidden: &str| if hidden.ends_with('.') { key.starts_with(hidden) } else { key == hidden };
    HIDDEN.into_iter().any(hides) && !SHOWN.contains(&key)
}

fn links(span: &SpanData, part: &Part) -> Option<String> {
    let mut out = String::new();
    for link in span.links.iter().take(MAX_LINKS) {
        let linked = &link.span_context;
        let separator = if out.is_empty() { "" } else { "  " };
        let _ = if linked.trace_id() == part.trace {
            let target = part.spans.iter().find(|span| span.data.span_context.span_id() == linked.span_id());
            let name = target.map_or("this trace".into(), |span| excerpt(&span.data.name, MAX_NAME));
            write!(out, "{separator}~> {name}")
        } else {
            let id = linked.trace_id().to_string();
            write!(out, "{separator}~> trace {}…", &id[..8])
        };
    }
    if span.links.len() > MAX_LINKS {
        let _ = write!(out, "  ~> {} more", span.links.len() - MAX_LINKS);
    }
    (!out.is_empty()).then(|| paint(NOTICE, &out))
}

fn node(span: &BufferedSpan) -> Node {
    Node {
        trace: span.data.span_context.trace_id(),
        span: span.data.span_context.span_id(),
        parent: span.data.parent_span_id,
        start: span.data.start_time,
        order: span.order,
    }
}

fn end(span: &BufferedSpan, now: SystemTime) -> SystemTime {
    if span.open { now } else { span.data.end_time }
}

/// Zero if the clock was set back meanwhile.
fn since(start: SystemTime, end: SystemTime) -> Duration {
    end.duration_since(start).unwrap_or_default()
}

fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match duration.as_nanos() {
        nanos @ 0..1_000 => format!("{nanos} ns"),
        nanos @ 1_000..1_000_000 => format!("{} µs", nanos / 1_000),
        // A value that would be rounded to 1000.0 or to 60.00 is in the next unit.
        1_000_000..999_950_000 => format!("{:.1} ms", duration.as_secs_f64() * 1e3),
        999_950_000..59_995_000_000 => format!("{:.2} s", duration.as_secs_f64()),
        59_995_000_000..60_000_000_000 => "1 m 00 s".to_owned(),
        _ if seconds < 3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3600, seconds / 60 % 60),
    }
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_below_the_next_unit() {
        let nanos = [999, 1_000, 999_999, 1_000_000, 999_949_999, 999_950_000, 59_994_000_000, 59_995_000_000];
        assert_eq!(
            nanos.map(|nanos| short(Duration::from_nanos(nanos))),
            ["999 ns", "1 µs", "999 µs", "1.0 ms", "999.9 ms", "1.00 s", "59.99 s", "1 m 00 s"]
        );
        let seconds = [60, 3_599, 3_600, 90_061];
        assert_eq!(
            seconds.map(|it| short(Duration::from_secs(it))),
            ["1 m 00 s", "59 m 59 s", "1 h 00 m", "25 h 01 m"]
        );
    }
}
