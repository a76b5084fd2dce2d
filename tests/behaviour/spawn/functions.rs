//! `spawn` and its relatives, `JoinSet` and rayon.

use std::time::Duration;

use throughline::testing::Capture;
use throughline::{JoinSetExt as _, TryJoinSetExt as _, in_span, in_span_async, traced};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};

#[tokio::test]
async fn the_job_of_an_annotated_function_is_named_after_it() {
    struct Queue<T>(T);
    impl<T: Send + 'static> Queue<T> {
        #[traced]
        async fn drain(self) {
            tokio::task::yield_now().await;
            drop(self.0);
        }
    }
    #[traced]
    async fn receipt(order_no: u64) -> u64 {
        order_no
    }

    let capture = Capture::new();
    let run = async {
        assert_eq!(throughline::spawn(receipt(7)).await.expect("no panic"), 7);
        throughline::spawn(Box::pin(Queue("").drain())).await.expect("no panic");
    };
    capture.run_async(in_span_async("request", run)).await;
    let tree = "
        request
        ├── receipt (spawned)
        │   └── receipt
        └── drain (spawned)
            └── drain
        ";
    capture.assert_tree(tree);
}

#[tokio::test]
async fn the_job_of_a_future_in_a_span_is_named_after_its_function() {
    #[traced]
    fn later(order_no: u64) -> impl Future<Output = u64> + Send {
        let next = order_no + 1;
        async move { next }
    }
    let capture = Capture::new();
    let run = async {
        assert_eq!(throughline::spawn(later(6)).await.expect("no panic"), 7);
        let block = in_span_async("block", async { later(7).await });
        assert_eq!(throughline::spawn(block).await.expect("no panic"), 8);
    };
    capture.run_async(in_span_async("request", run)).await;
    let tree = "
        request
        ├── later
        ├── later (spawned)
        └── the_job_of_a_future_in_a_span_is_named_after_its_function (spawned)
            └── block
                └── later
        ";
    capture.assert_tree(tree);
}

/// This is common where `tokio::spawn` has been replaced.
#[tokio::test]
async fn a_job_of_a_wrapped_future_is_named_after_the_inner_one() {
    use opentelemetry::trace::FutureExt as _;
    use tracing::Instrument as _;
    use tracing::instrument::WithSubscriber as _;

    async fn receipt() {}
    let capture = Capture::new();
    let run = async {
        let limit = Duration::from_secs(30);
        throughline::spawn(receipt().instrument(tracing::info_span!("mail"))).await.expect("no panic");
        throughline::spawn(receipt().with_current_subscriber()).await.expect("no panic");
        throughline::spawn(tokio::time::timeout(limit, receipt())).await.expect("no panic").expect("in time");
        throughline::spawn(receipt().with_current_context()).await.expect("no panic");
        throughline::spawn(tokio::time::timeout(limit, receipt().in_current_span())).await.expect("no panic").ok();
    };
    capture.run_async(in_span_async("request", run)).await;
    assert_eq!(capture.named("receipt (spawned)").len(), 5, "{}", capture.tree());
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

/// They have the span itself, on which they can record, and not only its span context.
#[test]
fn both_sides_of_a_join_are_in_the_span() {
    let capture = Capture::new();
    capture.run(|| {
        in_span("request", || {
            throughline::rayon::join(
                || throughline::record("left", 1),
                || throughline::rayon::join(|| throughline::record("right", 2), || in_span("below", || ())),
            )
        })
    });
    let request = capture.span("request");
    assert_eq!((request.attribute("left"), request.attribute("right")), (Some(&1.into()), Some(&2.into())));
    assert_eq!(capture.span("below").attribute("throughline.detached"), None);
    capture.assert_tree("request\n└── below");
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
