//! What is known of the traces that are under way, and when one is printed.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{SpanData, SpanEvents};

/// How many traces are held. Those that were printed count too: of them only the name is kept.
pub(super) const MAX_TRACES: usize = 1024;

/// How many spans of one trace are held.
pub(super) const MAX_SPANS: usize = 10_000;

/// How long a trace waits for its entry at least, before it is shown without.
const FIRST_SO_FAR: Duration = Duration::from_secs(5);

/// How often that time doubles: from five seconds to more than five minutes.
const MAX_DOUBLINGS: u32 = 6;

/// The traces that are under way.
pub(super) struct Traces {
    pub(super) patience: Duration,
    held: HashMap<TraceId, Trace>,
    /// How many spans have started so far.
    started: usize,
    /// When the patience with some trace ends.
    next_check: Option<Instant>,
}

/// One trace.
struct Trace {
    open: HashMap<SpanId, Seen>,
    ended: Vec<Seen>,
    begun: usize,
    start: SystemTime,
    /// The name of its first span.
    name: String,
    /// What has started before this was shown already, if it has not ended since.
    shown: Option<usize>,
    /// Since when there is something to print, were it not for what is open.
    waiting: Option<Instant>,
    left_out: usize,
    /// How many of those left out are open.
    unlisted: usize,
    /// How many of those that are open have nothing above them.
    entries: usize,
    /// How often it was printed while one of those was open.
    so_far: u32,
}

/// A span, as it is or as it was when it started.
pub(super) struct Seen {
    pub(super) data: SpanData,
    pub(super) order: usize,
    pub(super) open: bool,
    /// Nothing that runs here is above it.
    entry: bool,
}

/// What is printed at once of a trace.
pub(super) struct Part {
    pub(super) trace: TraceId,
    /// When the trace has started.
    pub(super) start: SystemTime,
    /// The name of its first span, if an earlier part was printed.
    pub(super) continues: Option<String>,
    pub(super) spans: Vec<Seen>,
    pub(super) left_out: usize,
}

impl Default for Traces {
    fn default() -> Self {
        Self { patience: Duration::from_secs(5), held: HashMap::new(), started: 0, next_check: None }
    }
}

impl Traces {
    /// A span has started. Gives what has to be printed to make room for it.
    pub(super) fn begin(&mut self, mut data: SpanData) -> Option<Part> {
        let id = data.span_context.trace_id();
        let order = self.started;
        self.started += 1;
        let mut part = self.make_room(id);
        let trace = self.held.entry(id).or_insert_with(|| Trace::new(&data, order));
        if trace.len() >= MAX_SPANS {
            part = trace.cut(id, order);
        }
        if trace.len() >= MAX_SPANS {
            trace.left_out += 1;
            trace.unlisted += 1;
            return part;
        }
        let entry = !trace.open.contains_key(&data.parent_span_id);
        trace.entries += usize::from(entry);
        data.events = SpanEvents::default();
        trace.open.insert(data.span_context.span_id(), Seen { data, order, open: true, entry });
        part
    }

    /// A span has ended. Gives what is to be printed.
    pub(super) fn end(&mut self, mut data: SpanData, now: Instant) -> Vec<Part> {
        let id = data.span_context.trace_id();
        let order = self.started;
        let mut parts: Vec<_> = self.make_room(id).into_iter().collect();
        let trace = self.held.entry(id).or_insert_with(|| Trace {
            // Its trace had to make room: what was known of it is gone, that it was printed is sure.
            shown: Some(order),
            name: String::new(),
            ..Trace::new(&data, order)
        });
        data.events = SpanEvents::default();
        let begun = trace.open.remove(&data.span_context.span_id());
        trace.entries -= usize::from(begun.as_ref().is_some_and(|begun| begun.entry));
        if begun.is_none() && trace.unlisted > 0 {
            trace.unlisted -= 1;
        } else {
            let entry = begun.as_ref().is_none_or(|begun| begun.entry);
            let order = begun.map_or(order, |begun| begun.order);
            trace.ended.push(Seen { data, order, open: false, entry });
        }

        if trace.open.is_empty() && trace.unlisted == 0 {
            parts.extend(trace.cut(id, order));
        } else {
            trace.waiting.get_or_insert(now);
            self.next_check = earlier(self.next_check, trace.due(self.patience));
        }
        if self.next_check.is_some_and(|at| at <= now) {
            self.overdue(now, &mut parts);
        }
        parts
    }

    /// All that has not been printed, as it stands, the oldest trace first.
    pub(super) fn rest(&mut self) -> Vec<Part> {
        let mut held: Vec<_> = self.held.iter_mut().collect();
        held.sort_by_key(|(_, trace)| trace.begun);
        held.into_iter().filter_map(|(id, trace)| trace.cut(*id, self.started)).collect()
    }

    /// Prints the traces that have waited for their entry or their jobs long enough.
    fn overdue(&mut self, now: Instant, parts: &mut Vec<Part>) {
        self.next_check = None;
        for (id, trace) in &mut self.held {
            let Some(due) = trace.due(self.patience) else { continue };
            if due <= now {
                trace.so_far += u32::from(trace.entries > 0);
                parts.extend(trace.cut(*id, self.started));
            } else {
                self.next_check = earlier(self.next_check, Some(due));
            }
        }
    }

    /// Forgets a trace if there are too many for `id`: the oldest of those that were printed, or else
    /// the oldest there is, which is printed as it stands.
    fn make_room(&mut self, id: TraceId) -> Option<Part> {
        if self.held.len() < MAX_TRACES || self.held.contains_key(&id) {
            return None;
        }
        let oldest = self.held.iter().min_by_key(|(_, trace)| (!trace.is_idle(), trace.begun))?;
        let oldest = *oldest.0;
        self.held.remove(&oldest)?.cut(oldest, self.started)
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}

impl Trace {
    /// A trace of which `first` is the first span seen.
    fn new(first: &SpanData, begun: usize) -> Self {
        Self {
            open: HashMap::new(),
            ended: Vec::new(),
            begun,
            start: first.start_time,
            name: first.name.clone().into_owned(),
            shown: None,
            waiting: None,
            left_out: 0,
            unlisted: 0,
            entries: 0,
            so_far: 0,
        }
    }

    /// When it is printed as it stands. While its entry is open, after ever longer times: one that
    /// never ends, such as that of a loop, must not fill the terminal.
    fn due(&self, patience: Duration) -> Option<Instant> {
        let limit = match self.entries {
            0 => patience,
            _ => patience.max(FIRST_SO_FAR).checked_mul(1 << self.so_far.min(MAX_DOUBLINGS))?,
        };
        self.waiting?.checked_add(limit)
    }

    fn len(&self) -> usize {
        self.open.len() + self.ended.len()
    }

    fn is_idle(&self) -> bool {
        self.len() + self.unlisted == 0
    }

    /// Takes out what has to be printed: what has ended, and what is running and either was never shown
    /// or has something to show below it.
    fn cut(&mut self, id: TraceId, started: usize) -> Option<Part> {
        let mut spans = std::mem::take(&mut self.ended);
        let shown = self.shown.unwrap_or(0);
        let new = self.open.values().filter(|span| span.order >= shown).map(|span| span.data.span_context.span_id());
        let mut running = HashSet::new();
        for mut at in spans.iter().map(|span| span.data.parent_span_id).chain(new) {
            while let Some(span) = self.open.get(&at).filter(|_| running.insert(at)) {
                at = span.data.parent_span_id;
            }
        }
        spans.extend(running.iter().filter_map(|id| self.open.get(id)).map(|span| Seen {
            data: span.data.clone(),
            order: span.order,
            open: true,
            entry: span.entry,
        }));
        if self.open.is_empty() {
            // An idle trace may stay for long: it does not keep the room it once needed.
            self.open = HashMap::new();
        }
        self.waiting = None;
        let continues = self.shown.is_some().then(|| self.name.clone());
        let left_out = std::mem::take(&mut self.left_out);
        if spans.is_empty() && left_out == 0 {
            return None;
        }
        self.shown = Some(started);
        Some(Part { trace: id, start: self.start, continues, spans, left_out })
    }
}
