//! A part of a trace as text.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use anstyle::{AnsiColor, Style};
use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

use super::traces::{Part, Seen};
use crate::render::tree::{self, End, Place, Row};
use crate::text::{excerpt, truncate_chars};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const BAD: Style = AnsiColor::Red.on_default().bold();
const ODD: Style = AnsiColor::Yellow.on_default();
const NEW: Style = AnsiColor::Cyan.on_default();

/// Names that are longer do not push the durations of all lines to the right.
const MAX_NAME_COLUMN: usize = 60;

/// Longer texts are cut, counted in characters.
const MAX_NAME: usize = 100;
const MAX_VALUE: usize = 100;
const MAX_MESSAGE: usize = 200;

/// As many links of one span are shown.
const MAX_LINKS: usize = 3;

/// A job that has waited for its first poll as long as this says so; in microseconds.
const LONG_WAIT_US: i64 = 10_000;

/// Attributes that describe the code and the transport, and those that are shown in another way.
const HIDDEN: [&str; 20] = [
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
    "error.type",
    "throughline.cancelled",
    "throughline.job.",
    "throughline.db.",
    "throughline.redis.",
    "throughline.rocketmq.",
    "target",
    "busy_ns",
    "idle_ns",
];

/// Of those, what tells more than it takes room.
const SHOWN: [&str; 2] = ["http.response.status_code", "messaging.batch.message_count"];

/// Attributes of ours that are shown by a short word.
const SHORT: [(&str, &str); 3] = [
    ("throughline.return", "return"),
    ("throughline.unfinished", "unfinished"),
    ("throughline.messaging.redelivered", "redelivered"),
];

/// A line for the trace and a tree of its spans, with the codes for colour in it.
pub(super) fn draw(part: &Part, now: SystemTime) -> String {
    let spans = &part.spans;
    let places: Vec<_> = spans.iter().map(place).collect();
    let rows = tree::rows(&places);
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
    let many = count(spans.len(), "span");
    let failed = spans.iter().filter(|span| matches!(tree::end(&span.data), End::Failed(_) | End::Panicked(_)));
    match failed.count() {
        0 => facts.push(many),
        failed => facts.push(format!("{many}, {}", paint(BAD, &format!("{failed} failed")))),
    }
    if part.left_out > 0 {
        facts.push(count(part.left_out, "span") + " left out");
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
        let span = &part.spans[row.at];
        let parent = row.parent.map(|at| &part.spans[at]);
        let mut notes = Vec::new();
        notes.extend(outcome(span));
        notes.extend(detached(span, parent, part, now).map(|note| paint(DIM, &note)));
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
            kind: tree::kind(&span.data.span_kind).map(|kind| format!(" [{kind}]")).unwrap_or_default(),
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

fn outcome(span: &Seen) -> Option<String> {
    if span.open {
        return Some(paint(ODD, "… still running"));
    }
    match tree::end(&span.data) {
        End::Fine => None,
        End::Failed("") => Some(paint(BAD, "✗ error")),
        End::Failed(why) => Some(paint(BAD, &format!("✗ error: {}", excerpt(why, MAX_MESSAGE)))),
        End::Panicked(why) => Some(paint(BAD, &format!("✗ panicked: {}", excerpt(why, MAX_MESSAGE)))),
        End::Cancelled => Some(paint(ODD, "⊘ cancelled")),
    }
}

/// Where in time a span stands that is not within its parent, and whether it had to wait. The first
/// span of a trace stands at its start.
fn detached(span: &Seen, parent: Option<&Seen>, part: &Part, now: SystemTime) -> Option<String> {
    let queued = tree::attribute(&span.data, "throughline.job.queue_time_us");
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

/// The tags; those that are the same on the parent are dimmed.
fn tags(span: &SpanData, parent: Option<&SpanData>) -> String {
    let mut out = String::new();
    for (at, attribute) in span.attributes.iter().enumerate() {
        let KeyValue { key, value, .. } = attribute;
        if is_hidden(key.as_str()) || span.attributes[at + 1..].iter().any(|later| later.key == *key) {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        let inherited = parent.is_some_and(|parent| tree::attribute(parent, key.as_str()) == Some(value));
        let word = SHORT.iter().find(|(long, _)| *long == key.as_str()).map(|&(_, short)| Key::from_static_str(short));
        let word = word.as_ref().unwrap_or(key);
        let text = value.as_str();
        let tag = match truncate_chars(&text, MAX_VALUE) {
            kept if kept.len() < text.len() => tree::tag(word, &Value::from(format!("{kept}…"))),
            _ => tree::tag(word, value),
        };
        out.push_str(&paint(if inherited { DIM } else { NEW }, &tag));
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
            let seen = part.spans.iter().find(|seen| seen.data.span_context.span_id() == linked.span_id());
            let name = seen.map_or("this trace".into(), |seen| excerpt(&seen.data.name, MAX_NAME));
            write!(out, "{separator}~> {name}")
        } else {
            let id = linked.trace_id().to_string();
            write!(out, "{separator}~> trace {}…", &id[..8])
        };
    }
    if span.links.len() > MAX_LINKS {
        let _ = write!(out, "  ~> {} more", span.links.len() - MAX_LINKS);
    }
    (!out.is_empty()).then(|| paint(ODD, &out))
}

fn place(span: &Seen) -> Place {
    Place {
        trace: span.data.span_context.trace_id(),
        span: span.data.span_context.span_id(),
        parent: span.data.parent_span_id,
        start: span.data.start_time,
        order: span.order,
    }
}

fn end(span: &Seen, now: SystemTime) -> SystemTime {
    if span.open { now } else { span.data.end_time }
}

/// Zero if the clock was set back in between.
fn since(start: SystemTime, end: SystemTime) -> Duration {
    end.duration_since(start).unwrap_or_default()
}

fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match duration.as_nanos() {
        nanos @ 0..1_000 => format!("{nanos} ns"),
        nanos @ 1_000..1_000_000 => format!("{} µs", nanos / 1_000),
        0..1_000_000_000 => format!("{:.1} ms", duration.as_secs_f64() * 1e3),
        _ if seconds < 60 => format!("{:.2} s", duration.as_secs_f64()),
        _ if seconds < 3600 => format!("{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} m", seconds / 3600, seconds / 60 % 60),
    }
}

fn count(many: usize, of: &str) -> String {
    format!("{many} {of}{}", if many == 1 { "" } else { "s" })
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}
