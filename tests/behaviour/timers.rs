//! Intervals, cron jobs, and jobs that are loaded from a store.

use std::collections::HashSet;
use std::time::Duration;

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, Value};
use throughline::testing::{Capture, FinishedSpan};
use throughline::{Carrier, Snapshot, biz_tags, in_span, in_span_async, traced, traced_spawn};
use tokio::sync::mpsc;
use tokio::time::{interval, sleep, timeout};
use tokio_cron_scheduler::{Job, JobScheduler};

/// No test waits for real time, so this is only reached on a failure.
const LIMIT: Duration = Duration::from_secs(30);

// ---------------------------------------------------------------------------------------------
// `tokio::time::interval`

#[tokio::test(start_paused = true)]
async fn every_tick_of_an_interval_has_its_own_trace() {
    #[traced(root)]
    async fn refresh() {
        sleep(Duration::from_millis(5)).await;
        in_span("load", || {});
    }
    let capture = Capture::new();
    let service = in_span_async("service", async {
        let mut ticks = interval(Duration::from_secs(60));
        for _ in 0..3 {
            ticks.tick().await;
            refresh().await;
        }
    });
    capture.run_async(service).await;
    capture.assert_tree(
        "
        service
        refresh ~> service
        └── load
        refresh ~> service
        └── load
        refresh ~> service
        └── load
        ",
    );
    let traces: HashSet<_> = capture.spans().iter().map(FinishedSpan::trace_id).collect();
    assert_eq!(traces.len(), 4, "one for the service and one for each tick");
}

#[tokio::test(start_paused = true)]
async fn ticks_that_belong_to_a_request_are_its_children() {
    #[traced]
    async fn poll_payment(attempt: u8) -> Result<(), &'static str> {
        sleep(Duration::from_millis(5)).await;
        if attempt < 2 { Err("not yet") } else { Ok(()) }
    }
    let capture = Capture::new();
    let request = in_span_async("checkout", async {
        let mut ticks = interval(Duration::from_secs(1));
        for attempt in 0..3 {
            ticks.tick().await;
            if poll_payment(attempt).await.is_ok() {
                break;
            }
        }
    });
    capture.run_async(request).await;
    capture.assert_tree(
        "
        checkout
        ├── poll_payment !error: not yet
        ├── poll_payment !error: not yet
        └── poll_payment
        ",
    );
}

/// An endless loop must neither keep the span that started it open, nor be the parent of all of its ticks.
#[tokio::test(start_paused = true)]
async fn a_background_loop_does_not_keep_its_starter_open() {
    #[traced(root)]
    async fn tick(done: &mpsc::Sender<()>) {
        done.send(()).await.expect("the test waits");
    }
    #[traced_spawn(link)]
    async fn heartbeat(done: mpsc::Sender<()>) {
        let mut ticks = interval(Duration::from_secs(5));
        loop {
            ticks.tick().await;
            tick(&done).await;
        }
    }
    let capture = Capture::new();
    let (done, mut ticked) = mpsc::channel(1);
    let heart = capture.run(|| {
        #[traced]
        #[biz_tags(tenant_id = "acme")]
        fn start(done: mpsc::Sender<()>) -> tokio::task::JoinHandle<()> {
            heartbeat(done)
        }
        start(done)
    });
    assert_eq!(capture.named("start").len(), 1, "the starter has ended");
    for _ in 0..3 {
        timeout(LIMIT, ticked.recv()).await.expect("in time").expect("the loop lives");
    }
    heart.abort();
    assert!(heart.await.expect_err("aborted").is_cancelled());
    let (start, beat) = (capture.span("start"), capture.span("heartbeat"));
    assert!(beat.is_cancelled() && beat.is_linked_to(&start) && beat.trace_id() != start.trace_id());
    let ticks = capture.named("tick");
    assert!(ticks.len() >= 2);
    for tick in ticks {
        assert_eq!(tick.parent_id(), None);
        assert!(tick.trace_id() != beat.trace_id() && tick.is_linked_to(&beat) && !tick.is_linked_to(&start));
        assert_eq!(tick.attribute("tenant_id"), Some(&Value::from("acme")), "whose heart it is");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_is_dropped_is_cancelled() {
    #[traced(root)]
    async fn slow() {
        std::future::pending::<()>().await;
    }
    let capture = Capture::new();
    let tick = timeout(Duration::from_secs(1), slow());
    assert!(capture.run_async(tick).await.is_err());
    capture.assert_tree("slow !cancelled");
    assert_eq!(capture.open(), 0);
}

// ---------------------------------------------------------------------------------------------
// `tokio-cron-scheduler`

/// A scheduler whose jobs are run by the test, and whose clock is not started.
async fn scheduler_with(job: Job) -> (JobScheduler, impl Fn()) {
    let scheduler = JobScheduler::new().await.expect("a scheduler");
    let id = scheduler.add(job).await.expect("added");
    let activate = scheduler.context().job_activation_tx.clone();
    (scheduler, move || {
        activate.send(id).expect("the scheduler listens");
    })
}

/// A schedule that is never due.
const NEW_YEAR: &str = "0 0 0 1 1 *";

type JobLocked = Job;

fn cron<F>(run: impl Fn() -> F + Send + Sync + 'static) -> JobLocked
where
    F: Future<Output = ()> + Send + 'static,
{
    Job::new_async(NEW_YEAR, move |_id, _scheduler| Box::pin(run())).expect("a valid schedule")
}

#[tokio::test]
async fn each_run_of_a_cron_job_has_its_own_trace_linked_to_where_it_was_scheduled() {
    #[traced(root, "nightly cleanup")]
    async fn cleanup(done: mpsc::Sender<()>) -> Result<u32, &'static str> {
        in_span("delete rows", || {});
        done.send(()).await.map_err(|_| "nobody waits")?;
        Ok(3)
    }
    let capture = Capture::new();
    let (done, mut ran) = mpsc::channel(8);
    let setup = in_span_async("start up", async {
        let scheduled = Snapshot::capture();
        let job = cron(move || {
            let (scheduled, done) = (scheduled.clone(), done.clone());
            async move {
                let _ = scheduled.run_async(cleanup(done)).await;
            }
        });
        scheduler_with(job).await
    });
    let (mut scheduler, run) = capture.run_async(setup).await;
    for _ in 0..2 {
        run();
        timeout(LIMIT, ran.recv()).await.expect("in time").expect("the job lives");
    }
    scheduler.shutdown().await.expect("shut down");
    ended(&capture).await;
    capture.assert_tree(
        "
        start up
        nightly cleanup ~> start up
        └── delete rows
        nightly cleanup ~> start up
        └── delete rows
        ",
    );
}

/// Without a snapshot, nothing is current where the scheduler runs its jobs, so each job is an entry span. An option
/// adds a link.
#[tokio::test]
async fn a_cron_job_can_set_its_link() {
    #[traced(link = scheduled)]
    fn by_attribute(scheduled: &Snapshot) {}
    let capture = Capture::new();
    let (done, mut ran) = mpsc::channel(8);
    let here = capture.context();
    let setup = in_span_async("start up", async {
        let scheduled = Snapshot::capture();
        let job = cron(move || {
            let (scheduled, done, here) = (scheduled.clone(), done.clone(), here.clone());
            async move {
                assert!(!Context::current().has_active_span());
                // The spans are to come to this test; a program has nothing to do for that.
                Snapshot::from_context(&here).run(|| by_attribute(&scheduled));
                let by_function = throughline::span("by function").root().link(&scheduled).run_async(async {});
                Snapshot::from_context(&here).run_async(by_function).await;
                done.send(()).await.expect("the test waits");
            }
        });
        scheduler_with(job).await
    });
    let (mut scheduler, run) = capture.run_async(setup).await;
    run();
    timeout(LIMIT, ran.recv()).await.expect("in time").expect("the job lives");
    scheduler.shutdown().await.expect("shut down");
    capture.assert_tree(
        "
        start up
        by_attribute ~> start up
        by function ~> start up
        ",
    );
}

/// A job reports that it has run before its spans have ended.
async fn ended(capture: &Capture) {
    let all = async {
        while capture.open() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, all).await.expect("all spans end");
}

// ---------------------------------------------------------------------------------------------
// Delayed jobs

/// A row of a table of jobs.
fn store(order_no: u64) -> String {
    serde_json::to_string(&(order_no, Carrier::capture())).expect("JSON")
}

fn load(row: &str) -> (u64, Carrier) {
    serde_json::from_str(row).expect("what was stored")
}

#[biz_tags(propagate(tenant_id = "acme"))]
#[traced("place order")]
fn place_order() -> String {
    store(1001)
}

#[tokio::test(start_paused = true)]
async fn a_delayed_job_continues_the_trace_it_was_stored_in() {
    #[traced("send reminder", kind = consumer, parent = trace, tags(order_no))]
    async fn remind(order_no: u64, trace: Carrier) -> Option<String> {
        sleep(Duration::from_millis(20)).await;
        Context::current().baggage().get("tenant_id").map(ToString::to_string)
    }
    let capture = Capture::new();
    let row = capture.run(place_order);
    assert_eq!(capture.open(), 0, "the order does not wait for the reminder");
    let here = capture.context();
    let worker = tokio::spawn(async move {
        sleep(Duration::from_secs(86_400)).await;
        let (order_no, trace) = load(&row);
        // The spans are to come to this test; a program has nothing to do for that.
        Snapshot::from_context(&here).run_async(in_span_async("poll jobs", remind(order_no, trace))).await
    });
    assert_eq!(worker.await.expect("no panic").as_deref(), Some("acme"), "baggage");
    capture.assert_tree_with(
        &["order_no"],
        "
        place order
        └── send reminder [consumer] order_no=1001 ~> poll jobs
        poll jobs
        ",
    );
    assert!(capture.span("send reminder").parent_span_is_remote);
}

#[tokio::test(start_paused = true)]
async fn a_retry_much_later_is_linked() {
    #[traced("attempt", parent = trace, tags(attempt = 1))]
    async fn first(trace: &Carrier) -> Result<String, &'static str> {
        // The retry continues from here.
        let _ = trace;
        Err("the bank is closed")
    }
    #[traced("attempt", root, link = trace, tags(attempt = 2))]
    async fn again(trace: &Carrier) -> Result<(), &'static str> {
        let _ = trace;
        Ok(())
    }
    let capture = Capture::new();
    let row = capture.run(place_order);
    let (_, trace) = load(&row);
    assert!(capture.run_async(first(&trace)).await.is_err());
    sleep(Duration::from_secs(3600)).await;
    assert!(capture.run_async(again(&trace)).await.is_ok());
    capture.assert_tree_with(
        &["attempt"],
        "
        place order
        └── attempt !error: the bank is closed attempt=1
        attempt attempt=2 ~> place order
        ",
    );
}

#[test]
fn a_row_without_a_context_starts_an_entry_span() {
    #[traced(kind = consumer, parent = trace)]
    fn run(trace: &Carrier) {}
    let capture = Capture::new();
    for row in ["{}", r#"{"traceparent":null}"#, r#"{"traceparent":"not one","baggage":"%zz"}"#] {
        let trace: Carrier = serde_json::from_str(row).expect("a carrier");
        capture.run(|| run(&trace));
    }
    capture.assert_tree("run [consumer]\nrun [consumer]\nrun [consumer]");
}

#[test]
fn an_unsampled_job_stays_unsampled() {
    use opentelemetry_sdk::trace::Sampler;

    #[traced(parent = trace)]
    fn run(trace: &Carrier) {
        in_span("inside", || {});
    }
    let quiet = Capture::with_sampler(Sampler::AlwaysOff);
    let row = quiet.run(place_order);
    let (_, trace) = load(&row);
    assert!(trace.traceparent.as_deref().is_some_and(|header| header.ends_with("-00")), "{trace:?}");
    let capture = Capture::new();
    capture.run(|| run(&trace));
    assert!(capture.spans().is_empty());
}
