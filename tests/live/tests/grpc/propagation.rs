//! The context between processes: trust boundaries, sampling, and metadata as a carrier.

use futures::stream;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::Sampler;
use throughline::testing::Capture;
use throughline::{Snapshot, in_span, in_span_async, traced};
use throughline_grpc::{inject, intercept};
use tonic::metadata::{BinaryMetadataValue, MetadataMap};
use tonic::service::interceptor::InterceptedService;

use crate::{Orders, Shop, all, checkout, lines, one, send_raw};

#[tokio::test(flavor = "multi_thread")]
async fn at_a_public_edge_the_caller_is_linked_and_not_trusted() {
    let shop = Shop::open("public");
    let capture = Capture::new();
    let client = shop.client();
    capture.run_async(async { checkout("acme", 1001, client.get("order")).await }).await.unwrap();
    drop(client);
    // Nor can a caller turn off recording.
    let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    send_raw(&shop, &[("traceparent", unsampled), ("baggage", "tenant_id=evil")]).await;

    let (here, there) = (lines(&capture), shop.peer.stop());
    let client = one(&here, "shop.Orders/Get");
    let servers = all(&there, "shop.Orders/Get");
    assert_eq!(servers.len(), 2);
    assert!(servers[0].is_linked_to(client));
    assert_eq!(servers[1].links[0].span_id, "b7ad6b7169203331");
    for server in servers {
        assert_eq!((server.parent_id.as_ref(), server.links.len()), (None, 1));
        assert_ne!(server.trace_id, server.links[0].trace_id);
        assert_eq!(server.attribute("tenant_id"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_that_is_not_sampled_goes_on_without_spans() {
    let shop = Shop::open("internal");
    let capture = Capture::with_sampler(Sampler::AlwaysOff);
    let client = shop.client();
    let (answer, trace) = capture
        .run_async(in_span_async("quiet", async {
            let trace = Context::current().span().span_context().trace_id();
            (client.get("order").await.unwrap(), trace)
        }))
        .await;
    assert_eq!(answer, format!("order {trace}"), "the handler is in the trace");
    // Without a current span, the client's span is the root.
    let alone = capture.run_async(client.get("order")).await.unwrap();
    assert_ne!(alone, "order 00000000000000000000000000000000");
    drop(client);
    assert_eq!((lines(&capture), shop.peer.stop()), (Vec::new(), Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_an_sdk_passes_the_context_on() {
    let shop = Shop::open("internal");
    let client = shop.client();
    let caller = SpanContext::new(
        TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c),
        SpanId::from(0xb7ad_6b71_6920_3331),
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    );
    // No capture, and no provider in this process.
    let context = Context::new().with_remote_span_context(caller);
    let messages = stream::once(async {
        // The stream of requests is polled elsewhere, but in the same trace.
        Context::current().span().span_context().span_id().to_string()
    });
    let count = Snapshot::from_context(&context).run_async(client.collect(messages)).await;
    assert_eq!(count.unwrap(), "1");
    drop(client);
    let there = shop.peer.stop();
    let server = one(&there, "shop.Orders/Collect");
    assert_eq!(server.trace_id, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(server.parent_id.as_deref(), Some("b7ad6b7169203331"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_layers_a_request_carries_the_context_and_is_a_parent() {
    let shop = Shop::open("plain");
    let capture = Capture::new();
    let client = Orders(InterceptedService::new(shop.endpoint().connect_lazy(), intercept));
    let answer = capture.run_async(in_span_async("ask", client.get("order"))).await;
    assert!(answer.is_ok());
    drop(client);

    let (here, there) = (lines(&capture), shop.peer.stop());
    let (ask, get) = (one(&here, "ask"), one(&there, "get"));
    assert!(get.is_child_of(ask) && get.kind == "server");
    assert_eq!(get.attribute("rpc.system.name"), Some("grpc"));
    assert_eq!(get.attribute("network.peer.address"), Some("127.0.0.1"));
    assert!(one(&there, "load").is_child_of(get));
    assert_eq!((here.len(), there.len()), (1, 2));
}

#[traced(kind = server, parent = metadata)]
fn receive(metadata: &MetadataMap) {}

#[test]
fn metadata_is_a_carrier_that_leaves_binary_values_alone() {
    let capture = Capture::new();
    let mut metadata = MetadataMap::new();
    let binary = BinaryMetadataValue::from_bytes(b"\xff\x00");
    metadata.insert_bin("trace-bin", binary.clone());
    metadata.insert("traceparent", "old".parse().unwrap());
    capture.run(|| in_span("send", || inject(&mut metadata)));
    assert_eq!(metadata.get_all("traceparent").iter().count(), 1, "the old one is replaced");
    assert_eq!(metadata.get_bin("trace-bin"), Some(&binary));

    capture.run(|| receive(&metadata));
    assert!(capture.span("receive").is_child_of(&capture.span("send")));

    // Two values are ambiguous, and count as none.
    capture.clear();
    let copy = metadata.get("traceparent").unwrap().clone();
    metadata.append("traceparent", copy);
    capture.run(|| receive(&metadata));
    assert_eq!(capture.span("receive").parent_id(), None);

    // A value that is not text is not a context.
    capture.clear();
    let mut headers = http::HeaderMap::new();
    headers.insert("traceparent", http::HeaderValue::from_bytes(b"\xff\xfe").unwrap());
    capture.run(|| receive(&MetadataMap::from_headers(headers)));
    assert_eq!(capture.span("receive").parent_id(), None);
}
