//! The traces that are not judged yet.

use std::collections::VecDeque;
use std::mem;

use opentelemetry::trace::TraceId;

use super::model::Span;
use super::report::Report;
use super::rules::Rules;
use super::tally::{Map, Set, Tally};

/// Looks at spans and judges traces. See the [module](super).
///
/// Spans are given to [`push`](Self::push) in any order. A trace is judged when the audit [finishes](Self::finish), or
/// as soon as there are more spans than [`max_spans`](Rules::max_spans).
///
/// A span takes about 300 bytes and its attributes until its trace is judged. After that there are counts, at most
/// for a thousand services with their entry points and for a thousand breaks, and examples. Further services and breaks
/// are counted together.
#[derive(Debug, Clone)]
pub struct Audit {
    open: Map<TraceId, Trace>,
    /// The ids of these traces: the ones that came first, or were looked at longest ago, first.
    order: VecDeque<TraceId>,
    /// Spans in `open`, and how many there may be.
    spans: usize,
    max_spans: usize,
    /// How many spans were pushed.
    pushed: u64,
    judged: Judged,
    pub(super) tally: Tally,
}

#[derive(Debug, Clone, Default)]
struct Trace {
    spans: Vec<Span>,
    /// When the last span came, as a number of spans.
    touched: u64,
    /// And as a time.
    touched_at: u64,
    /// A parent is missing, as far as spans had come when it was last looked at.
    is_waiting: bool,
}

/// Traces that were judged before all spans had been pushed.
#[derive(Debug, Clone, Default)]
struct Judged {
    ids: Set<TraceId>,
    order: VecDeque<TraceId>,
}

/// How many spans are kept, unless the rules say otherwise.
const MAX_SPANS: usize = 1 << 20;

/// How many of them are remembered.
const MAX_JUDGED: usize = 1 << 16;

impl Judged {
    fn insert(&mut self, id: TraceId) {
        if self.order.len() == MAX_JUDGED {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest);
            }
        }
        if self.ids.insert(id) {
            self.order.push_back(id);
        }
    }
}

impl Audit {
    /// An audit by these rules.
    pub fn new(rules: Rules) -> Self {
        Self {
            max_spans: rules.max_spans.unwrap_or(MAX_SPANS),
            open: Map::default(),
            order: VecDeque::new(),
            spans: 0,
            pushed: 0,
            judged: Judged::default(),
            tally: Tally::new(rules),
        }
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.tally.rules
    }

    /// Looks at a span. One without a valid trace id or span id is ignored.
    pub fn push(&mut self, span: Span) {
        self.push_at(span, 0);
    }

    /// Looks at a span, at a time.
    pub(super) fn push_at(&mut self, span: Span, now: u64) {
        let id = span.trace_id;
        if id == TraceId::INVALID || span.span_id == opentelemetry::trace::SpanId::INVALID || !self.rules().wants(id) {
            return;
        }
        if self.judged.ids.contains(&id) {
            self.tally.skipped.spans_late += 1;
            return;
        }
        self.pushed += 1;
        let trace = self.open.entry(id).or_default();
        if trace.spans.is_empty() {
            self.order.push_back(id);
        }
        trace.spans.push(span);
        (trace.touched, trace.touched_at, trace.is_waiting) = (self.pushed, now, false);
        self.spans += 1;
        if self.spans > self.max_spans {
            self.make_room();
        }
    }

    /// The traces that have been judged, without those that are still open.
    pub fn report(&self) -> Report {
        let mut report = self.tally.report();
        report.skipped.traces_pending = self.pending_traces();
        report
    }

    /// Judges the traces that are left, in the order in which they came.
    pub fn finish(mut self) -> Report {
        let order = mem::take(&mut self.order);
        for id in order {
            if let Some(trace) = self.open.remove(&id) {
                self.tally.add(id, trace.spans);
            }
        }
        self.report()
    }

    /// How many traces are not judged yet.
    pub(super) fn pending_traces(&self) -> u64 {
        self.open.len() as u64
    }

    /// Judges traces until there is room: those of which nothing came lately, and others only if that is not enough.
    fn make_room(&mut self) {
        let enough = self.max_spans - self.max_spans / 8;
        let lately = self.pushed.saturating_sub(self.max_spans as u64 / 4);
        for is_forced in [false, true] {
            for _ in 0..self.order.len() {
                if self.spans <= enough {
                    return;
                }
                let Some(id) = self.order.pop_front() else { return };
                let is_quiet = self.open.get(&id).is_some_and(|trace| trace.touched <= lately);
                if is_quiet || is_forced {
                    self.judge(id, true);
                } else {
                    self.order.push_back(id);
                }
            }
        }
    }

    /// Judges the traces of which nothing came since `quiet_since`, unless `is_open` says that more will come. Traces
    /// that lack a parent have until `patience_since`: it may be a span of another library, which is open.
    #[cfg(any(feature = "otlp", test))]
    pub(super) fn judge_quiet(
        &mut self,
        quiet_since: u64,
        patience_since: Option<u64>,
        mut is_open: impl FnMut(TraceId) -> bool,
    ) {
        for _ in 0..self.order.len() {
            let Some(id) = self.order.pop_front() else { return };
            let Some(trace) = self.open.get_mut(&id).filter(|trace| trace.touched_at <= quiet_since) else {
                self.order.push_back(id);
                continue;
            };
            let is_due = patience_since.is_some_and(|since| trace.touched_at <= since);
            if !is_due && !trace.is_waiting {
                let before = trace.spans.len();
                trace.is_waiting = self.tally.is_unfinished(&mut trace.spans);
                self.spans -= before - trace.spans.len();
            }
            if (is_due || !trace.is_waiting) && !is_open(id) {
                self.judge(id, false);
            } else {
                self.order.push_back(id);
            }
        }
    }

    fn judge(&mut self, id: TraceId, is_forced: bool) {
        let Some(mut trace) = self.open.remove(&id) else { return };
        self.spans -= trace.spans.len();
        self.judged.insert(id);
        if is_forced && self.tally.is_unfinished(&mut trace.spans) {
            self.tally.skipped.traces_given_up += 1;
        } else {
            self.tally.add(id, trace.spans);
        }
    }
}

impl Rules {
    /// Whether a trace is among the share that is looked at. Not by the bits of the id that samplers look at, or
    /// it would be all of the traces or none.
    pub(super) fn wants(&self, id: TraceId) -> bool {
        if self.sample >= 1.0 {
            return true;
        }
        let bytes = id.to_bytes();
        let (high, low) = bytes.split_at(8);
        let number = |half: &[u8]| half.try_into().map_or(0, u64::from_be_bytes);
        let mixed = (number(high) ^ number(low)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        let place = mixed as f64 / (1_u64 << 53) as f64;
        place < self.sample
    }
}
