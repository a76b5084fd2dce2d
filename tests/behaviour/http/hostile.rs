//! Whatever bytes a request contains, it gets a response and a span.

use axum::body::Body;
use http::{HeaderName, HeaderValue, Request};
use proptest::prelude::*;
use throughline::testing::Capture;
use throughline_http::{RequestTag, ServerLayer};

use super::{assert_no_doubles, router, send};

const NAMES: [&str; 12] = [
    "traceparent",
    "tracestate",
    "baggage",
    "x-request-id",
    "x-tenant-id",
    "x-travel",
    "host",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "user-agent",
    "x-recorded",
];

/// Header values: some random, some almost valid.
fn value() -> impl Strategy<Value = HeaderValue> {
    let shaped = prop_oneof![
        "[0-9a-f]{2}-[0-9a-f]{31,33}-[0-9a-f]{15,17}-[0-9a-f]{1,3}",
        "[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "([a-z@=;,% ]{0,8}){0,40}",
        "(for=\"?\\[?[0-9a-f:.]{0,20}\\]?\"?[;,]?){0,5}",
        "[a-z0-9.:\\[\\]@]{0,30}",
    ];
    // All bytes that are allowed in a header.
    let byte = prop_oneof![Just(b'\t'), b' '..=b'~', 0x80..=u8::MAX];
    prop_oneof![proptest::collection::vec(byte, 0..300), shaped.prop_map(String::into_bytes)]
        .prop_map(|bytes| HeaderValue::from_bytes(&bytes).expect("a header value"))
}

fn layers() -> impl Strategy<Value = ServerLayer> {
    (any::<bool>(), any::<bool>(), 0..3_usize).prop_map(|(public, fresh, proxies)| {
        let layer = if public { ServerLayer::new().public() } else { ServerLayer::new() };
        let layer = if fresh { layer.fresh_request_id() } else { layer };
        let tag =
            RequestTag::new("tenant_id").header("x-tenant-id").path("tenant").path("rest").query("q").baggage("q");
        layer
            .proxies(proxies)
            .tag_header("travelled", "x-travel")
            .tag(tag.required().propagate())
            .record_request_headers(["x-recorded", "host"])
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(400),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_headers(
        layer in layers(),
        headers in proptest::collection::vec((0..NAMES.len(), value()), 0..12),
        uri in "/(orders/|tenants/[ -~]{0,12}/files/)?([!-~]|%[0-9a-f]{2}){0,20}(\\?([a-z=&+]|%[0-9a-f]{2}){0,20})?",
    ) {
        let Ok(uri) = uri.parse::<http::Uri>() else { return Ok(()) };
        let mut request = Request::get(uri).body(Body::empty()).expect("a request");
        for (name, value) in headers {
            request.headers_mut().append(HeaderName::from_static(NAMES[name]), value);
        }
        let capture = Capture::with_sampler(opentelemetry_sdk::trace::Sampler::AlwaysOn);
        let response = futures::executor::block_on(send(&capture, router(layer), request));
        prop_assert_eq!(capture.open(), 0);
        let spans = capture.spans();
        prop_assert_eq!(spans.len(), 1);
        let span = &spans[0];
        prop_assert!(span.span_context.is_valid());
        prop_assert!(span.name().starts_with("GET"));
        prop_assert_eq!(span.is_error(), false);
        assert_no_doubles(span);
        let ids: Vec<_> = response.headers().get_all("x-request-id").iter().collect();
        prop_assert_eq!(ids.len(), 1);
        prop_assert!(ids[0].to_str().is_ok_and(|id| !id.is_empty() && id.len() <= 256));
        for attribute in &span.attributes {
            let text = attribute.value.to_string();
            prop_assert!(!text.contains(['\r', '\n', '\u{1b}', '\u{202e}']), "{} {:?}", attribute.key, text);
        }
    }
}
