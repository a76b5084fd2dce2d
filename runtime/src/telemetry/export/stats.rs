//! Counts of spans by outcome.

use super::super::text::count;

/// Counts of the spans of this process by outcome since [`init`](crate::telemetry::init): a consistent snapshot.
///
/// Every sampled span that has ended and was handed over for export is counted once. As a rule, the spans of a trace
/// are handed over together when its local root span ends. Those of a long-running trace are handed over about a second
/// after they ended, and a flush or a shutdown hands over all spans that have ended.
///
/// `finished` = `queued` + `in_flight` + `exported` + `refused` + `spans_evicted` + `spans_dropped` + `left_behind`
///
/// Traces that were not started because of load have no spans to count; they are in `traces_not_started`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportStats {
    /// Sampled spans that have ended and were handed over for export.
    pub finished: u64,
    /// Spans that are waiting in the queue.
    pub queued: u64,
    /// Spans of the batch that is being exported or waiting for a retry. They count towards the queue limit.
    pub in_flight: u64,
    /// The encoded size, in bytes, of the spans that are queued or in flight. It counts towards the byte limit.
    pub queued_bytes: u64,
    /// Spans that the exporter accepted.
    pub exported: u64,
    /// Spans that the exporter rejected permanently: with a non-retryable error, or in a partial success.
    pub refused: u64,
    /// Traces that were not recorded at all, because the queue was filling up when they started.
    pub traces_not_started: u64,
    /// Traces that were evicted from the queue as a whole, because it was full.
    pub traces_evicted: u64,
    /// Spans of the traces that were evicted.
    pub spans_evicted: u64,
    /// Spans that were dropped from traces that had already been exported in part, because the queue was full of such
    /// traces. Usually a single trace was larger than the queue.
    pub spans_dropped: u64,
    /// Spans that were queued or in flight when the shutdown timed out, or that ended afterwards.
    pub left_behind: u64,
}

/// Where a finished span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Queued,
    InFlight,
    Exported,
    Refused,
    Evicted,
    Dropped,
    LeftBehind,
}

impl ExportStats {
    /// Counts spans that have ended. Only this and [`transition`](Self::transition) count spans, so that the sum of all
    /// states is always the number of finished spans.
    pub(super) fn finish(&mut self, spans: usize, state: State) {
        let spans = spans as u64;
        self.finished += spans;
        *self.of(state) += spans;
    }

    /// Counts `spans` spans that change from one state to another.
    pub(super) fn transition(&mut self, spans: usize, from: State, to: State) {
        let spans = spans as u64;
        *self.of(from) -= spans;
        *self.of(to) += spans;
    }

    fn of(&mut self, state: State) -> &mut u64 {
        match state {
            State::Queued => &mut self.queued,
            State::InFlight => &mut self.in_flight,
            State::Exported => &mut self.exported,
            State::Refused => &mut self.refused,
            State::Evicted => &mut self.spans_evicted,
            State::Dropped => &mut self.spans_dropped,
            State::LeftBehind => &mut self.left_behind,
        }
    }

    /// Returns the number of traces of which nothing was exported because of load: those not started, and those
    /// evicted.
    pub fn traces_shed(&self) -> u64 {
        self.traces_not_started + self.traces_evicted
    }

    /// Returns the number of ended spans that have not been exported yet, or were not exported before a shutdown timed
    /// out: those queued, in flight or left behind.
    pub fn spans_unsent(&self) -> u64 {
        self.queued + self.in_flight + self.left_behind
    }

    /// Describes the losses; empty if there are none.
    pub(super) fn losses(&self) -> String {
        let losses = [
            (self.traces_not_started, "trace", "not started"),
            (self.traces_evicted, "trace", "evicted from the queue"),
            (self.spans_dropped, "span", "dropped"),
            (self.refused, "span", "refused"),
            (self.left_behind, "span", "not exported"),
        ];
        let losses = losses.iter().filter(|(number, ..)| *number > 0);
        let words: Vec<_> = losses.map(|(number, what, how)| format!("{} {how}", count(*number, what))).collect();
        words.join(", ")
    }

    /// The difference from `before`, except that `queued` and `in_flight` are the current ones.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            finished: self.finished - before.finished,
            queued: self.queued,
            in_flight: self.in_flight,
            queued_bytes: self.queued_bytes,
            exported: self.exported - before.exported,
            refused: self.refused - before.refused,
            traces_not_started: self.traces_not_started - before.traces_not_started,
            traces_evicted: self.traces_evicted - before.traces_evicted,
            spans_evicted: self.spans_evicted - before.spans_evicted,
            spans_dropped: self.spans_dropped - before.spans_dropped,
            left_behind: self.left_behind - before.left_behind,
        }
    }
}
