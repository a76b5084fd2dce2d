//! The options of `#[traced_spawn]`.

use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use throughline::testing::Capture;
use throughline::{biz_tags, in_span, in_span_async, traced, traced_spawn};
use tokio::task::LocalSet;

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
async fn jobs_that_never_return() {
    #[traced_spawn(blocking)]
    fn block(by: u8) -> ! {
        panic!("blocked by {by}")
    }
    #[traced_spawn(thread)]
    fn thread() -> ! {
        panic!("ended")
    }
    let capture = Capture::new();
    let run = async {
        let blocked: tokio::task::JoinHandle<std::convert::Infallible> = block(1);
        assert!(blocked.await.expect_err("it panics").is_panic());
        assert!(thread().join().is_err());
    };
    capture.run_async(in_span_async("request", run)).await;
    capture.assert_tree("request\n├── block !panicked: blocked by 1\n└── thread !panicked: ended");
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

#[test]
fn the_panic_outside_a_runtime_names_a_remedy() {
    #[traced_spawn]
    async fn job() {}
    let capture = Capture::new();
    let payload =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| capture.run(|| drop(job())))).expect_err("no runtime");
    let message = payload.downcast_ref::<String>().expect("a text");
    assert!(message.contains("outside a Tokio runtime") && message.contains("on = handle"), "{message}");
    assert!(message.contains("the detached job `job` was started"), "{message}");
    assert!(message.contains("with another executor, spawn a `#[traced]` function in"), "{message}");
    assert_eq!(capture.open(), 0);
}
