//! A future that several requests await.

use futures::FutureExt as _;
use futures::channel::oneshot;
use throughline::testing::Capture;
use throughline::{biz_tags, in_span, in_span_async, traced};

#[traced]
async fn load(row: oneshot::Receiver<u64>) -> u64 {
    let row = row.await.expect("it is sent");
    in_span("decode", || row)
}

#[traced]
#[biz_tags(tenant_id)]
async fn request(tenant_id: &str, value: impl Future<Output = u64>) -> u64 {
    in_span_async("wait", value).await
}

#[tokio::test(flavor = "current_thread")]
async fn it_belongs_to_the_request_that_polls_it_first() {
    let capture = Capture::new();
    let (sender, row) = oneshot::channel();
    let value = load(row).shared();
    let (first, second) = (request("acme", value.clone()), request("globex", value));
    let send = async move { sender.send(7).expect("it is awaited") };
    let (one, other, ()) = capture.run_async(async { futures::join!(first, second, send) }).await;
    assert_eq!((one, other), (7, 7));
    capture.assert_tree_with(
        &["tenant_id"],
        "
        request tenant_id=acme
        └── wait tenant_id=acme
            └── load tenant_id=acme
                └── decode tenant_id=acme
        request tenant_id=globex
        └── wait tenant_id=globex
        ",
    );
}

/// The request that polled it first is dropped before the future completes.
#[tokio::test(flavor = "current_thread")]
async fn another_one_completes_it_in_the_same_place() {
    let capture = Capture::new();
    let (sender, row) = oneshot::channel();
    let value = load(row).shared();
    let mut first = Box::pin(capture.run_async(request("acme", value.clone())));
    assert!(futures::poll!(&mut first).is_pending());
    drop(first);
    sender.send(7).expect("it is awaited");
    assert_eq!(capture.run_async(request("globex", value)).await, 7);
    capture.assert_tree_with(
        &["tenant_id"],
        "
        request !cancelled tenant_id=acme
        └── wait !cancelled tenant_id=acme
            └── load tenant_id=acme
                └── decode tenant_id=acme
        request tenant_id=globex
        └── wait tenant_id=globex
        ",
    );
}
