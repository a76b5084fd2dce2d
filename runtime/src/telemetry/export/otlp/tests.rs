use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::grpc::{Observed, classify};
use super::http::{built, retry_after};
use super::*;
use crate::encoding::wire::{SPANS, put_bytes};
use crate::telemetry::config::{Config, Env, ExporterConfig};
use crate::tracer::encoded::{QueuedSpans, Scopes};

fn is(failure: &Failure) -> (&'static str, Option<u64>) {
    match failure {
        Failure::Retryable { retry_after, .. } => ("retryable", retry_after.map(|after| after.as_secs())),
        Failure::TooLarge(_) => ("too large", None),
        Failure::Permanent(_) => ("permanent", None),
    }
}

/// Classifies a status that the collector has sent.
fn sent(status: &Status) -> AttemptError {
    let observed = Observed::default();
    observed.grpc_status.store(true, Ordering::Relaxed);
    classify(status, &observed)
}

/// The table in the section "Failures" of OTLP/gRPC.
#[test]
fn retryable_statuses_are_those_of_the_specification() {
    for code in (1..=16).map(Code::from_i32) {
        let retryable = [
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::OutOfRange,
            Code::Unavailable,
            Code::DataLoss,
        ];
        let expected = if retryable.contains(&code) { "retryable" } else { "permanent" };
        let error = sent(&Status::new(code, "no"));
        let is_denied = [Code::Unauthenticated, Code::PermissionDenied].contains(&code);
        let doubt = is_denied.then_some(Doubt::Credentials);
        assert_eq!((is(&error.failure), error.doubt), ((expected, None), doubt), "{code:?}");
    }
}

#[test]
fn a_collector_may_request_a_delay() {
    let details = |seconds| ErrorDetails::with_retry_info(Some(Duration::from_secs(seconds)));
    for (code, expected) in [
        (Code::Unavailable, ("retryable", Some(7))),
        (Code::OutOfRange, ("retryable", Some(7))),
        (Code::ResourceExhausted, ("retryable", Some(7))),
        (Code::InvalidArgument, ("permanent", None)),
        (Code::Unimplemented, ("permanent", None)),
    ] {
        assert_eq!(is(&sent(&Status::with_error_details(code, "no", details(7))).failure), expected, "{code:?}");
    }
    let garbage = Status::with_details(Code::ResourceExhausted, "no", vec![0xff; 9].into());
    assert_eq!(is(&sent(&garbage).failure), ("permanent", None));
}

/// A status with one detail, `RetryInfo`, encoded as `info`.
fn asking(code: Code, info: &[u8]) -> Status {
    // The tags of the fields 1 to 3, which are messages or text.
    let [first, second, third] = [1, 2, 3].map(|field| field << 3 | 2);
    let mut any = Vec::new();
    put_bytes(&mut any, first, b"type.googleapis.com/google.rpc.RetryInfo");
    put_bytes(&mut any, second, info);
    let mut status = Vec::new();
    put_bytes(&mut status, third, &any);
    Status::with_details(code, "no", status.into())
}

/// OTLP/gRPC, "OTLP/gRPC Throttling".
#[test]
fn a_collector_may_say_when_in_any_way() {
    // A duration whose seconds are the varint that follows.
    const LONG: [u8; 3] = [10, 11, 8];
    let seconds = |varint: &[u8; 10]| [&LONG[..], varint].concat();
    let negative = seconds(&[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    let least = seconds(&[128, 128, 128, 128, 128, 128, 128, 128, 128, 1]);
    let greatest = seconds(&[255, 255, 255, 255, 255, 255, 255, 255, 255, 0]);
    for (info, expected) in [
        (&[10, 2, 8, 7][..], Some(Some(7))),
        (&[10, 0], Some(Some(0))),
        (&[], Some(None)),
        (&negative, Some(Some(0))),
        (&least, Some(Some(0))),
        (&greatest, Some(Some(i64::MAX.unsigned_abs()))),
        // Malformed.
        (&[10, 9, 8], None),
    ] {
        let expect = |code, expected| assert_eq!(is(&sent(&asking(code, info)).failure), expected, "{code:?} {info:?}");
        expect(Code::Unavailable, ("retryable", expected.flatten()));
        expect(Code::ResourceExhausted, expected.map_or(("permanent", None), |after| ("retryable", after)));
        expect(Code::Internal, ("permanent", None));
        expect(Code::Unauthenticated, ("permanent", None));
    }
}

/// The paused clock only advances when there is nothing to do.
#[tokio::test(start_paused = true)]
async fn the_backoff_doubles_and_both_it_and_a_requested_delay_are_bounded() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mut config = ExporterConfig::default();
    let endpoint = format!("http://{}", listener.local_addr().expect("a bound socket"));
    config.set_collector(endpoint, Protocol::HttpProtobuf).expect("a URL");
    let mut config = config.otlp().expect("a valid configuration").clone();
    config.timeout = None;
    let exporter = OtlpExporter::new(&config, &Resource::builder_empty().build());
    let exporter = exporter.unwrap_or_else(|error| panic!("{error}"));
    let (scopes, waits) = (Scopes::default(), RefCell::new(Vec::new()));
    let serve = async {
        let mut answered = time::Instant::now();
        for retry_after in [0, 0, 0, 0, 0, 0, 0, 0, 7, 99_999, 0] {
            let (mut stream, _) = listener.accept().await.expect("an attempt");
            waits.borrow_mut().push(answered.elapsed().as_millis());
            let _ = stream.read(&mut [0; 1 << 10]).await.expect("a request");
            let answer = format!(
                "HTTP/1.1 503 Service Unavailable\r\nretry-after: {retry_after}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.expect("the client reads");
            answered = time::Instant::now();
        }
    };
    tokio::select! {
        () = exporter.export(gzip::tests::batch(&scopes), &|_| {}) => panic!("it was not accepted"),
        () = serve => {}
    }
    let expected = [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 7_000, 30_000];
    let waits = waits.take();
    // Each with jitter, in milliseconds, rounded up.
    let is_expected = |(wait, expected): (&u128, u128)| (expected..=expected + 101).contains(wait);
    assert!(waits.len() == expected.len() && waits.iter().zip(expected).all(is_expected), "{waits:?}");
}

/// Over a slow network, a large request would time out forever, and everything behind it would never be sent.
#[tokio::test(start_paused = true)]
async fn a_request_that_times_out_is_split() {
    const LENGTH: usize = 1_500;

    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut config = ExporterConfig::default();
        let endpoint = format!("http://{}", listener.local_addr().expect("a bound socket"));
        config.set_collector(endpoint, protocol).expect("a URL");
        let otlp = config.otlp().expect("a valid configuration");
        let exporter = OtlpExporter::new(otlp, &Resource::builder_empty().build());
        let exporter = exporter.unwrap_or_else(|error| panic!("{error}"));
        let scopes = Scopes::default();
        let batch = Batch { spans: vec![spans(&[LENGTH; 8])], scopes: &scopes, max_spans: 10 };
        let received = async {
            let mut spans = Vec::new();
            for _ in 0..8 {
                let (mut stream, _) = listener.accept().await.expect("an attempt");
                let mut request = Vec::new();
                // Until the exporter gives up.
                let _ = stream.read_to_end(&mut request).await;
                spans.push(request.len() / LENGTH);
            }
            spans
        };
        let spans = tokio::select! {
            () = exporter.export(batch, &|_| {}) => panic!("it was not accepted"),
            spans = received => spans,
        };
        // Three spans, the most that half of the bytes have room for, are few enough to be retried as they are.
        assert_eq!(spans, [8, 8, 8, 3, 3, 3, 3, 3], "{protocol:?}");
    }
}

/// "Endpoint URLs for OTLP/HTTP".
#[tokio::test]
async fn a_request_has_the_path_of_the_endpoint() {
    const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

    for (variable, path, expected) in [
        (ALL, "", "/v1/traces"),
        (ALL, "/", "/v1/traces"),
        (ALL, "/mycollector/", "/mycollector/v1/traces"),
        (ALL, "/my%20collector?key=/a", "/my%20collector/v1/traces?key=/a"),
        (TRACES, "", "/"),
        (TRACES, "/v1/traces/", "/v1/traces/"),
        (TRACES, "/own?key=a", "/own?key=a"),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}{path}", listener.local_addr().expect("a bound socket"));
        let get = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_PROTOCOL" => Some("http/protobuf".to_owned()),
            name => (name == variable).then(|| endpoint.clone()),
        };
        let config = Config::from_env(&Env::new(&get)).expect("a valid configuration");
        let otlp = config.exporter.otlp().expect("a valid configuration");
        let exporter = OtlpExporter::new(otlp, &Resource::builder_empty().build());
        let exporter = exporter.unwrap_or_else(|error| panic!("{error}"));
        let scopes = Scopes::default();
        let received = async {
            let (mut stream, _) = listener.accept().await.expect("an attempt");
            let mut head = [0; 1 << 10];
            let len = stream.read(&mut head).await.expect("a request");
            String::from_utf8_lossy(&head[..len]).lines().next().map(str::to_owned)
        };
        let line = tokio::select! {
            () = exporter.export(gzip::tests::batch(&scopes), &|_| {}) => panic!("it was not accepted"),
            line = received => line,
        };
        assert_eq!(line, Some(format!("POST {expected} HTTP/1.1")), "{variable} {path}");
    }
}

/// Messages are for humans.
#[test]
fn the_message_of_a_status_is_not_interpreted() {
    for message in ["grpc: received message larger than max (5000000 vs. 4194304)", "trying to send message too large"]
    {
        for (code, expected) in [(Code::ResourceExhausted, "permanent"), (Code::OutOfRange, "retryable")] {
            let mut error = sent(&Status::new(code, message));
            assert_eq!(is(&error.failure).0, expected, "{message}");
            assert!(error.failure.reason_mut().contains(message));
        }
    }
}

#[test]
fn a_status_that_tonic_has_made_up_is_not_attributed_to_the_collector() {
    // What tonic reports for a response with an invalid length.
    let broken = Status::out_of_range("Error, decoded message length too large: found 1852139636 bytes");
    let error = classify(&broken, &Observed::default());
    assert_eq!((is(&error.failure).0, error.doubt), ("permanent", Some(Doubt::Protocol)));
    let observed = Observed::default();
    observed.http_status.store(404, Ordering::Relaxed);
    let mut error = classify(&Status::unimplemented("no page"), &observed);
    assert_eq!(
        (error.failure.reason_mut().as_str(), error.doubt),
        ("Unimplemented: no page (HTTP status 404)", Some(Doubt::Protocol))
    );
}

/// Spans of these lengths.
fn spans(lengths: &[usize]) -> QueuedSpans {
    let mut bytes = Vec::new();
    for length in lengths {
        put_bytes(&mut bytes, SPANS, &vec![0; *length]);
    }
    QueuedSpans::complete(0, u32::try_from(lengths.len()).expect("few"), bytes.into())
}

#[test]
fn only_requests_that_are_large_or_can_be_split_can_be_too_large() {
    let envelope = Envelope::new(&Resource::builder_empty().build());
    let request = |lengths: &[usize]| Request::new(&envelope, vec![spans(lengths)], &Scopes::default());
    assert!(!request(&[9]).can_be_too_large());
    assert!(request(&[9, 9]).can_be_too_large());
    assert!(request(&[4 << 20]).can_be_too_large());
}

/// OTLP, "OTLP/HTTP Request": "the client MUST NOT make the request".
#[tokio::test]
async fn a_span_of_more_than_64_mebibytes_is_not_sent() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mut config = ExporterConfig::default();
    let endpoint = format!("http://{}", listener.local_addr().expect("a bound socket"));
    config.set_collector(endpoint, Protocol::HttpProtobuf).expect("a URL");
    let exporter = OtlpExporter::new(config.otlp().expect("a valid configuration"), &Resource::builder_empty().build());
    let exporter = exporter.unwrap_or_else(|error| panic!("{error}"));
    let (scopes, outcomes) = (Scopes::default(), RefCell::new(Vec::new()));
    let report = |outcome| outcomes.borrow_mut().push(outcome);
    let batch = Batch { spans: vec![spans(&[64 << 20])], scopes: &scopes, max_spans: 10 };
    tokio::select! {
        () = exporter.export(batch, &report) => {}
        _ = listener.accept() => panic!("the request was sent"),
    }
    let outcomes = outcomes.take();
    assert_eq!((outcomes.len(), outcomes[0].refused, &*outcomes[0].reason), (1, 1, "the span is larger than 64 MiB"));
}

#[test]
fn the_hint_names_the_setting_of_the_protocol() {
    let hint = |config: &ExporterConfig| {
        let otlp = config.otlp().expect("a valid configuration");
        Hints::new(otlp).of(Doubt::Protocol).to_owned()
    };
    let mut config = ExporterConfig::default();
    let expected = "; check `OTEL_EXPORTER_OTLP_PROTOCOL` and the port, commonly 4317 for `grpc` and 4318 for \
                    `http/protobuf`";
    assert_eq!(hint(&config), expected);
    config.set_collector("http://c:9/v1/traces".to_owned(), Protocol::HttpProtobuf).expect("a URL");
    assert_eq!(hint(&config), expected.replace("OTEL_EXPORTER_OTLP_PROTOCOL", "Builder::collector"));
}

#[test]
fn the_hint_names_an_unusual_path() {
    const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

    let hint = |variables: &[(&str, &str)]| {
        let get = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let config = Config::from_env(&Env::new(&get)).expect("a valid configuration");
        let hints = Hints::new(config.exporter.otlp().expect("a valid configuration"));
        let (path, protocol) = (hints.of(Doubt::Path).to_owned(), hints.of(Doubt::Protocol));
        if path == protocol { None } else { path.strip_prefix("; check the path: ").map(str::to_owned) }
    };
    let unchanged = "that of `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is used unchanged, and is commonly `/v1/traces`";
    let appended = "`/v1/traces` is appended to that of `OTEL_EXPORTER_OTLP_ENDPOINT`, and must not be part of it";
    for (name, endpoint, expected) in [
        (ALL, "http://c:4318", None),
        (ALL, "http://c:4318/base/", None),
        (ALL, "http://c:4318/v1/traces", Some(appended)),
        (ALL, "http://c:4318/v1/traces/?key=a", Some(appended)),
        (ALL, "http://c:4317", None),
        (TRACES, "http://c:4318/base/v1/traces?key=a", None),
        (TRACES, "http://c:4318", Some(unchanged)),
        (TRACES, "http://c:4318/base?path=/v1/traces", Some(unchanged)),
        (TRACES, "http://c:4317", None),
    ] {
        assert_eq!(hint(&[(name, endpoint)]).as_deref(), expected, "{endpoint}");
    }
    // The path is only appended to `OTEL_EXPORTER_OTLP_ENDPOINT`.
    assert_eq!(hint(&[(TRACES, "http://c:4318/v1/traces/v1/traces")]), None);
}

#[cfg(not(feature = "otlp-tls"))]
#[test]
fn encrypted_connections_require_a_feature() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let mut config = ExporterConfig::default();
        config.set_collector("https://collector:4317".to_owned(), protocol).expect("a URL");
        let otlp = config.otlp().expect("the defaults are valid");
        let error = OtlpExporter::new(otlp, &Resource::builder_empty().build()).err().expect("there is no TLS");
        let expected = "`Builder::collector` is `https://collector:4317`; expected an `http://` URL; `https://` requires \
                        the feature `otlp-tls` of `throughline`";
        assert_eq!(error.to_string(), expected);
    }
}

#[cfg(not(feature = "otlp-tls"))]
#[test]
fn an_endpoint_that_cannot_be_used_is_shown_as_it_was_given() {
    for (name, endpoint) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318/base"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4317"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector:4318/v1/traces"),
    ] {
        let get = |variable: &str| (variable == name).then(|| endpoint.to_owned());
        let config = Config::from_env(&Env::new(&get)).expect("it is a URL");
        let otlp = config.exporter.otlp().expect("it is a URL");
        let error = OtlpExporter::new(otlp, &Resource::builder_empty().build()).err().expect("there is no TLS");
        let expected = format!("`{name}` is `{endpoint}`; expected an `http://` URL; ");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

#[test]
fn a_requested_delay_may_be_in_seconds_or_a_date() {
    let now = httpdate::parse_http_date("Fri, 20 Nov 2026 12:00:00 GMT").expect("a date");
    for (after, expected) in [
        ("0", Some(0)),
        ("7", Some(7)),
        ("99999999999999999999", Some(u64::MAX)),
        ("Fri, 20 Nov 2026 12:00:07 GMT", Some(7)),
        ("Friday, 20-Nov-26 12:01:00 GMT", Some(60)),
        ("Fri, 20 Nov 2026 11:59:00 GMT", Some(0)),
        ("", None),
        ("-1", None),
        ("soon", None),
    ] {
        assert_eq!(retry_after(after, now).map(|after| after.as_secs()), expected, "{after}");
    }
}

/// As reqwest does with its feature `rustls-no-provider`.
#[test]
fn a_panic_of_the_http_client_is_an_error_with_a_remedy() {
    let reason = built(|| panic!("No provider set")).expect_err("there is no client");
    assert!(reason.contains("`otlp-tls`") && reason.contains("gRPC"), "{reason}");
    assert!(built(|| reqwest::Client::builder().no_proxy().build()).is_ok());
}
