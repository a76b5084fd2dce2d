//! A job and its span outlive their caller, and the span ends however the job ends.

use std::convert::Infallible;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::trace::Sampler;
use throughline::testing::Capture;
use throughline::{Value, in_span, traced, traced_spawn};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

#[traced_spawn]
async fn outlives(until: oneshot::Receiver<()>) -> Result<u8, oneshot::error::RecvError> {
    until.await?;
    in_span("late", || {});
    Ok(3)
}

#[tokio::test]
async fn the_request_is_exported_when_it_returns_while_the_job_runs() {
    #[traced(kind = server)]
    async fn request(until: oneshot::Receiver<()>) -> JoinHandle<Result<u8, oneshot::error::RecvError>> {
        outlives(until)
    }
    let capture = Capture::new();
    let (done, until) = oneshot::channel();
    let job = capture.run_async(request(until)).await;
    let request = capture.span("request");
    assert_eq!(capture.open(), 1, "the job");
    done.send(()).expect("the job waits");
    assert_eq!(job.await.expect("no panic"), Ok(3));
    capture.assert_tree(
        "
        request [server]
        └── outlives
            └── late
        ",
    );
    assert!(capture.span("outlives").end_time > request.end_time);
    assert_eq!(capture.open(), 0);
}

#[tokio::test]
async fn an_endless_job_delays_nothing() {
    #[traced_spawn]
    async fn forever() -> ! {
        loop {
            std::future::pending::<()>().await;
        }
    }
    #[traced]
    async fn request() -> JoinHandle<Infallible> {
        forever()
    }
    let capture = Capture::new();
    let job = capture.run_async(request()).await;
    assert_eq!(capture.span("request").name(), "request");
    assert_eq!(capture.open(), 1);
    job.abort();
    assert!(job.await.expect_err("it was aborted").is_cancelled());
    assert!(capture.span("forever").is_cancelled());
}

/// A span of another library ends when its last context is dropped, so a job must not hold one.
#[tokio::test]
async fn a_job_does_not_keep_the_span_of_other_code_open() {
    use opentelemetry::trace::Tracer as _;
    let capture = Capture::new();
    let (done, until) = oneshot::channel();
    let job = capture.run(|| {
        let by_hand = capture.tracer("other").start("by hand");
        let _attached = Context::current_with_span(by_hand).attach();
        outlives(until)
    });
    assert_eq!(capture.spans().len(), 1, "the span of the other code is exported");
    done.send(()).expect("the job waits");
    job.await.expect("no panic").expect("no error");
    assert!(capture.span("outlives").is_child_of(&capture.span("by hand")));
    assert!(!capture.span("outlives").parent_span_is_remote);
}

/// A job inherits the span context, baggage and tags. Other values in the caller's context are not kept alive.
#[tokio::test]
async fn a_job_inherits_nothing_else() {
    #[derive(Debug)]
    struct Connection;

    for sampler in [Sampler::AlwaysOn, Sampler::AlwaysOff] {
        let capture = Capture::with_sampler(sampler);
        let connection = Arc::new(Connection);
        let watched = Arc::downgrade(&connection);
        let (done, until) = oneshot::channel();
        let job = capture.run(|| {
            let _attached = Context::current_with_value(connection).attach();
            in_span("request", || outlives(until))
        });
        assert!(watched.upgrade().is_none(), "the job keeps the caller's context alive");
        done.send(()).expect("the job waits");
        job.await.expect("no panic").expect("no error");
    }
}

#[tokio::test]
async fn a_panic_is_on_the_span_and_reaches_the_handle() {
    #[traced_spawn]
    async fn panics() {
        panic!("lost")
    }
    #[traced_spawn(blocking)]
    fn panics_blocking() {
        panic!("lost too")
    }
    let capture = Capture::new();
    let run = async {
        assert!(panics().await.expect_err("it panics").is_panic());
        assert!(panics_blocking().await.expect_err("it panics").is_panic());
    };
    capture.run_async(run).await;
    capture.assert_tree("panics !panicked: lost\npanics_blocking !panicked: lost too");
}

#[tokio::test]
async fn the_time_until_the_first_poll_is_recorded() {
    #[traced_spawn]
    async fn task() {}
    #[traced_spawn(blocking)]
    fn block() {}
    let capture = Capture::new();
    let run = async {
        task().await.expect("no panic");
        block().await.expect("no panic");
    };
    capture.run_async(run).await;
    for name in ["task", "block"] {
        let span = capture.span(name);
        let Some(Value::I64(waited)) = span.attribute("throughline.job.queue_time_us") else {
            panic!("not recorded: {name}")
        };
        let lived = i64::try_from(span.duration().as_micros()).expect("short");
        assert!((0..=lived + 1).contains(waited), "{waited} of {lived} µs");
    }
}

/// The only thread of the runtime is busy.
#[tokio::test]
async fn the_queue_time_of_a_waiting_job_is_recorded() {
    let capture = Capture::new();
    let job = capture.run(|| throughline::span("task").spawn(async {}));
    let spawned = std::time::Instant::now();
    std::thread::sleep(std::time::Duration::from_millis(2));
    let waited = i64::try_from(spawned.elapsed().as_micros()).expect("short");
    job.await.expect("no panic");
    let recorded = capture.span("task").attribute("throughline.job.queue_time_us").cloned();
    assert!(matches!(recorded, Some(Value::I64(recorded)) if recorded >= waited), "{recorded:?} of {waited} µs");
}

#[tokio::test]
async fn an_intended_abort_is_not_a_cancellation() {
    #[traced_spawn(cancel = off)]
    async fn watch() {
        std::future::pending::<()>().await;
    }
    #[traced_spawn(thread, cancel = off)]
    fn thread() {}

    let capture = Capture::new();
    let (job, block, thread) = capture
        .run(|| (watch(), throughline::span("block").cancel_off().spawn(std::future::pending::<()>()), thread()));
    for job in [job, block] {
        job.abort();
        assert!(job.await.expect_err("it was aborted").is_cancelled());
    }
    thread.join().expect("it ends");
    assert_eq!(capture.open(), 0);
    for name in ["watch", "block", "thread"] {
        assert!(!capture.span(name).is_cancelled(), "{name}");
    }
}

#[tokio::test]
async fn the_span_of_a_job_that_is_never_polled_is_cancelled() {
    #[traced_spawn(on = handle)]
    async fn unlucky(handle: tokio::runtime::Handle) {
        drop(handle);
    }
    let capture = Capture::new();
    // A current-thread runtime that is dropped without being driven.
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let job = capture.run(|| unlucky(runtime.handle().clone()));
    runtime.shutdown_background();
    assert!(job.await.expect_err("it never ran").is_cancelled());
    assert!(capture.span("unlucky").is_cancelled());
}
