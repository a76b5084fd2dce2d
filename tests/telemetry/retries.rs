//! The bytes that a retry sends, and compressed responses.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use throughline::telemetry::Protocol;
use throughline_load::{gzipped, partial_success};
use tokio::net::TcpListener;

use crate::process::alone;
use crate::support::{Log, run, trace};

/// The bodies of the requests.
type Bodies = Arc<Mutex<Vec<Bytes>>>;

/// Refuses the first request, and accepts all others.
async fn answer(State(bodies): State<Bodies>, headers: HeaderMap, body: Bytes) -> Response {
    let mut bodies = bodies.lock().expect("not poisoned");
    bodies.push(body);
    let is_first = bodies.len() == 1;
    if headers["content-type"] != "application/grpc" {
        let status = if is_first { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
        return status.into_response();
    }
    // `UNAVAILABLE`, or `OK` and an empty message.
    let (status, message) = if is_first { ("14", &[][..]) } else { ("0", &[0; 5][..]) };
    ([("content-type", "application/grpc"), ("grpc-status", status)], message).into_response()
}

async fn start(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("a bound socket");
    tokio::spawn(async { axum::serve(listener, router).await });
    address
}

/// The bodies of the requests for one batch, including retries.
fn bodies(protocol: Protocol, compression: &'static str) -> Vec<Bytes> {
    let bodies = Bodies::default();
    run(async {
        let address = start(Router::new().fallback(answer).with_state(Arc::clone(&bodies))).await;
        let path = if protocol == Protocol::Grpc { "" } else { "/v1/traces" };
        let telemetry = throughline::telemetry::builder()
            .variables(|name| (name == "OTEL_EXPORTER_OTLP_COMPRESSION").then(|| compression.to_owned()))
            .collector(format!("http://{address}{path}"), protocol)
            .init()
            .expect("a valid configuration");
        trace(20);
        let report = telemetry.shutdown(Duration::from_secs(30)).await;
        assert!(report.is_complete() && report.stats.exported == 21, "{report:?}");
    });
    let bodies = bodies.lock().expect("not poisoned");
    bodies.clone()
}

alone! {
    fn a_retry_sends_the_same_bytes() {
        for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
            let [plain, compressed] = ["none", "gzip"].map(|compression| {
                let bodies = bodies(protocol, compression);
                assert_eq!(bodies.len(), 2, "{protocol:?}, {compression}");
                assert!(bodies[0] == bodies[1], "{protocol:?}, {compression}");
                bodies[0].clone()
            });
            assert!(compressed.len() < plain.len() / 2, "{protocol:?}: {} of {}", compressed.len(), plain.len());
            if protocol == Protocol::Grpc {
                // The flag, and the length of the message.
                for (body, flag) in [(plain, 0), (compressed, 1)] {
                    let length = u32::try_from(body.len() - 5).expect("short").to_be_bytes();
                    assert_eq!((body[0], &body[1..5]), (flag, &length[..]));
                }
            }
        }
    }
}

/// A response with a compressed message, whether or not the request accepts it.
fn compressed(headers: &HeaderMap, message: &[u8]) -> Response {
    let message = gzipped(message).expect("memory can be read");
    if headers["content-type"] != "application/grpc" {
        return ([("content-type", "application/x-protobuf"), ("content-encoding", "gzip")], message).into_response();
    }
    let accepted = headers["grpc-accept-encoding"].to_str().expect("text");
    assert!(accepted.split(',').any(|encoding| encoding == "gzip"), "{accepted}");
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    let status = HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))]);
    let body = Full::new(Bytes::from([&[1][..], &length, &message].concat()));
    let body = Body::new(body.with_trailers(async { Some(Ok(status)) }));
    ([("content-type", "application/grpc"), ("grpc-encoding", "gzip")], body).into_response()
}

alone! {
    fn a_compressed_response_is_read_up_to_a_limit() {
        let log = Log::keep();
        for (protocol, compression) in [
            (Protocol::Grpc, "gzip"),
            (Protocol::Grpc, "none"),
            (Protocol::HttpProtobuf, "gzip"),
            (Protocol::HttpProtobuf, "none"),
        ] {
            for (message, exported, refused) in [
                (partial_success(2, "too old"), 3, 2),
                // A few kilobytes before decompression.
                (partial_success(2, &"x".repeat(4 << 20)), 0, 5),
            ] {
                run(async {
                    let router = Router::new().fallback(async move |headers: HeaderMap| compressed(&headers, &message));
                    let address = start(router).await;
                    let path = if protocol == Protocol::Grpc { "" } else { "/v1/traces" };
                    let telemetry = throughline::telemetry::builder()
                        .variables(move |name| (name == "OTEL_EXPORTER_OTLP_COMPRESSION").then(|| compression.to_owned()))
                        .collector(format!("http://{address}{path}"), protocol)
                        .init()
                        .expect("a valid configuration");
                    trace(4);
                    let stats = telemetry.shutdown(Duration::from_secs(30)).await.stats;
                    let counts = (stats.exported, stats.refused);
                    assert_eq!(counts, (exported, refused), "{protocol} {compression}: {}", log.text());
                });
            }
        }
        let text = log.text();
        assert_eq!(text.matches("refused 2 spans: too old").count(), 4, "{text}");
        for expected in [
            "refused 5 spans: ResourceExhausted: Error decompressing: size limit",
            "refused 5 spans: status 200 OK, but the response is larger than 4 MiB",
        ] {
            assert_eq!(text.matches(expected).count(), 2, "{text}");
        }
    }
}

/// The response of a proxy in front of the collector: over HTTP/2, but not gRPC.
fn page(status: u16) -> Response {
    let page = "<html><head><title>a page</title></head></html>";
    (StatusCode::from_u16(status).expect("a status code"), [("content-type", "text/html")], page).into_response()
}

alone! {
    /// gRPC, "HTTP to gRPC Status Code Mapping".
    fn over_grpc_the_http_status_of_a_page_is_decisive() {
        let log = Log::keep();
        for (status, exported) in [(429, 5), (502, 5), (503, 5), (504, 5), (413, 5), (400, 0), (403, 0), (500, 0)] {
            let bodies = Bodies::default();
            let router = Router::new().fallback(async move |State(bodies): State<Bodies>, body: Bytes| {
                let mut bodies = bodies.lock().expect("not poisoned");
                bodies.push(body);
                if bodies.len() == 1 {
                    return page(status);
                }
                ([("content-type", "application/grpc"), ("grpc-status", "0")], &[0; 5][..]).into_response()
            });
            run(async {
                let address = start(router.with_state(Arc::clone(&bodies))).await;
                let telemetry = throughline::telemetry::builder()
                    .variables(|_| None)
                    .collector(format!("http://{address}"), Protocol::Grpc)
                    .init()
                    .expect("a valid configuration");
                trace(4);
                let report = telemetry.shutdown(Duration::from_secs(30)).await;
                assert_eq!((report.stats.exported, report.stats.refused), (exported, 5 - exported), "{status}");
            });
            let is_sent_again = bodies.lock().expect("not poisoned").len() > 1;
            assert_eq!(is_sent_again, exported > 0, "{status}");
            let is_named = log.text().contains(&format!("(HTTP status {status})"));
            assert_eq!(is_named, exported == 0, "{}", log.text());
        }
    }
}
