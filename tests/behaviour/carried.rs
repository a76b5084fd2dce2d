//! Snapshots and messages that carry a context.

use futures::StreamExt as _;
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use throughline::testing::Capture;
use throughline::{Carried, Snapshot, biz_tags, in_span, traced};

#[traced(kind = consumer, parent = message)]
fn handle(message: Carried<u8>) -> u8 {
    in_span("work", || {});
    message.into_inner()
}

/// Sends one message through each channel, and handles it where no span is current.
fn through(send: impl FnOnce(Carried<u8>), receive: impl FnOnce() -> Carried<u8>) {
    let capture = Capture::new();
    capture.run(|| {
        #[traced(kind = producer)]
        #[biz_tags(tenant_id = "acme")]
        fn produce(send: impl FnOnce(Carried<u8>)) {
            send(Carried::new(7));
        }
        produce(send);
    });
    // The receiver has nothing but the message.
    let received = receive();
    assert_eq!(handle(received), 7);
    capture.assert_tree_with(
        &["tenant_id"],
        "
        produce [producer] tenant_id=acme
        └── handle [consumer] tenant_id=acme
            └── work tenant_id=acme
        ",
    );
}

#[test]
fn std_crossbeam_flume() {
    let (sender, receiver) = std::sync::mpsc::channel();
    through(|message| sender.send(message).expect("open"), || receiver.recv().expect("sent"));
    let (sender, receiver) = crossbeam_channel::unbounded();
    through(|message| sender.send(message).expect("open"), || receiver.recv().expect("sent"));
    let (sender, receiver) = flume::unbounded();
    through(|message| sender.send(message).expect("open"), || receiver.recv().expect("sent"));
}

#[test]
fn tokio_mpsc_broadcast_watch() {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    through(|message| sender.send(message).expect("open"), || receiver.try_recv().expect("sent"));
    let (sender, mut receiver) = tokio::sync::broadcast::channel(4);
    through(|message| assert_eq!(sender.send(message).map_err(drop), Ok(1)), || receiver.try_recv().expect("sent"));
    let (sender, receiver) = tokio::sync::watch::channel(Carried::new(0));
    through(|message| sender.send(message).expect("open"), || receiver.borrow().clone());
}

#[tokio::test]
async fn an_actor_handles_each_message_in_its_own_trace() {
    let capture = Capture::new();
    let (mailbox, mut inbox) = tokio::sync::mpsc::channel::<Carried<&'static str>>(8);
    let actor = tokio::spawn(async move {
        while let Some(message) = inbox.recv().await {
            message.run_async(|name| async move { in_span(name, || {}) }).await;
        }
    });
    for (request, work) in [("first", "a"), ("second", "b")] {
        let message = capture.run(|| in_span(request, || Carried::new(work)));
        mailbox.send(message).await.expect("the actor lives");
    }
    drop(mailbox);
    actor.await.expect("no panic");
    capture.assert_tree(
        "
        first
        └── a
        second
        └── b
        ",
    );
}

#[test]
fn a_message_is_its_inner_value() {
    let mut message = Carried::new(vec![1, 2]);
    message.push(3);
    assert_eq!(message.len(), 3);
    let (inner, snapshot) = message.map(|list| list.len()).into_parts();
    assert_eq!((inner, snapshot.span_context()), (3, None));
    assert_eq!(Carried::new(4).run(|four| four + 1), 5);
}

#[tokio::test]
async fn a_snapshot_carries_closures_futures_and_streams() {
    let capture = Capture::new();
    let snapshot = capture.run(|| in_span("request", Snapshot::capture));
    std::thread::spawn(snapshot.clone().wrap(|| in_span("closure", || {}))).join().expect("no panic");
    snapshot.run(|| in_span("here", || {}));
    let each = snapshot.clone().wrap_fn(|n: u8| in_span("each", || n));
    assert_eq!([1, 2].into_iter().map(each).sum::<u8>(), 3);
    tokio::spawn(snapshot.run_async(async { in_span("future", || {}) })).await.expect("no panic");
    let stream = futures::stream::iter(0..2).map(|_| in_span("item", || {}));
    assert_eq!(tokio::spawn(snapshot.stream(stream).count()).await.expect("no panic"), 2);
    {
        let _attached = snapshot.attach();
        in_span("attached", || {});
    }
    let request = capture.span("request");
    for name in ["closure", "here", "each", "future", "item", "attached"] {
        assert!(capture.named(name).iter().all(|span| span.is_child_of(&request)), "{name}");
        assert!(!capture.named(name).is_empty(), "{name}");
    }
    assert!(!Context::current().has_active_span());
}

#[test]
fn neither_a_snapshot_nor_a_message_keeps_the_span_of_other_code_open() {
    use opentelemetry::trace::Tracer as _;
    let capture = Capture::new();
    let (snapshot, message) = capture.run(|| {
        let by_hand = capture.tracer("other").start("by hand");
        let _attached = Context::current_with_span(by_hand).attach();
        (Snapshot::capture(), Carried::new(7))
    });
    assert_eq!(capture.open(), 0, "the span of the other code has ended with its context");
    assert_eq!(handle(message), 7);
    snapshot.run(|| in_span("later", || {}));
    let by_hand = capture.span("by hand");
    assert!(capture.span("handle").is_child_of(&by_hand) && capture.span("later").is_child_of(&by_hand));
}

#[test]
fn a_snapshot_drops_a_future_inside() {
    struct Noisy;
    impl Drop for Noisy {
        fn drop(&mut self) {
            in_span("dropped", || {});
        }
    }
    let capture = Capture::new();
    let snapshot = capture.run(|| in_span("request", Snapshot::capture));
    let noisy = Noisy;
    drop(snapshot.run_async(async move { drop(noisy) }));
    assert!(capture.span("dropped").is_child_of(&capture.span("request")));
}

#[tokio::test]
async fn a_snapshot_drops_a_completed_future_inside() {
    struct Noisy;
    impl Drop for Noisy {
        fn drop(&mut self) {
            in_span("dropped", || {});
        }
    }
    let capture = Capture::new();
    let snapshot = capture.run(|| in_span("request", Snapshot::capture));
    let noisy = Noisy;
    let mut stream = std::pin::pin!(Some(snapshot.stream(futures::stream::iter(0..2).inspect(move |_| {
        let _kept = &noisy;
    }))));
    while stream.as_mut().as_pin_mut().expect("not dropped yet").next().await.is_some() {}
    assert!(capture.named("dropped").is_empty(), "the stream has ended, and is still there");
    stream.set(None);
    assert!(capture.span("dropped").is_child_of(&capture.span("request")));
}

#[test]
fn a_snapshot_keeps_flags_trace_state_and_baggage_of_other_code() {
    let state = TraceState::from_key_value([("vendor", "1")]).expect("valid");
    let span = SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::SAMPLED, true, state);
    let context = Context::new().with_remote_span_context(span.clone());
    let context = context.with_baggage([opentelemetry::KeyValue::new("tenant", "acme")]);
    let snapshot = Snapshot::from_context(&context);
    let again = Snapshot::from_context(&snapshot.to_context()).to_context();
    assert_eq!(again.span().span_context(), &span);
    assert_eq!(again.baggage().get("tenant").map(ToString::to_string), Some("acme".to_owned()));
}

#[test]
fn a_message_exposes_its_context() {
    let capture = Capture::new();
    let message = capture.run(|| in_span("send", || Carried::new(7_u8)));
    let sent = capture.span("send");
    assert_eq!(message.snapshot().span_context().map(SpanContext::span_id), Some(sent.span_id()));
    let (message, snapshot) = message.map(u16::from).into_parts();
    assert_eq!((message, snapshot.span_context().map(SpanContext::span_id)), (7_u16, Some(sent.span_id())));
}
