//! The buffer of traces that have not been judged.

use std::collections::{BTreeMap, VecDeque};
use std::mem;

use opentelemetry::trace::TraceId;

use super::model::Span;
use super::report::Report;
use super::rules::Rules;
use super::tally::{Tally, Traces};

/// Collects spans and judges the traces they form. See the [module](super).
///
/// Pass spans to [`push`](Self::push) in any order. Traces are judged when the audit is [finished](Self::finish), and
/// earlier if more than [`max_spans`](Rules::max_spans) spans are buffered.
///
/// # Memory
///
/// Until its trace is judged, a span takes about 300 bytes plus its attributes. After that, only counts and examples
/// are kept: counts for at most a thousand services with their entry points, and for a thousand different breaks.
/// Further services and breaks are counted together.
#[derive(Debug, Clone)]
pub struct Audit {
    open: Traces<Trace>,
    /// The order in which open traces are checked. A trace that has received a span since it was queued is put back
    /// when its turn comes, so that adding a span does not modify the queue.
    turns: BTreeMap<Turn, TraceId>,
    /// The queue of traces that wait for a missing parent.
    waiting: BTreeMap<Turn, TraceId>,
    /// The number of spans in `open`.
    spans: usize,
    max_spans: usize,
    /// The number of spans that were pushed.
    pushed: u64,
    judged: Judged,
    pub(super) tally: Tally,
}

#[derive(Debug, Clone)]
struct Trace {
    spans: Vec<Span>,
    /// The value of [`Audit::pushed`] when the first span arrived.
    first: u64,
    /// When the last span arrived.
    touched: Turn,
    /// The key in the queue.
    turn: Turn,
    /// Whether a parent was missing when the trace was last checked.
    is_waiting: bool,
}

/// A time, and the number of pushed spans, which alone determines the order if there are no times, as with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    time: u64,
    pushed: u64,
}

/// Traces that were judged before the audit was finished, to recognize late spans.
#[derive(Debug, Clone, Default)]
struct Judged {
    /// For each trace, whether it was judged to be complete and no span has arrived since.
    ids: Traces<bool>,
    order: VecDeque<TraceId>,
}

/// The default maximum number of buffered spans.
const MAX_SPANS: usize = 1 << 20;

/// The maximum number of judged traces that are remembered.
const MAX_JUDGED: usize = 1 << 16;

impl Judged {
    fn insert(&mut self, id: TraceId, is_complete: bool) {
        if self.order.len() == MAX_JUDGED {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest);
            }
        }
        if self.ids.insert(id, is_complete).is_none() {
            self.order.push_back(id);
        }
    }
}

impl Audit {
    /// Creates an audit with these rules.
    pub fn new(rules: Rules) -> Self {
        Self {
            max_spans: rules.max_spans.unwrap_or(MAX_SPANS),
            open: Traces::default(),
            turns: BTreeMap::new(),
            waiting: BTreeMap::new(),
            spans: 0,
            pushed: 0,
            judged: Judged::default(),
            tally: Tally::new(rules),
        }
    }

    /// Returns the rules.
    pub fn rules(&self) -> &Rules {
        &self.tally.rules
    }

    /// Adds a span. A span without a valid trace ID or span ID is ignored.
    pub fn push(&mut self, span: Span) {
        self.push_at(span, 0);
    }

    /// Adds a span that arrives at the time `now`.
    pub(super) fn push_at(&mut self, span: Span, now: u64) {
        let id = span.trace_id;
        if id == TraceId::INVALID || span.span_id == opentelemetry::trace::SpanId::INVALID || !self.rules().wants(id) {
            return;
        }
        if let Some(is_complete) = self.judged.ids.get_mut(&id) {
            self.tally.skipped.spans_late += 1;
            self.tally.skipped.traces_late += u64::from(mem::take(is_complete));
            return;
        }
        self.pushed += 1;
        let touched = Turn { time: now, pushed: self.pushed };
        let trace = self.open.entry(id).or_insert_with(|| {
            self.turns.insert(touched, id);
            Trace { spans: Vec::new(), first: self.pushed, touched, turn: touched, is_waiting: false }
        });
        trace.spans.push(span);
        trace.touched = touched;
        if mem::take(&mut trace.is_waiting) {
            self.waiting.remove(&trace.turn);
            trace.turn = touched;
            self.turns.insert(touched, id);
        }
        self.spans += 1;
        if self.spans > self.max_spans {
            self.make_room();
        }
    }

    /// Returns a report on the traces judged so far. The others are counted as
    /// [pending](super::Skipped::traces_pending).
    pub fn report(&self) -> Report {
        let mut report = self.tally.report();
        report.skipped.traces_pending = self.pending_traces();
        report
    }

    /// Judges all remaining traces, in the order of their first spans, and returns the report.
    pub fn finish(mut self) -> Report {
        let mut left: Vec<_> = mem::take(&mut self.open).into_iter().collect();
        left.sort_unstable_by_key(|(_, trace)| trace.first);
        for (id, trace) in left {
            self.tally.add(id, trace.spans);
        }
        self.report()
    }

    /// The number of traces that have not been judged.
    pub(super) fn pending_traces(&self) -> u64 {
        self.open.len() as u64
    }

    /// Judges traces until there is room, starting with the least recently updated one.
    fn make_room(&mut self) {
        let enough = self.max_spans - self.max_spans / 8;
        while self.spans > enough {
            let Some(id) = self.quietest() else { return };
            self.judge(id, true);
        }
    }

    /// Returns the least recently updated trace.
    fn quietest(&mut self) -> Option<TraceId> {
        loop {
            let (turn, id) = [self.turns.first_key_value(), self.waiting.first_key_value()]
                .into_iter()
                .flatten()
                .min_by_key(|(turn, _)| **turn)?;
            let (turn, id) = (*turn, *id);
            let trace = self.open.get_mut(&id)?;
            if trace.is_waiting || trace.touched.pushed == turn.pushed {
                return Some(id);
            }
            self.turns.remove(&turn);
            trace.turn = trace.touched;
            self.turns.insert(trace.turn, id);
        }
    }

    /// Judges the traces that have not been updated since `quiet_since`. Those with open spans, according to `is_open`,
    /// are requeued as if updated `now`. Those with a missing parent are judged only if they have not been updated
    /// since `patience_since`, because the parent may be an open span of another library.
    ///
    /// Returns the number of checked traces. Traces whose turn has not come are not checked.
    #[cfg(any(feature = "otlp", test))]
    pub(super) fn judge_quiet(
        &mut self,
        now: u64,
        quiet_since: u64,
        patience_since: Option<u64>,
        mut is_open: impl FnMut(TraceId) -> bool,
    ) -> usize {
        let (mut checked, mut later) = (0, Vec::new());
        while let Some(first) = self.turns.first_entry().filter(|first| first.key().time <= quiet_since) {
            checked += 1;
            let (turn, id) = first.remove_entry();
            let Some(trace) = self.open.get_mut(&id) else { continue };
            if trace.touched.pushed != turn.pushed {
                trace.turn = trace.touched;
                self.turns.insert(trace.turn, id);
                continue;
            }
            let before = trace.spans.len();
            trace.is_waiting = self.tally.is_unfinished(&mut trace.spans);
            self.spans -= before - trace.spans.len();
            if trace.is_waiting {
                self.waiting.insert(turn, id);
            } else if is_open(id) {
                later.push(id);
            } else {
                self.judge(id, false);
            }
        }
        let is_due = |turn: Turn| patience_since.is_some_and(|since| turn.time <= since);
        while let Some(first) = self.waiting.first_entry().filter(|first| is_due(*first.key())) {
            checked += 1;
            let id = first.remove();
            if is_open(id) {
                later.push(id);
            } else {
                self.judge(id, false);
            }
        }
        for id in later {
            let Some(trace) = self.open.get_mut(&id) else { continue };
            trace.turn.time = now;
            let queue = if trace.is_waiting { &mut self.waiting } else { &mut self.turns };
            queue.insert(trace.turn, id);
        }
        checked
    }

    fn judge(&mut self, id: TraceId, is_forced: bool) {
        let Some(mut trace) = self.open.remove(&id) else { return };
        let queue = if trace.is_waiting { &mut self.waiting } else { &mut self.turns };
        queue.remove(&trace.turn);
        self.spans -= trace.spans.len();
        let is_given_up = is_forced && self.tally.is_unfinished(&mut trace.spans);
        let is_complete = if is_given_up {
            self.tally.skipped.traces_given_up += 1;
            false
        } else {
            self.tally.add(id, trace.spans)
        };
        self.judged.insert(id, is_complete);
    }
}

impl Rules {
    /// Whether a trace belongs to the audited share. The ID is mixed first: if the decision depended on the bits that
    /// samplers use, either all sampled traces would be selected, or none.
    pub(super) fn wants(&self, id: TraceId) -> bool {
        if self.sample >= 1.0 {
            return true;
        }
        let bytes = id.to_bytes();
        let (high, low) = bytes.split_at(8);
        let number = |half: &[u8]| half.try_into().map_or(0, u64::from_be_bytes);
        let mixed = (number(high) ^ number(low)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
        #[expect(clippy::cast_precision_loss, reason = "the value has 53 bits")]
        let place = mixed as f64 / (1_u64 << 53) as f64;
        place < self.sample
    }
}
