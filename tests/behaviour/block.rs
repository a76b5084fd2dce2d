//! Spans for blocks of code, through functions.

use futures::StreamExt as _;
use opentelemetry::Context;
use throughline::testing::Capture;
use throughline::{Carried, SpanKind, in_span, in_span_async, span, try_in_span, try_in_span_async};
use tokio::task::yield_now;

#[tokio::test]
async fn blocks_nest_and_record_how_they_end() {
    let capture = Capture::new();
    let run = in_span_async("outer", async {
        yield_now().await;
        assert_eq!(in_span("sync", || 1), 1);
        assert_eq!(try_in_span("fails", || Err::<(), _>("no stock")), Err("no stock"));
        assert_eq!(try_in_span("works", || Ok::<_, String>(2)), Ok(2));
        let failed = try_in_span_async("fails async", async {
            yield_now().await;
            Err::<(), _>("no stock")
        });
        assert_eq!(failed.await, Err("no stock"));
        let payload = std::panic::catch_unwind(|| in_span("panics", || panic!("lost"))).expect_err("it panics");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"lost"));
    });
    capture.run_async(run).await;
    capture.assert_tree(
        "
        outer
        ├── sync
        ├── fails !error: no stock
        ├── works
        ├── fails async !error: no stock
        └── panics !panicked: lost
        ",
    );
}

#[test]
fn a_block_configures_its_span() {
    let capture = Capture::new();
    capture.run(|| {
        let message = in_span("sender", || Carried::new(()));
        let other = in_span("other", Context::current);
        in_span("poll", || {
            span("handle").kind(SpanKind::Consumer).parent(&message).link(&other).run(|| {});
            span("nightly").root().run(|| {});
            assert_eq!(span("parse").try_run(|| "x".parse::<u8>()).ok(), None);
        });
    });
    capture.assert_tree(
        "
        sender
        └── handle [consumer] ~> other ~> poll
        other
        poll
        └── parse !error: invalid digit found in string
        nightly ~> poll
        ",
    );
}

#[test]
fn the_last_value_of_a_key_wins() {
    let capture = Capture::new();
    capture.run(|| {
        let block = span("order").tag("no", 1).tag("no", 2).biz_tag("tenant", "a").biz_tag("tenant", "b");
        // The span's own value takes precedence over the one for spans below.
        block.biz_tag("no", 3).run(|| in_span("line", || {}));
    });
    for (name, no) in [("order", 2), ("line", 3)] {
        let attributes = &capture.span(name).attributes;
        let of = |key: &str| {
            attributes.iter().filter(|tag| tag.key.as_str() == key).map(|tag| tag.value.clone()).collect::<Vec<_>>()
        };
        assert_eq!((of("no"), of("tenant")), (vec![no.into()], vec!["b".into()]), "{name}");
    }
}

#[tokio::test]
async fn a_block_is_async_a_stream_or_a_job() {
    let capture = Capture::new();
    let run = async {
        assert_eq!(span("async").tag("n", 1).run_async(async { 1 }).await, 1);
        assert_eq!(span("try async").try_run_async(async { Err::<u8, _>("no") }).await, Err("no"));
        let items = futures::stream::iter(0..3).map(|n| in_span("item", || n));
        assert_eq!(span("stream").stream(items).collect::<Vec<_>>().await, [0, 1, 2]);
        assert_eq!(span("job").spawn(async { 2 }).await.expect("no panic"), 2);
        assert_eq!(span("blocking").spawn_blocking(|| 3).await.expect("no panic"), 3);
    };
    capture.run_async(in_span_async("request", run)).await;
    capture.assert_tree(
        "
        request
        ├── async
        ├── try async !error: no
        ├── stream
        │   ├── item
        │   ├── item
        │   └── item
        ├── job
        └── blocking
        ",
    );
}

#[tokio::test]
async fn a_block_that_is_dropped_before_completion_is_cancelled() {
    let capture = Capture::new();
    let mut waits = Box::pin(capture.run_async(in_span_async("waits", std::future::pending::<()>())));
    assert!(futures::poll!(&mut waits).is_pending());
    drop(waits);
    assert!(capture.span("waits").is_cancelled());

    let mut stream = Box::pin(capture.run(|| span("stream").stream(futures::stream::iter(0..9))));
    assert_eq!(stream.next().await, Some(0));
    drop(stream);
    assert!(capture.span("stream").is_cancelled());
}

#[tokio::test]
async fn the_span_of_an_async_block_starts_with_its_first_poll() {
    let capture = Capture::new();
    let block = in_span_async("never", async {});
    drop(block);
    assert_eq!(capture.open() + capture.spans().len(), 0);
    // Its parent is the span that is current at the first poll, not the one where the future was created.
    let block = capture.run(|| in_span("maker", || in_span_async("block", async {})));
    capture.run_async(in_span_async("runner", block)).await;
    assert!(capture.span("block").is_child_of(&capture.span("runner")));
}
