//! Processors and exporters of the application that misbehave.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use opentelemetry::trace::Tracer as _;
use opentelemetry::{Context, global};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use throughline::telemetry::Telemetry;

use super::{LIMIT, SHORT};
use crate::process::{alone, until};
use crate::support::{Kept, Log, run, trace};

/// A processor whose shutdown never returns.
#[derive(Debug)]
struct Endless;

impl SpanProcessor for Endless {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        loop {
            thread::park();
        }
    }
}

alone! {
    fn a_processor_that_blocks_does_not_delay_the_shutdown() {
        let kept = Kept::start();
        let telemetry = kept.builder().processor(Endless).init().expect("a valid configuration");
        trace(4);
        let report = run(telemetry.shutdown(SHORT));
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(kept.count(), 5);
        let kept = Kept::start();
        let telemetry = kept.builder().processor(Endless).init().expect("a valid configuration");
        trace(4);
        drop(telemetry);
        assert_eq!(kept.count(), 5);
    }
}

/// A processor that always panics.
#[derive(Debug)]
struct Panicking;

impl SpanProcessor for Panicking {
    fn on_start(&self, _: &mut Span, _: &Context) {
        panic!("a processor that panics")
    }

    fn on_end(&self, _: SpanData) {
        panic!("a processor that panics")
    }

    fn force_flush(&self) -> OTelSdkResult {
        panic!("a processor that panics")
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        panic!("a processor that panics")
    }
}

alone! {
    fn a_processor_that_panics_is_harmless() {
        let kept = Kept::start();
        let telemetry = kept.builder().processor(Panicking).init().expect("a valid configuration");
        trace(4);
        assert_eq!(throughline::in_span("result", || 7), 7);
        let theirs = global::tracer("theirs").in_span("theirs", |_| throughline::in_span("ours below", || 8));
        assert_eq!(theirs, 8);
        telemetry.provider().expect("telemetry is enabled").force_flush().expect_err("the processor has panicked");
        assert_eq!(kept.count(), 8);
        trace(0);
        assert!(run(telemetry.shutdown(LIMIT)).is_complete());
        assert_eq!(kept.count(), 9);
    }
}

/// An exporter that panics, fails and then succeeds, or blocks.
#[derive(Debug, Default)]
struct Own {
    calls: Arc<AtomicU32>,
    spans: Arc<AtomicU32>,
    blocks: bool,
}

impl SpanExporter for Own {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if self.blocks {
            loop {
                thread::park();
            }
        }
        match call {
            0 => panic!("an exporter that panics"),
            1 => Err(OTelSdkError::InternalFailure("no".to_owned())),
            _ => {
                self.spans.fetch_add(u32::try_from(batch.len()).expect("few"), Ordering::Relaxed);
                Ok(())
            }
        }
    }
}

fn with(own: Own) -> Telemetry {
    throughline::telemetry::builder().variables(|_| None).exporter(own).init().expect("a valid configuration")
}

/// An exporter with a buffer.
#[derive(Debug, Clone, Default)]
struct Buffered {
    pending: Arc<AtomicU32>,
    written: Arc<AtomicU32>,
    shutdowns: Arc<AtomicU32>,
}

impl SpanExporter for Buffered {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.pending.fetch_add(u32::try_from(batch.len()).expect("few"), Ordering::Relaxed);
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.written.fetch_add(self.pending.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        self.shutdowns.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

alone! {
    fn a_flush_and_a_shutdown_reach_the_exporter() {
        let own = Buffered::default();
        let builder = throughline::telemetry::builder().variables(|_| None).exporter(own.clone());
        let telemetry = builder.init().expect("a valid configuration");
        for written in [5, 10] {
            trace(4);
            telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector responds");
            assert_eq!(own.written.load(Ordering::Relaxed), written);
        }
        assert_eq!(own.shutdowns.load(Ordering::Relaxed), 0);
        assert!(run(telemetry.shutdown(LIMIT)).is_complete());
        assert_eq!(own.shutdowns.load(Ordering::Relaxed), 1);
    }
}

alone! {
    fn an_exporter_that_panics_does_not_end_the_export() {
        let log = Log::keep();
        let own = Own::default();
        let spans = Arc::clone(&own.spans);
        let telemetry = with(own);
        let provider = telemetry.provider().expect("telemetry is enabled").clone();
        for _ in 0..3 {
            trace(4);
            provider.force_flush().expect("the collector responds");
        }
        let stats = telemetry.export_stats();
        assert_eq!((stats.exported, stats.refused, spans.load(Ordering::Relaxed)), (5, 10, 5));
        let report = run(telemetry.shutdown(LIMIT));
        assert_eq!((report.stats.exported, report.stats.refused, report.is_complete()), (5, 10, false), "{report:?}");
        assert!(log.text().contains("the exporter panicked"), "{}", log.text());
    }
}

alone! {
    fn a_shutdown_with_an_exporter_that_blocks_observes_its_timeout() {
        let own = Own { blocks: true, ..Own::default() };
        let calls = Arc::clone(&own.calls);
        let telemetry = with(own);
        (0..200).for_each(|_| trace(4));
        until("the exporter is called", || calls.load(Ordering::Relaxed) == 1);
        let report = run(telemetry.shutdown(Duration::from_millis(200)));
        assert_eq!(report.stats.spans_unsent(), 1_000, "{report:?}");
        assert!(report.elapsed < Duration::from_secs(20), "{report:?}");
    }
}
