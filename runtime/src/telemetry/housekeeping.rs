//! What the thread that sends looks after besides: it counts, and tells what has to be told.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use opentelemetry::{KeyValue, global};

use super::queue::Losses;
use super::sender::Sent;
use super::shared::{Counts, Shared, TICK};
use super::{early, overdue};

/// Warnings of one kind are at least this far apart.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// So often it is told that the collector does not answer.
const SILENCE_INTERVAL: Duration = Duration::from_secs(60);

/// Metrics, and what they count.
const TRACES: (&str, &str) = ("throughline.traces.shed", "Traces that were not recorded, or thrown out as a whole");
const SPANS: (&str, &str) = ("throughline.spans.lost", "Spans that were lost out of traces that had begun to leave");

/// What is told of, and when it was last told of.
pub(super) struct Housekeeping {
    last: Option<Instant>,
    /// The totals when it last looked at them.
    seen: Counts,
    /// Not told of yet.
    not_begun: u64,
    losses: Losses,
    refused: u64,
    why: String,
    /// When it was last told that the collector does not answer.
    silent: Option<Instant>,
    /// When it last looked at the open spans.
    looked: Option<Instant>,
}

impl Housekeeping {
    pub(super) fn new() -> Self {
        Self {
            last: None,
            seen: Counts::default(),
            not_begun: 0,
            losses: Losses::default(),
            refused: 0,
            why: String::new(),
            silent: None,
            looked: None,
        }
    }

    pub(super) fn refused(&mut self, sent: Sent) {
        if sent.refused > 0 {
            self.refused += sent.refused;
            self.why = sent.why;
        }
    }

    /// A batch is on its way for `age`.
    pub(super) fn waited(&mut self, shared: &Shared, age: Duration, batch: u64, trouble: impl FnOnce() -> String) {
        if age >= WARNING_INTERVAL && self.silent.is_none_or(|last| last.elapsed() >= SILENCE_INTERVAL) {
            self.silent = Some(Instant::now());
            tracing::warn!(
                "{} has taken no spans for {} s; {} wait, and {} at most: {}",
                shared.watch.collector,
                age.as_secs(),
                shared.queue.len() as u64 + batch,
                shared.queue.limit(),
                Some(trouble()).filter(|why| !why.is_empty()).as_deref().unwrap_or("no answer"),
            );
        }
    }

    pub(super) fn answered(&mut self, shared: &Shared) {
        if self.silent.take().is_some() {
            tracing::info!("{} takes spans again", shared.watch.collector);
        }
    }

    pub(super) fn tick(&mut self, shared: &Shared) {
        if self.looked.is_none_or(|looked| looked.elapsed() >= TICK) {
            self.looked = Some(Instant::now());
            early::tell();
            if let Some(open) = &shared.watch.open {
                overdue::look(open, shared.watch.overdue);
            }
        }
        self.settle(shared);
        if self.last.is_none_or(|last| last.elapsed() >= WARNING_INTERVAL) {
            self.tell(shared);
        }
    }

    pub(super) fn finish(&mut self, shared: &Shared) {
        early::tell();
        self.settle(shared);
        self.tell(shared);
        let left = shared.counts.left_behind.load(Ordering::Relaxed);
        if left > 0 {
            tracing::warn!(
                "{left} spans were not sent: {} did not take them before the time for shutting down was over",
                shared.watch.collector,
            );
        }
    }

    fn settle(&mut self, shared: &Shared) {
        shared.settle();
        // By the totals, because whoever asks for them settles them too.
        let now = shared.counts.read();
        let seen = std::mem::replace(&mut self.seen, now);
        let not_begun = now.traces_not_begun - seen.traces_not_begun;
        let losses = Losses {
            traces: now.traces_thrown_out - seen.traces_thrown_out,
            spans: now.spans_thrown_out - seen.spans_thrown_out,
            torn: now.spans_torn_out - seen.spans_torn_out,
        };
        self.not_begun += not_begun;
        self.losses.traces += losses.traces;
        self.losses.spans += losses.spans;
        self.losses.torn += losses.torn;
        for (count, (name, description), reason) in [
            (not_begun, TRACES, "not_begun"),
            (losses.traces, TRACES, "thrown_out"),
            (losses.torn, SPANS, "torn_out"),
            (now.refused - seen.refused, SPANS, "refused"),
            (now.left_behind - seen.left_behind, SPANS, "left_behind"),
        ] {
            if count > 0 {
                // Asked anew each time: an instrument made before the meter provider is set stays
                // silent.
                let meter = global::meter("throughline");
                meter
                    .u64_counter(name)
                    .with_description(description)
                    .build()
                    .add(count, &[KeyValue::new("throughline.reason", reason)]);
            }
        }
    }

    fn tell(&mut self, shared: &Shared) {
        let traces = self.not_begun + self.losses.traces;
        if traces == 0 && self.losses.torn == 0 && self.refused == 0 {
            return;
        }
        self.last = Some(Instant::now());
        if traces > 0 {
            tracing::warn!(
                "{traces} traces were left out as a whole, because spans come faster than they leave or the collector \
                 does not answer; the queue holds {} spans (`OTEL_BSP_MAX_QUEUE_SIZE`)",
                shared.queue.limit(),
            );
        }
        if self.losses.torn > 0 {
            tracing::warn!(
                "{} spans were lost out of their traces: the queue of {} spans was full of traces that had begun to leave",
                self.losses.torn,
                shared.queue.limit(),
            );
        }
        if self.refused > 0 {
            tracing::warn!("{} has refused {} spans: {}", shared.watch.collector, self.refused, self.why);
        }
        self.not_begun = 0;
        self.losses = Losses::default();
        self.refused = 0;
    }
}
