//! Detached jobs.
#![allow(clippy::unused_async, reason = "the functions are there to be traced, and are as short as can be")]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::trace::Sampler;
use throughline::testing::Capture;
use throughline::{JoinSetExt as _, TryJoinSetExt as _, Value, biz_tags, in_span, in_span_async, traced, traced_spawn};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet, LocalSet};

#[traced_spawn]
async fn outlives(until: oneshot::Receiver<()>) -> Result<u8, oneshot::error::RecvError> {
    until.await?;
    in_span("late", || {});
    Ok(3)
}

#[tokio::test]
async fn the_request_is_exported_when_it_returns_and_the_job_lives_on() {
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
async fn a_job_that_never_ends_holds_up_nothing() {
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

/// A span of other code ends when its last context is gone. A job must not be among those who
/// have one.
#[tokio::test]
async fn a_job_does_not_hold_the_span_of_other_code() {
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

/// Identity, baggage and tags go along. What else is in the caller's context is not kept alive.
#[tokio::test]
async fn a_job_takes_along_nothing_else() {
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
async fn modes_and_what_travels() {
    fn seen() -> (Option<String>, usize) {
        (Context::current().baggage().get("tenant_id").map(ToString::to_string), throughline::current_tags().len())
    }
    #[traced_spawn]
    async fn child() -> (Option<String>, usize) {
        seen()
    }
    #[traced_spawn(link)]
    async fn linked() -> (Option<String>, usize) {
        seen()
    }
    #[traced_spawn(root)]
    async fn root() -> (Option<String>, usize) {
        seen()
    }
    #[traced]
    #[biz_tags(propagate(tenant_id), order_no = 7)]
    async fn request(tenant_id: &str) {
        let _ = tenant_id;
        for job in [child(), linked(), root()] {
            assert_eq!(job.await.expect("no panic"), (Some("acme".to_owned()), 2));
        }
    }
    let capture = Capture::new();
    capture.run_async(request("acme")).await;
    capture.assert_tree_with(
        &["tenant_id", "order_no"],
        "
        request tenant_id=acme order_no=7
        └── child tenant_id=acme order_no=7
        linked tenant_id=acme order_no=7 ~> request
        root tenant_id=acme order_no=7
        ",
    );
}

#[tokio::test]
async fn blocking_and_thread() {
    #[traced_spawn(blocking)]
    fn block(by: u8) -> Result<u8, String> {
        in_span("inside", || {});
        Err(format!("no {by}"))
    }
    #[traced_spawn(thread)]
    fn thread(mut by: u8) -> Option<String> {
        by += 1;
        in_span("inside", || {});
        std::thread::current().name().map(|name| format!("{name} {by}"))
    }
    let capture = Capture::new();
    let run = async {
        assert_eq!(block(1).await.expect("no panic"), Err("no 1".to_owned()));
        assert_eq!(thread(1).join().expect("no panic"), Some("thread 2".to_owned()));
    };
    capture.run_async(in_span_async("request", run)).await;
    capture.assert_tree(
        "
        request
        ├── block !error: no 1
        │   └── inside
        └── thread
            └── inside
        ",
    );
}

#[tokio::test]
async fn local() {
    #[traced_spawn(local)]
    async fn not_send(by: std::rc::Rc<u8>) -> u8 {
        tokio::task::yield_now().await;
        *by
    }
    let capture = Capture::new();
    let run = in_span_async("request", async { not_send(5.into()).await.expect("no panic") });
    assert_eq!(LocalSet::new().run_until(capture.run_async(run)).await, 5);
    assert!(capture.span("not_send").is_child_of(&capture.span("request")));
}

#[test]
fn on_a_runtime_by_its_handle() {
    #[traced_spawn(on = handle)]
    async fn task(handle: &'static tokio::runtime::Handle) -> u8 {
        let _ = handle;
        1
    }
    #[traced_spawn(blocking, on = handle.clone())]
    fn block(handle: tokio::runtime::Handle) -> u8 {
        drop(handle);
        2
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let handle: &'static _ = Box::leak(Box::new(runtime.handle().clone()));
    let capture = Capture::new();
    let (task, block) = capture.run(|| in_span("request", || (task(handle), block(handle.clone()))));
    assert_eq!(runtime.block_on(task).expect("no panic") + runtime.block_on(block).expect("no panic"), 3);
    assert!(capture.span("task").is_child_of(&capture.span("request")));
    assert!(capture.span("block").is_child_of(&capture.span("request")));
}

#[tokio::test]
async fn an_option_of_traced_works_on_a_job() {
    #[traced_spawn("send receipt", kind = producer, err = debug, ret, tags(order_no))]
    #[biz_tags(tenant_id)]
    async fn receipt(order_no: u8, tenant_id: String) -> Result<u8, String> {
        drop(tenant_id);
        if order_no == 0 { Err("none".to_owned()) } else { Ok(order_no) }
    }
    let capture = Capture::new();
    let run = async {
        let _ = receipt(0, "acme".to_owned()).await;
        let _ = receipt(4, "acme".to_owned()).await;
    };
    capture.run_async(run).await;
    capture.assert_tree_with(
        &["order_no", "tenant_id", "throughline.return"],
        "
        send receipt [producer] !error: \"none\" order_no=0 tenant_id=acme
        send receipt [producer] order_no=4 tenant_id=acme throughline.return=4
        ",
    );
}

#[tokio::test]
async fn a_method_by_arc() {
    struct Mailer(u8);
    impl Mailer {
        #[traced_spawn]
        async fn send(self: Arc<Self>) -> u8 {
            self.0
        }
    }
    let capture = Capture::new();
    let run = async { Arc::new(Mailer(9)).send().await.expect("no panic") };
    assert_eq!(capture.run_async(run).await, 9);
    assert_eq!(capture.spans().len(), 1);
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

#[tokio::test]
async fn a_job_may_be_meant_to_be_aborted() {
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
async fn a_job_that_is_never_polled_is_a_cancelled_span() {
    #[traced_spawn(on = handle)]
    async fn unlucky(handle: tokio::runtime::Handle) {
        drop(handle);
    }
    let capture = Capture::new();
    // A current-thread runtime that is never driven, and then gone.
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let job = capture.run(|| unlucky(runtime.handle().clone()));
    runtime.shutdown_background();
    assert!(job.await.expect_err("it never ran").is_cancelled());
    assert!(capture.span("unlucky").is_cancelled());
}

#[tokio::test]
async fn not_sampled_stays_not_sampled_and_keeps_its_identity() {
    #[traced_spawn]
    async fn job() -> (bool, bool) {
        let current = Context::current();
        let span = current.span();
        (span.span_context().is_valid(), in_span("below", || span.span_context().is_sampled()))
    }
    let capture = Capture::with_sampler(Sampler::AlwaysOff);
    let run = in_span_async("root", async { job().await.expect("no panic") });
    assert_eq!(capture.run_async(run).await, (true, false));
    assert!(capture.spans().is_empty());
}

#[test]
fn outside_a_runtime_the_message_says_what_to_do() {
    #[traced_spawn]
    async fn job() {}
    let capture = Capture::new();
    let payload =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| capture.run(|| drop(job())))).expect_err("no runtime");
    let message = payload.downcast_ref::<String>().expect("a text");
    assert!(message.contains("outside a Tokio runtime") && message.contains("on = handle"), "{message}");
    assert!(message.contains("the detached job `job` was started"), "{message}");
    assert_eq!(capture.open(), 0);
}

#[tokio::test]
async fn a_job_of_a_method_is_named_after_it() {
    trait Handler {
        fn handle(self) -> impl Future<Output = ()> + Send + 'static;
    }
    struct Orders;
    impl Handler for Orders {
        async fn handle(self) {}
    }
    struct Queue<T>(T);
    impl<T: Send + 'static> Queue<T> {
        async fn drain(self) {
            tokio::task::yield_now().await;
            drop(self.0);
        }
    }
    let capture = Capture::new();
    let run = async {
        for job in [
            throughline::spawn(Orders.handle()),
            throughline::spawn(Queue("").drain()),
            throughline::spawn(Box::pin(Queue(1).drain())),
        ] {
            job.await.expect("no panic");
        }
    };
    capture.run_async(in_span_async("request", run)).await;
    capture.assert_tree("request\n├── handle (spawned)\n├── drain (spawned)\n└── drain (spawned)");
}

#[tokio::test]
async fn as_functions() {
    async fn receipt(no: u8) -> u8 {
        tokio::task::yield_now().await;
        in_span("inside", || no)
    }
    let capture = Capture::new();
    let run = async {
        let mut sum = throughline::spawn(receipt(1)).await.expect("no panic");
        sum += throughline::spawn_blocking(|| 2).await.expect("no panic");
        sum += throughline::spawn_thread(|| in_span("on the thread", || 4)).join().expect("no panic");
        sum += throughline::span("named").tag("no", 8).spawn(async { 8 }).await.expect("no panic");
        sum
    };
    assert_eq!(capture.run_async(in_span_async("request", run)).await, 15);
    capture.assert_tree_with(
        &["no"],
        "
        request
        ├── receipt (spawned)
        │   └── inside
        ├── as_functions (spawned)
        ├── as_functions (spawned)
        │   └── on the thread
        └── named no=8
        ",
    );
    let local = Capture::new();
    let run = in_span_async("request", async { throughline::spawn_local(async { 1 }).await.expect("no panic") });
    LocalSet::new().run_until(local.run_async(run)).await;
    assert_eq!(local.spans().len(), 2);
}

#[tokio::test]
async fn a_join_set() {
    let capture = Capture::new();
    let run = async {
        let mut set = JoinSet::new();
        set.spawn_traced(async { 1 });
        set.spawn_on_traced(async { 2 }, &tokio::runtime::Handle::current());
        set.spawn_blocking_traced(|| 4);
        set.join_all().await.iter().sum::<i32>()
    };
    assert_eq!(capture.run_async(in_span_async("request", run)).await, 7);
    let request = capture.span("request");
    let jobs = capture.named("a_join_set (spawned)");
    assert_eq!(jobs.len(), 3);
    assert!(jobs.iter().all(|job| job.is_child_of(&request)));
}

#[test]
fn rayon_has_the_context() {
    let capture = Capture::new();
    let (sent, received) = std::sync::mpsc::channel();
    let sum = capture.run(|| {
        in_span("request", || {
            throughline::rayon::spawn(move || sent.send(3).expect("the test waits"));
            let (a, b) = throughline::rayon::join(|| in_span("left", || 1), || in_span("right", || 2));
            a + b
        })
    });
    assert_eq!(sum + received.recv_timeout(Duration::from_secs(30)).expect("the job ran"), 6);
    let request = capture.span("request");
    assert!(capture.span("left").is_child_of(&request) && capture.span("right").is_child_of(&request));
}

/// What a job takes along: the value of a tag and that of a member of the baggage.
fn travelled() -> (Option<String>, Option<String>) {
    let tag =
        throughline::current_tags().iter().find(|tag| tag.key.as_str() == "tenant_id").map(|tag| tag.value.to_string());
    (tag, Context::current().baggage().get("tenant_id").map(ToString::to_string))
}

/// Whoever replaces each `tokio::spawn` must not find a whole process below one span.
#[tokio::test]
async fn outside_of_a_span_a_plain_job_has_none_and_takes_the_context_along() {
    #[biz_tags(propagate(tenant_id = "acme"))]
    async fn all() {
        let expected = (Some("acme".to_owned()), Some("acme".to_owned()));
        let job = || in_span("work", travelled);
        let asynchronous = move || async move { job() };
        assert_eq!(throughline::spawn(asynchronous()).await.expect("no panic"), expected);
        assert_eq!(throughline::spawn_local(asynchronous()).await.expect("no panic"), expected);
        assert_eq!(throughline::spawn_blocking(job).await.expect("no panic"), expected);
        assert_eq!(throughline::spawn_thread(job).join().expect("no panic"), expected);
        let mut set = JoinSet::new();
        set.spawn_traced(asynchronous());
        set.spawn_on_traced(asynchronous(), &tokio::runtime::Handle::current());
        set.spawn_local_traced(asynchronous());
        set.spawn_blocking_traced(job);
        assert_eq!(set.join_all().await, vec![expected.clone(); 4]);
        let (tell, told) = oneshot::channel();
        throughline::rayon::spawn(move || tell.send(job()).expect("the test waits"));
        assert_eq!(told.await.expect("the job ran"), expected);
    }
    let capture = Capture::new();
    LocalSet::new().run_until(capture.run_async(all())).await;
    let spans = capture.spans();
    assert_eq!(spans.len(), 9);
    let traces: std::collections::HashSet<_> = spans.iter().map(throughline::testing::FinishedSpan::trace_id).collect();
    assert_eq!(traces.len(), 9, "each is the entry of a trace of its own");
    assert!(spans.iter().all(|span| span.name() == "work"));
}

/// What is asked for by name is a span, also outside of one.
#[tokio::test]
async fn a_job_that_asks_for_a_span_has_one_everywhere() {
    #[traced_spawn]
    async fn attribute() {}
    let capture = Capture::new();
    let run = async {
        attribute().await.expect("no panic");
        throughline::span("block").spawn(async {}).await.expect("no panic");
        throughline::span("blocking").spawn_blocking(|| {}).await.expect("no panic");
    };
    capture.run_async(run).await;
    capture.assert_tree("attribute\nblock\nblocking");
}

/// A span of another process is one to be below.
#[tokio::test]
async fn below_a_remote_span_a_plain_job_has_a_span() {
    let capture = Capture::new();
    let above = capture.run(|| in_span("above", throughline::Snapshot::capture));
    let run = async { above.run_async(async { throughline::spawn(async {}).await.expect("no panic") }).await };
    capture.run_async(run).await;
    assert_eq!(capture.spans().len(), 2);
}

#[tokio::test]
async fn root_and_parent_of_a_block_hold_for_its_job() {
    #[traced_spawn(parent = above)]
    async fn attribute(above: throughline::Snapshot) {
        drop(above);
    }
    let capture = Capture::new();
    let above = capture.run(|| in_span("above", throughline::Snapshot::capture));
    let handle = tokio::runtime::Handle::current();
    let run = async {
        let span = throughline::span;
        let jobs = [
            span("root").root().spawn(async { travelled() }),
            span("root on").root().spawn_on(&handle, async { travelled() }),
            span("root blocking").root().spawn_blocking(travelled),
            span("root try")
                .root()
                .try_spawn_blocking(|| Ok::<_, String>(travelled()))
                .await
                .map(|ok| tokio::spawn(async { ok.expect("it is") }))
                .expect("no panic"),
            span("child").spawn(async { travelled() }),
        ];
        for job in jobs {
            assert_eq!(job.await.expect("no panic").0.as_deref(), Some("acme"));
        }
        span("parent").parent(&above).spawn(async {}).await.expect("no panic");
        span("parent blocking").parent(&above).spawn_blocking(|| {}).await.expect("no panic");
        attribute(above.clone()).await.expect("no panic");
    };
    let request = throughline::span("request").biz_tag("tenant_id", "acme").run_async(run);
    capture.run_async(request).await;
    capture.assert_tree(
        "
        above
        ├── parent ~> request
        ├── parent blocking ~> request
        └── attribute ~> request
        request
        └── child
        root ~> request
        root on ~> request
        root blocking ~> request
        root try ~> request
        ",
    );
}

#[tokio::test]
async fn root_where_nothing_is_sampled_begins_a_trace_of_its_own() {
    let off = Capture::with_sampler(Sampler::AlwaysOff);
    let ids = || Context::current().span().span_context().trace_id();
    let run =
        async move { (ids(), throughline::span("job").root().spawn(async move { ids() }).await.expect("no panic")) };
    let (above, job) = off.run_async(in_span_async("request", run)).await;
    assert_ne!(above, job);
}

#[tokio::test]
async fn try_forms_see_the_error() {
    let capture = Capture::new();
    let handle = tokio::runtime::Handle::current();
    let run = async {
        let fails = || Err::<u8, _>("no paper".to_owned());
        let asynchronous = move || async move { fails() };
        let span = throughline::span;
        let jobs = [
            throughline::try_spawn(asynchronous()),
            throughline::try_spawn_local(asynchronous()),
            throughline::try_spawn_blocking(fails),
            span("block").try_spawn(asynchronous()),
            span("on").try_spawn_on(&handle, asynchronous()),
            span("blocking").try_spawn_blocking(fails),
        ];
        for job in jobs {
            assert_eq!(job.await.expect("no panic"), fails());
        }
        assert_eq!(throughline::try_spawn_thread(fails).join().expect("no panic"), fails());
        let mut set = JoinSet::new();
        set.try_spawn_traced(asynchronous());
        set.try_spawn_on_traced(asynchronous(), &handle);
        set.try_spawn_local_traced(asynchronous());
        set.try_spawn_blocking_traced(fails);
        assert_eq!(set.join_all().await, vec![fails(); 4]);
        let (tell, told) = oneshot::channel::<()>();
        throughline::rayon::try_spawn(move || {
            drop(tell);
            fails().map(drop)
        });
        told.await.expect_err("it was dropped");
    };
    LocalSet::new().run_until(capture.run_async(in_span_async("request", run))).await;
    throughline::jobs::wait(Duration::from_secs(30)).await.ok();
    let request = capture.span("request");
    let jobs: Vec<_> = capture.spans().into_iter().filter(|span| span.name() != "request").collect();
    assert_eq!(jobs.len(), 12);
    for job in jobs {
        assert!(job.is_error() && job.is_child_of(&request), "{}", job.name());
    }
}
