//! Buffers traces in progress, and decides when to print them.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{SpanData, SpanEvents};

/// The maximum number of buffered traces, including those that were printed and of which only the name remains.
pub(super) const MAX_TRACES: usize = 1024;

/// The maximum number of buffered spans of one trace.
pub(super) const MAX_SPANS: usize = 10_000;

/// The minimum time that a trace waits for an open root before it is printed while the root is still running.
const MIN_WAIT_FOR_ROOT: Duration = Duration::from_secs(5);

/// How many times that wait doubles: from five seconds to more than five minutes.
const MAX_DOUBLINGS: u32 = 6;

/// The traces in progress.
pub(super) struct TraceBuffer {
    pub(super) max_wait: Duration,
    traces: HashMap<TraceId, Trace>,
    /// The number of spans of all traces that have started.
    started: usize,
    /// The earliest time at which some trace is due.
    next_due: Option<Instant>,
}

/// A trace in progress.
struct Trace {
    open: HashMap<SpanId, BufferedSpan>,
    ended: Vec<BufferedSpan>,
    /// The position of the trace in the order in which traces started.
    order: usize,
    start: SystemTime,
    /// The name of the first span.
    name: String,
    /// The value of [`TraceBuffer::started`] when the trace was last printed. Open spans before that have been shown.
    printed_at: Option<usize>,
    /// When the first ended span that has not been printed ended.
    pending_since: Option<Instant>,
    /// The number of spans that were not buffered, because [`MAX_SPANS`] were open.
    omitted: usize,
    /// How many of the omitted spans have not ended.
    omitted_open: usize,
    /// The number of open spans whose parent was not open when they started.
    open_roots: usize,
    /// How many times the trace was printed with an open root.
    partial_prints: u32,
}

/// The data of a span when it ended, or when it started if it is open.
pub(super) struct BufferedSpan {
    pub(super) data: SpanData,
    pub(super) order: usize,
    pub(super) open: bool,
    /// Whether its parent was not open when it started.
    is_root: bool,
}

/// The part of a trace that is printed at once.
pub(super) struct Part {
    pub(super) trace: TraceId,
    /// The start of the trace.
    pub(super) start: SystemTime,
    /// The name of the first span of the trace, if an earlier part was printed.
    pub(super) continues: Option<String>,
    pub(super) spans: Vec<BufferedSpan>,
    pub(super) omitted: usize,
}

impl Default for TraceBuffer {
    fn default() -> Self {
        Self { max_wait: Duration::from_secs(5), traces: HashMap::new(), started: 0, next_due: None }
    }
}

impl TraceBuffer {
    /// Records that a span has started. Returns the part that has to be printed to make room for it.
    pub(super) fn span_started(&mut self, mut data: SpanData) -> Option<Part> {
        let id = data.span_context.trace_id();
        let order = self.started;
        self.started += 1;
        let mut part = self.make_room(id);
        let trace = self.traces.entry(id).or_insert_with(|| Trace::new(&data, order));
        // Once a span has been omitted, all open spans have been printed, and only ended ones can make room.
        if trace.len() >= MAX_SPANS && (trace.omitted == 0 || !trace.ended.is_empty()) {
            part = trace.take_part(id, order);
        }
        if trace.len() >= MAX_SPANS {
            trace.omitted += 1;
            trace.omitted_open += 1;
            return part;
        }
        let is_root = !trace.open.contains_key(&data.parent_span_id);
        trace.open_roots += usize::from(is_root);
        data.events = SpanEvents::default();
        trace.open.insert(data.span_context.span_id(), BufferedSpan { data, order, open: true, is_root });
        part
    }

    /// Records that a span has ended. Returns the parts to print.
    pub(super) fn span_ended(&mut self, mut data: SpanData, now: Instant) -> Vec<Part> {
        let id = data.span_context.trace_id();
        let order = self.started;
        let mut parts: Vec<_> = self.make_room(id).into_iter().collect();
        let trace = self.traces.entry(id).or_insert_with(|| Trace {
            // The trace was evicted and printed, so its name is lost.
            printed_at: Some(order),
            name: String::new(),
            ..Trace::new(&data, order)
        });
        data.events = SpanEvents::default();
        let started = trace.open.remove(&data.span_context.span_id());
        trace.open_roots -= usize::from(started.as_ref().is_some_and(|started| started.is_root));
        if started.is_none() && trace.omitted_open > 0 {
            trace.omitted_open -= 1;
        } else {
            let is_root = started.as_ref().is_none_or(|started| started.is_root);
            let order = started.map_or(order, |started| started.order);
            trace.ended.push(BufferedSpan { data, order, open: false, is_root });
        }

        if trace.open.is_empty() && trace.omitted_open == 0 {
            parts.extend(trace.take_part(id, order));
        } else {
            trace.pending_since.get_or_insert(now);
            self.next_due = earlier(self.next_due, trace.due(self.max_wait));
        }
        if self.next_due.is_some_and(|due| due <= now) {
            self.take_due(now, &mut parts);
        }
        parts
    }

    /// Removes everything that has not been printed, complete or not, oldest trace first.
    pub(super) fn flush(&mut self) -> Vec<Part> {
        in_order(&mut self.traces).filter_map(|(id, trace)| trace.take_part(id, self.started)).collect()
    }

    /// Removes the parts of traces that have waited long enough for their root or their detached jobs, oldest trace
    /// first.
    fn take_due(&mut self, now: Instant, parts: &mut Vec<Part>) {
        self.next_due = None;
        for (id, trace) in in_order(&mut self.traces) {
            let Some(due) = trace.due(self.max_wait) else { continue };
            if due <= now {
                trace.partial_prints += u32::from(trace.open_roots > 0);
                parts.extend(trace.take_part(id, self.started));
            } else {
                self.next_due = earlier(self.next_due, Some(due));
            }
        }
    }

    /// Evicts a trace if there is no room for the trace `id`: the oldest one that was printed completely, or else the
    /// oldest one, which is then printed as far as it is known.
    fn make_room(&mut self, id: TraceId) -> Option<Part> {
        if self.traces.len() < MAX_TRACES || self.traces.contains_key(&id) {
            return None;
        }
        let oldest = self.traces.iter().min_by_key(|(_, trace)| (!trace.is_idle(), trace.order))?;
        let oldest = *oldest.0;
        self.traces.remove(&oldest)?.take_part(oldest, self.started)
    }
}

/// The traces in the order in which they started.
fn in_order(traces: &mut HashMap<TraceId, Trace>) -> impl Iterator<Item = (TraceId, &mut Trace)> {
    let mut traces: Vec<_> = traces.iter_mut().map(|(id, trace)| (*id, trace)).collect();
    traces.sort_unstable_by_key(|(_, trace)| trace.order);
    traces.into_iter()
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}

impl Trace {
    /// Creates a trace with `first` as its first known span.
    fn new(first: &SpanData, order: usize) -> Self {
        Self {
            open: HashMap::new(),
            ended: Vec::new(),
            order,
            start: first.start_time,
            name: first.name.clone().into_owned(),
            printed_at: None,
            pending_since: None,
            omitted: 0,
            omitted_open: 0,
            open_roots: 0,
            partial_prints: 0,
        }
    }

    /// When the trace is printed even if some of its spans are open. While a root is open, the wait doubles each time,
    /// so that a root that never ends, such as that of a loop, does not flood the terminal.
    fn due(&self, max_wait: Duration) -> Option<Instant> {
        let wait = match self.open_roots {
            0 => max_wait,
            _ => max_wait.max(MIN_WAIT_FOR_ROOT).checked_mul(1 << self.partial_prints.min(MAX_DOUBLINGS))?,
        };
        self.pending_since?.checked_add(wait)
    }

    fn len(&self) -> usize {
        self.open.len() + self.ended.len()
    }

    fn is_idle(&self) -> bool {
        self.len() + self.omitted_open == 0
    }

    /// Removes the spans to print: those that have ended, copies of open ones that are new, and of open ancestors of
    /// either.
    fn take_part(&mut self, id: TraceId, started: usize) -> Option<Part> {
        let mut spans = std::mem::take(&mut self.ended);
        let printed_at = self.printed_at.unwrap_or(0);
        let new = self.open.values().filter(|span| span.order >= printed_at);
        let new = new.map(|span| span.data.span_context.span_id());
        let mut running = HashSet::new();
        for mut at in spans.iter().map(|span| span.data.parent_span_id).chain(new) {
            while let Some(span) = self.open.get(&at).filter(|_| running.insert(at)) {
                at = span.data.parent_span_id;
            }
        }
        spans.extend(running.iter().filter_map(|id| self.open.get(id)).map(|span| BufferedSpan {
            data: span.data.clone(),
            order: span.order,
            open: true,
            is_root: span.is_root,
        }));
        if self.open.is_empty() {
            // Frees the table, because an idle trace may be kept for a long time.
            self.open = HashMap::new();
        }
        self.pending_since = None;
        let continues = self.printed_at.is_some().then(|| self.name.clone());
        let omitted = std::mem::take(&mut self.omitted);
        if spans.is_empty() && omitted == 0 {
            return None;
        }
        self.printed_at = Some(started);
        Some(Part { trace: id, start: self.start, continues, spans, omitted })
    }
}
