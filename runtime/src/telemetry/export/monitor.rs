//! Reports losses and outages of the export, as metrics and warnings, and spans that stay open.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::metrics;
use super::queue::Queue;
use super::stats::ExportStats;
use crate::clock;
use crate::telemetry::config::BatchConfig;
use crate::telemetry::diagnostics::{self, Warning};
use crate::telemetry::open_spans::{OpenSpanWatch, SCAN_INTERVAL};
use crate::telemetry::text::count;

/// The minimum time between two warnings about losses, and the time without a successful export after which a warning
/// about an outage is logged.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// The time between two warnings about one outage.
const OUTAGE_INTERVAL: Duration = Duration::from_secs(60);

pub(super) struct Monitor {
    queue: Arc<Queue>,
    /// The name of the collector in messages.
    collector: String,
    /// The settings to raise if the queue is too small: its limit in spans, and the one in bytes.
    settings: [&'static str; 2],
    open_spans: Option<OpenSpanWatch>,
    last_scan: Option<Instant>,
    /// The counts when losses were last recorded as metrics.
    recorded: ExportStats,
    /// The counts when a warning about losses was last logged.
    warned: ExportStats,
    last_warning: Option<Instant>,
    /// The reason of the last refusal.
    refusal: String,
    /// The collector's last warning that was logged, and the time.
    collector_warning: Option<(String, Instant)>,
    /// The counts after the last successful export, and the time at which it was noticed.
    last_success: (ExportStats, Option<Instant>),
    /// The outage for which a warning was logged. It ends with the next successful export.
    outage: Option<Outage>,
}

struct Outage {
    /// The time of the first attempt to export a batch that failed.
    since: Instant,
    last_warning: Instant,
}

impl Monitor {
    pub(super) fn new(
        queue: Arc<Queue>,
        collector: String,
        batch: &BatchConfig,
        open_spans: Option<OpenSpanWatch>,
    ) -> Self {
        Self {
            queue,
            collector,
            settings: [batch.max_queue_size.name, batch.queue_bytes().name],
            open_spans,
            last_scan: None,
            recorded: ExportStats::default(),
            warned: ExportStats::default(),
            last_warning: None,
            refusal: String::new(),
            collector_warning: None,
            last_success: (ExportStats::default(), None),
            outage: None,
        }
    }

    /// Stores the reason of a refusal, for the next warning.
    pub(super) fn refused(&mut self, reason: String) {
        self.refusal = reason;
    }

    /// Logs a warning with which the collector has accepted all spans (OTLP, section "Partial Success"). The same
    /// warning is not logged twice in a row.
    pub(super) fn warned_by_collector(&mut self, text: String) {
        let is_due =
            self.collector_warning.as_ref().is_none_or(|(last, at)| *last != text && at.elapsed() >= WARNING_INTERVAL);
        if is_due {
            diagnostics::warn(Warning::Collector, format!("{} accepts spans with a warning: {text}", self.collector));
            self.collector_warning = Some((text, Instant::now()));
        }
    }

    /// Called regularly. If a batch is in flight, `last_error` returns why its last attempt has failed.
    pub(super) fn tick(&mut self, last_error: impl FnOnce() -> Option<String>) {
        clock::follow();
        if self.last_scan.is_none_or(|last| last.elapsed() >= SCAN_INTERVAL) {
            self.last_scan = Some(Instant::now());
            diagnostics::log_deferred();
            if let Some(open_spans) = &self.open_spans {
                open_spans.scan();
            }
        }
        self.record_metrics();
        if self.last_warning.is_none_or(|last| last.elapsed() >= WARNING_INTERVAL) {
            self.warn_of_losses(last_error);
        }
    }

    /// Reports an outage if a batch has been in flight for too long, since `begun`, and no part of it was exported in
    /// the meantime.
    pub(super) fn pending(&mut self, begun: Instant, last_error: impl FnOnce() -> Option<String>) {
        self.settled();
        let since = match (&self.outage, self.last_success.1) {
            (Some(outage), _) => outage.since,
            (None, last) => last.map_or(begun, |last| last.max(begun)),
        };
        let age = since.elapsed();
        let last_warning = self.outage.as_ref().map(|outage| outage.last_warning.elapsed());
        if age < WARNING_INTERVAL || last_warning.is_some_and(|elapsed| elapsed < OUTAGE_INTERVAL) {
            return;
        }
        self.outage = Some(Outage { since, last_warning: Instant::now() });
        let text = format!(
            "no successful export to {} for {} s; {} queued (limit {}): {}",
            self.collector,
            age.as_secs(),
            count(self.queue.len() as u64, "span"),
            self.queue.limits().spans,
            last_error().as_deref().unwrap_or(NO_ANSWER),
        );
        diagnostics::warn(Warning::NoExport, text);
    }

    /// Called when the outcome of a batch, or of a part of it, is known. Reports the end of an outage.
    pub(super) fn settled(&mut self) {
        let now = self.queue.stats();
        let recent = now.since(&self.last_success.0);
        if recent.exported == 0 {
            return;
        }
        self.last_success = (now, Some(Instant::now()));
        if let Some(Outage { since, .. }) = self.outage.take() {
            let losses = Some(recent.losses()).filter(|losses| !losses.is_empty());
            diagnostics::info(format_args!(
                "export to {} succeeds again after {} s; lost in the meantime: {}",
                self.collector,
                since.elapsed().as_secs(),
                losses.as_deref().unwrap_or("nothing"),
            ));
        }
    }

    /// Called when the export thread is about to finish. Reports spans that were left behind.
    pub(super) fn finish(&mut self, last_error: Option<&str>) {
        diagnostics::write_deferred();
        self.record_metrics();
        let left_behind = self.queue.stats().left_behind;
        let last_error = last_error.filter(|_| left_behind > 0);
        self.warn_of_losses(|| last_error.map(str::to_owned));
        if left_behind > 0 {
            let text = format!(
                "{} not exported to {} before the shutdown timed out: {}",
                count(left_behind, "span"),
                self.collector,
                last_error.unwrap_or(NO_ANSWER),
            );
            diagnostics::warn(Warning::LeftBehind, text);
        }
    }

    /// Names the limit that is closer to being reached, and its setting.
    fn limit(&self) -> String {
        let (len, bytes, limits) = (self.queue.len() as u128, self.queue.bytes() as u128, self.queue.limits());
        let [spans_setting, bytes_setting] = self.settings;
        if bytes * limits.spans as u128 > len * limits.bytes as u128 {
            format!("{} bytes (`{bytes_setting}`)", limits.bytes)
        } else {
            format!("{} spans (`{spans_setting}`)", limits.spans)
        }
    }

    fn record_metrics(&mut self) {
        let now = self.queue.stats();
        metrics::record(&now.since(&self.recorded));
        self.recorded = now;
    }

    /// Logs warnings about losses. Uses the counts that were recorded as metrics, so that both agree.
    fn warn_of_losses(&mut self, last_error: impl FnOnce() -> Option<String>) {
        let recent = self.recorded.since(&self.warned);
        let shed = recent.traces_shed();
        if shed == 0 && recent.spans_dropped == 0 && recent.refused == 0 {
            return;
        }
        self.warned = self.recorded;
        self.last_warning = Some(Instant::now());
        let (collector, limit) = (&self.collector, self.limit());
        if shed > 0 {
            let shed = count(shed, "trace");
            let text = match last_error() {
                Some(error) => format!(
                    "{shed} shed as a whole: export to {collector} fails, and the queue limit is {limit}: {error}",
                ),
                None => format!(
                    "{shed} shed as a whole: spans end faster than {collector} accepts them, and the queue limit is \
                     {limit}; raise it, or sample fewer traces",
                ),
            };
            diagnostics::warn(Warning::Shed, text);
        }
        if recent.spans_dropped > 0 {
            let text = format!(
                "{} dropped from traces that were exported in part: these alone reached the queue limit of {limit}; \
                 raise it, or split the work into more traces",
                count(recent.spans_dropped, "span"),
            );
            diagnostics::warn(Warning::Dropped, text);
        }
        if recent.refused > 0 {
            let text = format!("{collector} refused {}: {}", count(recent.refused, "span"), self.refusal);
            diagnostics::warn(Warning::Refused, text);
        }
    }
}

const NO_ANSWER: &str = "no response";

#[cfg(test)]
mod tests {
    use super::super::queue::QueueLimits;
    use super::*;
    use crate::tracer::encoded::EncodedSpans;

    fn monitor() -> Monitor {
        let queue = Queue::new(QueueLimits { spans: 100, bytes: 1 << 20 });
        Monitor::new(Arc::new(queue), "the collector".to_owned(), &BatchConfig::default(), None)
    }

    /// Puts a batch of one span in flight.
    fn begin(monitor: &Monitor) {
        monitor.queue.offer(&EncodedSpans::complete(1, 1, vec![0; 9]));
        assert_eq!(monitor.queue.take(1).len(), 1);
    }

    /// A time that is long enough ago for a warning.
    fn long_ago() -> Instant {
        Instant::now().checked_sub(WARNING_INTERVAL * 2).expect("the machine has been up for longer")
    }

    #[test]
    fn an_outage_ends_with_the_next_export_that_succeeds() {
        let mut monitor = monitor();
        begin(&monitor);
        let begun = long_ago();
        monitor.pending(begun, || None);
        assert!(monitor.outage.is_some());
        monitor.queue.settle(0, 1);
        monitor.settled();
        begin(&monitor);
        monitor.pending(Instant::now(), || None);
        let since = monitor.outage.as_ref().map(|outage| outage.since);
        assert_eq!(since, Some(begun), "a refusal does not end it");
        monitor.queue.settle(1, 0);
        monitor.settled();
        assert!(monitor.outage.is_none());
    }

    #[test]
    fn the_warning_about_an_outage_is_repeated_after_the_interval() {
        let mut monitor = monitor();
        begin(&monitor);
        let begun = long_ago();
        let just_now = Instant::now();
        monitor.outage = Some(Outage { since: begun, last_warning: just_now });
        monitor.pending(begun, || None);
        let logged = monitor.outage.as_ref().map(|outage| outage.last_warning);
        assert_eq!(logged, Some(just_now), "too early for another warning");
        let last_warning = Instant::now().checked_sub(OUTAGE_INTERVAL).expect("the machine has been up for longer");
        monitor.outage = Some(Outage { since: begun, last_warning });
        monitor.pending(begun, || None);
        assert!(monitor.outage.as_ref().is_some_and(|outage| outage.last_warning >= just_now));
    }

    #[test]
    fn a_slow_batch_that_is_exported_in_parts_is_not_an_outage() {
        let mut monitor = monitor();
        begin(&monitor);
        begin(&monitor);
        monitor.queue.settle(1, 0);
        monitor.pending(long_ago(), || None);
        assert!(monitor.outage.is_none());
    }

    #[test]
    fn a_collector_warning_is_logged_if_it_is_new_and_the_interval_has_passed() {
        let mut monitor = monitor();
        let logged = |monitor: &Monitor| monitor.collector_warning.as_ref().map(|(text, _)| text.clone());
        monitor.warned_by_collector("a".to_owned());
        monitor.warned_by_collector("b".to_owned());
        assert_eq!(logged(&monitor).as_deref(), Some("a"), "too early for another one");
        let begun = long_ago();
        monitor.collector_warning = Some(("a".to_owned(), begun));
        monitor.warned_by_collector("a".to_owned());
        assert!(monitor.collector_warning.as_ref().is_some_and(|(_, at)| *at == begun), "the same warning");
        monitor.warned_by_collector("b".to_owned());
        assert_eq!(logged(&monitor).as_deref(), Some("b"));
    }
}
