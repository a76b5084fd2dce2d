//! The loop of the export thread.

use std::cell::RefCell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time;

use super::control::Control;
use super::exporter::{Batch, BatchExporter, Outcome};
use super::monitor::Monitor;
use super::pipeline::Source;
use super::queue::Queue;
use crate::clock;
use crate::guard::panics::caught;
use crate::telemetry::audit::LiveAudit;
use crate::telemetry::config::BatchConfig;
use crate::tracer::encoded::QueuedSpans;

/// The interval at which the thread wakes up by itself.
pub(super) const TICK: Duration = Duration::from_millis(500);

/// The maximum number of early wake-ups until the clock has settled. Bounded, because on some machines it never does.
const MAX_EARLY_WAKES: u32 = 20;

/// The minimum time between two checks of the queue, whatever the value of `OTEL_BSP_SCHEDULE_DELAY`.
const MIN_DELAY: Duration = Duration::from_millis(10);

pub(super) struct Worker<'a, E> {
    queue: &'a Queue,
    control: &'a Control,
    batch: &'a BatchConfig,
    source: &'a Source,
    exporter: E,
    monitor: Monitor,
    audit: Option<LiveAudit>,
    /// The interval at which long-running traces are checked.
    delay: Duration,
    last_tick: Instant,
    /// Whether the exporter was told about the shutdown.
    is_shutting_down: bool,
}

impl<'a, E: BatchExporter> Worker<'a, E> {
    pub(super) fn new(
        queue: &'a Queue,
        control: &'a Control,
        batch: &'a BatchConfig,
        source: &'a Source,
        exporter: E,
        monitor: Monitor,
        audit: Option<LiveAudit>,
    ) -> Self {
        let delay = batch.schedule_delay.clamp(MIN_DELAY, TICK);
        let last_tick = Instant::now();
        Self { queue, control, batch, source, exporter, monitor, audit, delay, last_tick, is_shutting_down: false }
    }

    /// Exports until a shutdown is requested and complete.
    pub(super) async fn run(mut self) {
        let max_ticks = self.batch.schedule_delay.as_millis() / self.delay.as_millis();
        let max_ticks = u32::try_from(max_ticks).unwrap_or(u32::MAX);
        let mut last_export = Instant::now();
        let mut early_wakes = MAX_EARLY_WAKES;
        loop {
            let is_early = early_wakes > 0 && clock::is_settling();
            if !self.control.has_request() {
                let delay = if is_early { self.delay.min(clock::SETTLING_INTERVAL) } else { self.delay };
                let is_woken = time::timeout(delay, self.control.woken()).await.is_ok();
                early_wakes -= u32::from(is_early && !is_woken);
            }
            safely(|| self.monitor.tick(|| None));
            let (flushes, deadline) = self.control.take_requests();
            let everything = !flushes.is_empty() || deadline.is_some();
            // Also if there are requests: an application may flush more often than the thread wakes up by itself.
            let is_tick = self.tick();
            if everything {
                self.source.hand_over_all();
                self.queue.release_all();
            } else if is_tick {
                self.queue.release_old(max_ticks);
            }
            self.queue.collect();
            let is_full = self.queue.ready() >= self.batch.export_threshold();
            if everything || is_full || last_export.elapsed() >= self.batch.schedule_delay {
                last_export = Instant::now();
                self.export_ready(everything).await;
            }
            if everything {
                self.judge(true, deadline.or_else(|| self.control.deadline()).is_some());
            }
            if !flushes.is_empty() {
                safely(|| self.exporter.flush());
            }
            for flush in flushes {
                let _ = flush.send(());
            }
            if let Some(deadline) = deadline.or_else(|| self.control.deadline()) {
                if self.queue.len() > 0 && Instant::now() < deadline {
                    continue;
                }
                return self.finish(deadline);
            }
        }
    }

    /// Does the periodic work if a tick is due. Returns whether it was.
    fn tick(&mut self) -> bool {
        if self.last_tick.elapsed() < self.delay {
            return false;
        }
        self.last_tick = Instant::now();
        self.queue.free_evicted();
        self.source.hand_over_old();
        self.judge(false, false);
        true
    }

    /// Audits traces that have been quiet for long enough, or all traces on a flush or a shutdown.
    fn judge(&self, is_flush: bool, is_shutdown: bool) {
        if let Some(audit) = &self.audit {
            safely(|| audit.judge(is_flush, is_shutdown, |trace| self.queue.has(trace)));
        }
    }

    /// Counts everything that is queued or in flight as left behind.
    fn finish(mut self, deadline: Instant) {
        self.queue.close();
        self.control.close();
        safely(|| self.monitor.finish(self.exporter.last_error().as_deref()));
        self.exporter.shutdown(deadline.saturating_duration_since(Instant::now()));
    }

    /// Exports ready spans: all that are ready now, or only as long as they fill a batch.
    async fn export_ready(&mut self, everything: bool) {
        self.control.set_exporting(true);
        self.export_batches(everything).await;
        self.control.set_exporting(false);
        self.queue.collect();
        if self.queue.ready() >= self.batch.export_threshold() {
            self.control.wake();
        }
    }

    async fn export_batches(&mut self, everything: bool) {
        // Not including spans that become ready in the meantime, or a flush might never end.
        let mut left = self.queue.ready();
        while left > 0 {
            let batch = self.queue.take(self.batch.largest_batch().min(left));
            let count = batch.iter().map(|spans| spans.count as usize).sum();
            if count == 0 || !self.export(batch).await {
                return;
            }
            left = match self.queue.ready() {
                _ if everything => left.saturating_sub(count),
                ready if ready >= self.batch.export_threshold() => ready,
                _ => 0,
            };
        }
    }

    /// Exports one batch. Returns `false` if a shutdown timed out before the outcome was known.
    async fn export(&mut self, batch: Vec<QueuedSpans>) -> bool {
        let Self { queue, control, exporter, monitor, audit, source, delay, last_tick, is_shutting_down, .. } = self;
        if let Some(audit) = audit {
            safely(|| audit.observe(&batch));
        }
        let scopes = source.scopes();
        let batch = Batch { spans: batch, scopes: &scopes, max_spans: self.batch.largest_batch() };
        let begun = Instant::now();
        let (refusals, warnings) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let report = |outcome: Outcome| {
            queue.settle(outcome.exported, outcome.refused);
            if outcome.refused > 0 {
                refusals.borrow_mut().push(outcome.reason);
            } else if !outcome.reason.is_empty() {
                warnings.borrow_mut().push(outcome.reason);
            }
        };
        let mut export = pin!(exporter.export(batch, &report));
        loop {
            let mut woken = pin!(control.woken());
            let export_or_wake = poll_fn(|cx| {
                // A custom exporter may panic, which must not end the export thread.
                match catch_unwind(AssertUnwindSafe(|| export.as_mut().poll(cx))) {
                    Ok(Poll::Ready(())) => Poll::Ready(true),
                    Ok(Poll::Pending) => woken.as_mut().poll(cx).map(|()| false),
                    Err(_) => {
                        report(Outcome::refused(queue.in_flight() as u64, "the exporter panicked".to_owned()));
                        Poll::Ready(true)
                    }
                }
            });
            let left = control.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if let Some(left) = left.filter(|_| !std::mem::replace(is_shutting_down, true)) {
                exporter.shutdown_begins(left);
            }
            let left = left.unwrap_or(TICK);
            let is_settled = time::timeout(TICK.min(left), export_or_wake).await == Ok(true);
            for reason in refusals.take() {
                monitor.refused(reason);
            }
            for warning in warnings.take() {
                safely(|| monitor.warned_by_collector(warning));
            }
            if is_settled {
                break;
            }
            if last_tick.elapsed() >= *delay {
                *last_tick = Instant::now();
                queue.free_evicted();
                source.hand_over_old();
            }
            safely(|| monitor.tick(|| exporter.last_error()));
            safely(|| monitor.pending(begun, || exporter.last_error()));
            if control.is_past_deadline() {
                return false;
            }
        }
        safely(|| monitor.settled());
        true
    }
}

/// Catches panics of application code, which must not end the export thread: of the subscriber, for example because its
/// output is closed, and of the meter provider.
fn safely(call: impl FnOnce()) {
    let _ = caught(call);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::queue::QueueLimits;
    use super::*;
    use crate::tracer::encoded::EncodedSpans;

    /// Far longer than anything takes.
    const TIMEOUT: Duration = Duration::from_secs(60);

    /// Evicts a trace in the first flush, and requests the next flush in each, until the trace is freed.
    struct Flushes<'a> {
        queue: &'a Queue,
        control: &'a Control,
        begun: Instant,
    }

    impl BatchExporter for Flushes<'_> {
        async fn export(&self, batch: Batch<'_>, report: &dyn Fn(Outcome)) {
            report(Outcome::exported(batch.spans.iter().map(|spans| u64::from(spans.count)).sum()));
        }

        fn flush(&self) {
            if self.queue.stats().traces_evicted == 0 {
                let child = EncodedSpans { has_local_root: false, ..EncodedSpans::complete(1, 1, vec![0; 9]) };
                for _ in 0..=self.queue.limits().spans {
                    self.queue.offer(&child);
                }
                self.queue.collect();
                assert!(self.queue.unfreed() > 0, "the pushes have freed everything");
            }
            if self.queue.unfreed() > 0 && self.begun.elapsed() < TIMEOUT {
                let _ = self.control.flush(Duration::ZERO);
            } else {
                self.control.shut_down(Duration::ZERO);
            }
        }

        fn shutdown(&self, _: Duration) {
            assert!(self.begun.elapsed() < TIMEOUT, "evicted spans are not freed");
        }
    }

    #[test]
    fn evicted_spans_are_freed_between_flushes() {
        let (queue, control) = (Arc::new(Queue::new(QueueLimits { spans: 100, bytes: 1 << 20 })), Control::default());
        let (batch, source) = (BatchConfig::default(), Source::default());
        let exporter = Flushes { queue: &queue, control: &control, begun: Instant::now() };
        let monitor = Monitor::new(Arc::clone(&queue), "the collector".to_owned(), &batch, None);
        let _ = control.flush(Duration::ZERO);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(Worker::new(&queue, &control, &batch, &source, exporter, monitor, None).run());
        assert_eq!(queue.unfreed(), 0);
    }
}
