//! What became of every span.

use super::text::count;

/// What became of the spans of this process since [`init`](super::init), at one moment.
///
/// Every span that has ended and was sampled is counted once:
///
/// `finished` = `queued` + `in_flight` + `exported` + `refused` + `spans_evicted` + `spans_dropped` + `left_behind`
///
/// Traces that were not begun have no spans that could be counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Sampled spans that have ended.
    pub finished: u64,
    /// Spans in the queue.
    pub queued: u64,
    /// Spans that are being exported, or will be tried again.
    pub in_flight: u64,
    /// Spans that the exporter has taken.
    pub exported: u64,
    /// Spans that the collector has refused for good.
    pub refused: u64,
    /// Traces that were not begun, because too many spans were waiting.
    pub traces_not_begun: u64,
    /// Traces that were evicted from the queue as a whole, because it was full.
    pub traces_evicted: u64,
    /// The spans of those.
    pub spans_evicted: u64,
    /// Spans that were dropped from traces that had begun to leave, because the queue was full of such: as a
    /// rule one trace alone was larger than the queue.
    pub spans_dropped: u64,
    /// Spans that still waited when the time for shutting down was over.
    pub left_behind: u64,
}

impl Counts {
    /// Traces of which nothing was exported: not begun, or evicted.
    pub(super) fn traces_shed(&self) -> u64 {
        self.traces_not_begun + self.traces_evicted
    }

    /// What is lost, in words; empty if nothing is.
    pub(super) fn losses(&self) -> String {
        let losses = [
            (self.traces_not_begun, "trace", "not recorded"),
            (self.traces_evicted, "trace", "evicted from the queue"),
            (self.spans_dropped, "span", "dropped"),
            (self.refused, "span", "refused"),
            (self.left_behind, "span", "not sent"),
        ];
        let losses = losses.iter().filter(|(number, ..)| *number > 0);
        let words: Vec<_> = losses.map(|(number, what, how)| format!("{} {how}", count(*number, what))).collect();
        words.join(", ")
    }

    /// What was added since `before`; what waits is that of now.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            finished: self.finished - before.finished,
            queued: self.queued,
            in_flight: self.in_flight,
            exported: self.exported - before.exported,
            refused: self.refused - before.refused,
            traces_not_begun: self.traces_not_begun - before.traces_not_begun,
            traces_evicted: self.traces_evicted - before.traces_evicted,
            spans_evicted: self.spans_evicted - before.spans_evicted,
            spans_dropped: self.spans_dropped - before.spans_dropped,
            left_behind: self.left_behind - before.left_behind,
        }
    }
}
