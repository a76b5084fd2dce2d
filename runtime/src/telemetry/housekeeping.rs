//! What the thread that sends looks after besides: it counts, and tells what has to be told.

use std::time::{Duration, Instant};

use opentelemetry::{KeyValue, global};

use super::counts::Counts;
use super::notice::{self, Kind};
use super::overdue;
use super::sender::Sent;
use super::shared::{Shared, TICK};
use super::text::count;

/// Warnings of one kind are at least this far apart.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// So often it is told that the collector does not answer.
const SILENCE_INTERVAL: Duration = Duration::from_secs(60);

/// Metrics: name, unit and description.
const TRACES: [&str; 3] =
    ["throughline.traces.shed", "{trace}", "Traces that were not recorded, or evicted as a whole"];
const SPANS: [&str; 3] =
    ["throughline.spans.lost", "{span}", "Spans that were lost out of traces that had begun to leave"];

/// What is told of, and when it was last told of.
pub(super) struct Housekeeping {
    /// The last warning of what was lost.
    last: Option<Instant>,
    /// What the metrics have.
    metered: Counts,
    /// What was told of.
    told: Counts,
    /// Why spans were refused.
    why: String,
    /// When the collector has last taken spans.
    taken: Counts,
    /// The collector does not answer, which was told of.
    silence: Option<Silence>,
    /// When it last looked at the open spans.
    looked: Option<Instant>,
}

struct Silence {
    /// When the batch was first sent that has not got through.
    since: Instant,
    told: Instant,
}

impl Housekeeping {
    pub(super) fn new() -> Self {
        Self {
            last: None,
            metered: Counts::default(),
            told: Counts::default(),
            why: String::new(),
            taken: Counts::default(),
            silence: None,
            looked: None,
        }
    }

    pub(super) fn refused(&mut self, sent: Sent) {
        self.why = sent.why;
    }

    /// A batch is on its way since `since`.
    pub(super) fn waited(&mut self, shared: &Shared, since: Instant, trouble: impl FnOnce() -> String) {
        let age = since.elapsed();
        let told = self.silence.as_ref().map(|silence| silence.told.elapsed());
        if age < WARNING_INTERVAL || told.is_some_and(|told| told < SILENCE_INTERVAL) {
            return;
        }
        self.silence = Some(Silence { since, told: Instant::now() });
        let why = Some(trouble()).filter(|why| !why.is_empty());
        let text = format!(
            "no successful export to {} for {} s; {} queued (limit {}): {}",
            shared.watch.collector,
            age.as_secs(),
            count(shared.queue.len() as u64, "span"),
            shared.queue.limit(),
            why.as_deref().unwrap_or("no answer"),
        );
        notice::warn(Kind::Silent, text);
    }

    /// It is known what became of the batch.
    pub(super) fn answered(&mut self, shared: &Shared) {
        let silence = self.silence.take();
        let now = shared.counts();
        let new = now.since(&self.taken);
        if new.exported == 0 {
            return;
        }
        self.taken = now;
        if let Some(Silence { since, .. }) = silence {
            let losses = Some(new.losses()).filter(|losses| !losses.is_empty());
            notice::info(format_args!(
                "{} takes spans again after {} s; lost meanwhile: {}",
                shared.watch.collector,
                since.elapsed().as_secs(),
                losses.as_deref().unwrap_or("nothing"),
            ));
        }
    }

    pub(super) fn tick(&mut self, shared: &Shared) {
        if self.looked.is_none_or(|looked| looked.elapsed() >= TICK) {
            self.looked = Some(Instant::now());
            notice::tell();
            if let Some(open) = &shared.watch.open {
                overdue::look(open, shared.watch.overdue);
            }
        }
        self.meter(shared);
        if self.last.is_none_or(|last| last.elapsed() >= WARNING_INTERVAL) {
            self.tell(shared);
        }
    }

    pub(super) fn finish(&mut self, shared: &Shared, trouble: &str) {
        notice::give_up_waiting();
        self.meter(shared);
        self.tell(shared);
        let left = shared.counts().left_behind;
        if left > 0 {
            let why = if trouble.is_empty() { "no answer" } else { trouble };
            let text = format!(
                "{} not sent: {} did not take them before the time for shutting down was over: {why}",
                count(left, "span"),
                shared.watch.collector,
            );
            notice::warn(Kind::Left, text);
        }
    }

    fn meter(&mut self, shared: &Shared) {
        let now = shared.counts();
        let new = now.since(&self.metered);
        self.metered = now;
        for (count, [name, unit, description], reason) in [
            (new.traces_not_begun, TRACES, "not_begun"),
            (new.traces_evicted, TRACES, "evicted"),
            (new.spans_dropped, SPANS, "dropped"),
            (new.refused, SPANS, "refused"),
            (new.left_behind, SPANS, "left_behind"),
        ] {
            if count > 0 {
                // Asked anew each time: an instrument made before the meter provider is set stays
                // silent.
                let meter = global::meter("throughline");
                meter
                    .u64_counter(name)
                    .with_unit(unit)
                    .with_description(description)
                    .build()
                    .add(count, &[KeyValue::new("throughline.reason", reason)]);
            }
        }
    }

    fn tell(&mut self, shared: &Shared) {
        let now = self.metered;
        let new = now.since(&self.told);
        let shed = new.traces_shed();
        if shed == 0 && new.spans_dropped == 0 && new.refused == 0 {
            return;
        }
        self.told = now;
        self.last = Some(Instant::now());
        let (collector, limit) = (&shared.watch.collector, shared.queue.limit());
        if shed > 0 {
            let text = format!(
                "{} not recorded, each as a whole: spans end faster than {collector} takes them, and the queue holds \
                 {limit} (`OTEL_BSP_MAX_QUEUE_SIZE`)",
                count(shed, "trace"),
            );
            notice::warn(Kind::Shed, text);
        }
        if new.spans_dropped > 0 {
            let text = format!(
                "{} dropped out of traces that had begun to leave: the queue of {limit} spans was full of such traces \
                 (`OTEL_BSP_MAX_QUEUE_SIZE`)",
                count(new.spans_dropped, "span"),
            );
            notice::warn(Kind::Dropped, text);
        }
        if new.refused > 0 {
            notice::warn(
                Kind::Refused,
                format_args!("{collector} has refused {}: {}", count(new.refused, "span"), self.why),
            );
        }
    }
}
