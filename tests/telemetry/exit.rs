//! Shutdown: nothing is forgotten, and nothing holds the process up for ever.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use throughline::JoinSetExt as _;
use throughline::telemetry::{Protocol, Shutdown, ShutdownReport, Telemetry};
use throughline_load::Behaviour;
use throughline_load::trace::status::StatusCode;
use tokio::sync::oneshot;

use crate::process::{Program, alone, until};
use crate::support::{Kept, Log, attributes, run, trace};

const LIMIT: Duration = Duration::from_secs(30);

/// A timeout that is reached; a quarter of it is enough to export a few spans.
const SHORT: Duration = Duration::from_secs(4);

/// The roles of the second process.
pub(crate) fn play(role: &str) -> Option<()> {
    let current_thread = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    match role {
        "drop without a runtime" => {
            let _telemetry = throughline::init().expect("it is valid");
            (0..100).for_each(|_| trace(4));
        }
        "drop in a current-thread runtime" => current_thread().block_on(async {
            let _telemetry = throughline::init().expect("it is valid");
            (0..100).for_each(|_| trace(4));
        }),
        "drop in a multi-thread runtime" => run(async {
            let _telemetry = throughline::init().expect("it is valid");
            (0..100).for_each(|_| trace(4));
        }),
        "drop in a task" => run(async {
            let telemetry = throughline::init().expect("it is valid");
            tokio::spawn(async move {
                (0..100).for_each(|_| trace(4));
                drop(telemetry);
            })
            .await
            .expect("no panic");
        }),
        "panic" => current_thread().block_on(async {
            let _telemetry = throughline::init().expect("it is valid");
            (0..100).for_each(|_| trace(4));
            // A job that is not waited for.
            drop(throughline::span("job").spawn(std::future::pending::<()>()));
            throughline::in_span("main", || panic!("lost the thread"));
        }),
        "signal" => run(async {
            let telemetry = throughline::init().expect("it is valid");
            (0..100).for_each(|_| trace(4));
            let (end, ends) = oneshot::channel::<()>();
            drop(throughline::span("job").spawn(async {
                let _ = ends.await;
            }));
            let mut told = pin!(throughline::telemetry::signal());
            begin(told.as_mut()).await;
            println!("ready");
            told.await;
            let mut ending = pin!(telemetry.shutdown(LIMIT));
            begin(ending.as_mut()).await;
            end.send(()).expect("the job waits");
            let report = ending.await;
            assert!(report.is_complete(), "{report:?}");
            println!("jobs {}", report.jobs);
        }),
        "two signals" => run(async {
            let telemetry = throughline::init().expect("it is valid");
            let (end, ends) = oneshot::channel::<()>();
            drop(throughline::span("job").spawn(ends));
            let mut told = pin!(throughline::telemetry::signal());
            begin(told.as_mut()).await;
            println!("ready");
            told.await;
            let mut ending = pin!(telemetry.shutdown(LIMIT));
            begin(ending.as_mut()).await;
            let mut again = pin!(throughline::telemetry::signal());
            begin(again.as_mut()).await;
            println!("ending");
            again.await;
            end.send(()).expect("the job waits");
            let report = ending.await;
            assert!(report.is_complete(), "{report:?}");
        }),
        "shutdown on signal" => run(async {
            let telemetry = throughline::init().expect("it is valid");
            (0..100).for_each(|_| trace(4));
            let mut ending = pin!(telemetry.shutdown_on_signal(LIMIT));
            begin(ending.as_mut()).await;
            println!("ready");
            let report = ending.await;
            assert!(report.is_complete(), "{report:?}");
        }),
        _ => return None,
    }
    Some(())
}

/// Polls once, so that no signal is missed, and a shutdown has begun.
async fn begin(mut future: Pin<&mut impl Future>) {
    assert!(poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await);
}

fn start(role: &str, kept: &Kept) -> Program {
    Program::start(role, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &kept.collector.endpoint())])
}

#[test]
fn dropping_sends_what_waits_whatever_the_runtime() {
    for role in [
        "drop without a runtime",
        "drop in a current-thread runtime",
        "drop in a multi-thread runtime",
        "drop in a task",
    ] {
        let kept = Kept::start();
        start(role, &kept).succeed();
        let tally = kept.tally();
        assert_eq!((tally.traces, tally.complete), (100, 100), "{role}");
    }
}

#[test]
fn a_panic_in_main_still_delivers() {
    let kept = Kept::start();
    let (status, _, err) = start("panic", &kept).end();
    assert!(!status.success() && err.contains("lost the thread"), "{err}");
    assert_eq!(kept.spans().iter().filter(|span| span.name == "root").count(), 100);
    let main = kept.span("main");
    assert_eq!(main.status.unwrap_or_default().code(), StatusCode::Error);
    let job = kept.span("job");
    assert_eq!(attributes(&job.attributes)["throughline.unfinished"], "true");
}

#[test]
fn signals_end_it_in_order() {
    for signal in ["-TERM", "-INT"] {
        let kept = Kept::start();
        let program = start("signal", &kept);
        program.wait_for("ready");
        program.signal(signal);
        let (out, _) = program.succeed();
        assert!(out.contains("jobs 1"), "{out}");
        assert_eq!(kept.spans().iter().filter(|span| span.name == "root").count(), 100);
        assert!(!attributes(&kept.span("job").attributes).contains_key("throughline.unfinished"));
    }
    let kept = Kept::start();
    let program = start("shutdown on signal", &kept);
    program.wait_for("ready");
    program.signal("-TERM");
    program.succeed();
    assert_eq!(kept.tally().complete, 100);
}

#[test]
fn a_second_signal_cuts_nothing_short() {
    let kept = Kept::start();
    let program = start("two signals", &kept);
    for moment in ["ready", "ending"] {
        program.wait_for(moment);
        program.signal("-TERM");
    }
    program.succeed();
    assert!(!attributes(&kept.span("job").attributes).contains_key("throughline.unfinished"));
}

alone! {
    fn it_waits_for_jobs_and_for_those_that_they_start() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("it is valid");
        let report = run(async move {
            let (go, goes) = oneshot::channel::<()>();
            drop(throughline::span("first").spawn(async {
                goes.await.expect("the test sends");
                drop(throughline::span("second").spawn(async {
                    tokio::task::yield_now().await;
                    drop(throughline::spawn_blocking(|| throughline::in_span("third", || {})));
                }));
            }));
            let mut ending = Box::pin(telemetry.shutdown(LIMIT));
            // It is waiting when more jobs are spawned.
            assert!(futures::poll!(ending.as_mut()).is_pending());
            go.send(()).expect("the job waits");
            ending.await
        });
        assert!(report.is_complete() && report.jobs == 1, "{report:?}");
        let [first, second, third] = ["first", "second", "third"].map(|name| kept.span(name));
        assert_eq!(second.parent_span_id, first.span_id);
        assert_eq!((third.trace_id, second.trace_id), (first.trace_id.clone(), first.trace_id));
    }
}

alone! {
    fn what_does_not_end_is_ended_and_marked() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("it is valid");
        let (report, late) = run(async move {
            let stuck = throughline::span("stuck").spawn(throughline::in_span_async(
                "within",
                std::future::pending::<()>(),
            ));
            until("it runs", || telemetry.open_spans().len() == 2);
            let report = telemetry.shutdown(SHORT).await;
            // Its span has ended, and nothing changes it any more.
            stuck.abort();
            (report, stuck.await)
        });
        assert!(late.is_err_and(|error| error.is_cancelled()));
        assert_eq!((report.jobs, report.jobs_left, report.stats.spans_unsent()), (1, 1, 0), "{report:?}");
        assert!(!report.is_complete());
        let mut names: Vec<_> = report.unfinished.iter().map(|span| span.name.to_string()).collect();
        names.sort();
        assert_eq!(names, ["stuck", "within"]);
        for name in ["stuck", "within"] {
            let span = kept.span(name);
            let has = attributes(&span.attributes);
            assert_eq!((has["throughline.unfinished"].as_str(), has.contains_key("throughline.cancelled")), ("true", false));
            let status = span.status.unwrap_or_default();
            assert_eq!((status.code(), status.message.as_str()), (StatusCode::Error, "process shut down before the span ended"));
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
        }
        assert_eq!(kept.span("within").parent_span_id, kept.span("stuck").span_id);
    }
}

alone! {
    fn new_jobs_are_refused_if_asked() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("it is valid");
        let report = run(async move {
            let ran = Arc::new(AtomicBool::new(false));
            let (go, goes) = oneshot::channel::<()>();
            drop(throughline::span("old").spawn({
                let ran = Arc::clone(&ran);
                async move {
                    goes.await.expect("the test sends");
                    // Many times, because another worker could poll the task before it is aborted.
                    for _ in 0..1_000 {
                        let ran = Arc::clone(&ran);
                        let late = throughline::spawn(async move { ran.store(true, Ordering::Relaxed) });
                        assert!(late.await.is_err_and(|error| error.is_cancelled()));
                    }
                    let mut set = tokio::task::JoinSet::new();
                    set.spawn_traced(async move { ran.store(true, Ordering::Relaxed) });
                    let late = set.join_next().await.expect("it is in the set");
                    assert!(late.is_err_and(|error| error.is_cancelled()));
                }
            }));
            let how = Shutdown::within(LIMIT).refuse_new_jobs();
            let ending = tokio::spawn(telemetry.shutdown_with(how));
            until("it has begun", throughline::jobs::is_closed);
            go.send(()).expect("the job waits");
            let report = ending.await.expect("no panic");
            assert!(!ran.load(Ordering::Relaxed));
            report
        });
        assert!(report.is_complete(), "{report:?}");
        kept.span("old");
    }
}

fn dead(limit: Duration) -> ShutdownReport {
    let kept = Kept::start();
    kept.collector.stop();
    let telemetry = kept.builder().init().expect("it is valid");
    (0..100).for_each(|_| trace(4));
    run(telemetry.shutdown(limit))
}

alone! {
    fn a_dead_collector_holds_it_up_to_the_limit() {
        for limit in [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(700)] {
            let report = dead(limit);
            assert_eq!(report.stats.spans_unsent(), 500, "{report:?}");
            // With a margin, for a busy machine.
            assert!(report.elapsed < limit + Duration::from_secs(5), "{report:?}");
        }
    }
}

alone! {
    fn a_limit_that_no_clock_can_hold() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("it is valid");
        trace(4);
        let report = run(async move {
            drop(throughline::spawn(async {}));
            telemetry.shutdown(Duration::MAX).await
        });
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(kept.tally().complete, 1);
    }
}

alone! {
    fn a_full_pool_for_blocking_work_does_not_hold_it_up() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("it is valid");
        trace(4);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let report = runtime.block_on(async move {
            drop(throughline::spawn_blocking(move || assert!(ends.recv().is_err())));
            telemetry.shutdown(SHORT).await
        });
        assert_eq!((report.jobs, report.jobs_left, report.stats.spans_unsent()), (1, 1, 0), "{report:?}");
        assert_eq!(kept.tally().complete, 1);
        drop(end);
    }
}

alone! {
    fn without_a_tokio_runtime() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("it is valid");
        trace(4);
        let report = futures::executor::block_on(telemetry.shutdown(LIMIT));
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(kept.tally().complete, 1);
    }
}

alone! {
    fn in_a_runtime_without_a_timer_and_from_outside_of_it() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("it is valid");
        let (end, ends) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let report = runtime.block_on(async {
            drop(throughline::span("job").spawn(ends));
            let mut ending = pin!(telemetry.shutdown(LIMIT));
            begin(ending.as_mut()).await;
            end.send(()).expect("the job waits");
            ending.await
        });
        assert!(report.is_complete() && report.jobs == 1, "{report:?}");
        assert!(!attributes(&kept.span("job").attributes).contains_key("throughline.unfinished"));

        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("it is valid");
        drop(throughline::span("stuck").spawn_on(runtime.handle(), std::future::pending::<()>()));
        let report = futures::executor::block_on(telemetry.shutdown(SHORT));
        assert_eq!((report.jobs_left, report.unfinished.len(), report.stats.spans_unsent()), (1, 1, 0), "{report:?}");
        kept.span("stuck");
    }
}

alone! {
    fn twice_and_a_flush_afterwards() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("it is valid");
        trace(4);
        let provider = telemetry.provider().expect("it is enabled").clone();
        provider.shutdown_with_timeout(LIMIT).expect("it takes them");
        assert!(matches!(provider.shutdown_with_timeout(LIMIT), Err(OTelSdkError::AlreadyShutdown)));
        // Not after half a minute of waiting for a thread that has finished.
        provider.force_flush().expect_err("it is shut down");
        let report = run(telemetry.shutdown(LIMIT));
        assert!(report.is_complete() && report.elapsed < Duration::from_secs(20), "{report:?}");
        assert_eq!(kept.tally().complete, 1);
        // The application still starts spans.
        trace(4);
        let _ = provider.tracer("late");
        assert_eq!(kept.count(), 5);
    }
}

alone! {
    fn while_somebody_else_shuts_down_it_waits_and_tells_the_truth() {
        let kept = Kept::start();
        kept.set(Behaviour::Unavailable);
        for limit in [Duration::from_millis(100), LIMIT] {
            let telemetry = kept.builder().init().expect("it is valid");
            trace(4);
            let provider = telemetry.provider().expect("it is enabled").clone();
            let (waiting, asked) = (kept.count(), kept.collector.request_count());
            thread::scope(|scope| {
                let other = scope.spawn(move || provider.shutdown_with_timeout(LIMIT));
                until("a request has arrived", || kept.collector.request_count() > asked);
                let report = run(async {
                    let mut ending = pin!(telemetry.shutdown(limit));
                    begin(ending.as_mut()).await;
                    if limit == LIMIT {
                        kept.set(Behaviour::Accept);
                    }
                    ending.await
                });
                let left = if limit == LIMIT { 0 } else { 5 };
                assert_eq!((report.stats.spans_unsent(), report.is_complete()), (left, left == 0), "{report:?}");
                kept.set(Behaviour::Accept);
                other.join().expect("no panic").expect("all is taken");
            });
            assert_eq!(kept.count() - waiting, 5);
            kept.set(Behaviour::Unavailable);
        }
    }
}

alone! {
    fn what_an_early_shutdown_has_left_is_reported() {
        let kept = Kept::start();
        kept.collector.stop();
        let telemetry = kept.builder().init().expect("it is valid");
        trace(4);
        let _ = telemetry.provider().expect("it is enabled").shutdown_with_timeout(Duration::from_millis(10));
        let report = run(telemetry.shutdown(LIMIT));
        assert_eq!(report.stats.spans_unsent(), 5, "{report:?}");
    }
}

alone! {
    fn cancelling_it_is_dropping_it() {
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("it is valid");
        trace(4);
        run(async move {
            drop(throughline::span("stuck").spawn(std::future::pending::<()>()));
            let ending = telemetry.shutdown(LIMIT);
            assert!(tokio::time::timeout(Duration::from_millis(50), ending).await.is_err());
        });
        assert_eq!(kept.count(), 6);
        assert_eq!(attributes(&kept.span("stuck").attributes)["throughline.unfinished"], "true");
    }
}

alone! {
    fn cancelling_it_while_it_sends_is_dropping_it_too() {
        let kept = Kept::start();
        kept.set(Behaviour::Unavailable);
        let telemetry = kept.builder().init().expect("it is valid");
        trace(4);
        run(async {
            let mut ending = Box::pin(telemetry.shutdown(LIMIT));
            begin(ending.as_mut()).await;
            until("a request has arrived", || kept.collector.request_count() > 0);
            kept.set(Behaviour::Accept);
            drop(ending);
        });
        assert_eq!(kept.count(), 5);
    }
}

/// A processor of the application's whose shutdown never returns.
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
    fn a_processor_that_does_not_end_does_not_hold_it_up() {
        let kept = Kept::start();
        let telemetry = kept.builder().processor(Endless).init().expect("it is valid");
        trace(4);
        let report = run(telemetry.shutdown(SHORT));
        assert!(report.is_complete(), "{report:?}");
        assert_eq!(kept.count(), 5);
        let kept = Kept::start();
        let telemetry = kept.builder().processor(Endless).init().expect("it is valid");
        trace(4);
        drop(telemetry);
        assert_eq!(kept.count(), 5);
    }
}

alone! {
    fn a_flush_while_a_batch_is_on_its_way() {
        let kept = Kept::start();
        kept.set(Behaviour::Unavailable);
        let telemetry = kept.builder().init().expect("it is valid");
        (0..200).for_each(|_| trace(4));
        until("a request has arrived", || kept.collector.request_count() > 0);
        let provider = telemetry.provider().expect("it is enabled").clone();
        thread::scope(|scope| {
            let flush = scope.spawn(move || provider.force_flush());
            until("it was retried", || kept.collector.request_count() > 2);
            kept.set(Behaviour::Accept);
            flush.join().expect("no panic").expect("all is taken");
        });
        assert_eq!(kept.tally().complete, 200);
    }
}

/// An exporter of the application's that misbehaves.
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
    throughline::telemetry::builder().variables(|_| None).exporter(own).init().expect("it is valid")
}

alone! {
    fn an_exporter_that_panics_is_not_the_end() {
        let log = Log::keep();
        let own = Own::default();
        let spans = Arc::clone(&own.spans);
        let telemetry = with(own);
        let provider = telemetry.provider().expect("it is enabled").clone();
        for _ in 0..3 {
            trace(4);
            provider.force_flush().expect("there is an answer");
        }
        let stats = telemetry.export_stats();
        assert_eq!((stats.exported, stats.refused, spans.load(Ordering::Relaxed)), (5, 10, 5));
        let report = run(telemetry.shutdown(LIMIT));
        assert_eq!((report.stats.exported, report.stats.refused, report.is_complete()), (5, 10, false), "{report:?}");
        assert!(log.text().contains("the exporter panicked"), "{}", log.text());
    }
}

alone! {
    fn an_exporter_that_blocks_is_waited_for_up_to_the_limit() {
        let own = Own { blocks: true, ..Own::default() };
        let calls = Arc::clone(&own.calls);
        let telemetry = with(own);
        (0..200).for_each(|_| trace(4));
        until("it is called", || calls.load(Ordering::Relaxed) == 1);
        let report = run(telemetry.shutdown(Duration::from_millis(200)));
        assert_eq!(report.stats.spans_unsent(), 1_000, "{report:?}");
        assert!(report.elapsed < Duration::from_secs(20), "{report:?}");
    }
}

alone! {
    fn spans_that_end_after_it_are_no_harm() {
        for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
            let kept = Kept::start();
            let telemetry = kept.over(protocol).max_open_spans(0).init().expect("it is valid");
            throughline::in_span("open", || {
                let report = run(telemetry.shutdown(LIMIT));
                assert!(report.is_complete(), "{report:?}");
            });
            assert_eq!(kept.count(), 0);
        }
    }
}
