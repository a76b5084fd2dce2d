use std::sync::atomic::Ordering;

use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::grpc::{Heard, classified};
use super::http::waited;
use super::*;

fn is(failure: &Failure) -> (&'static str, Option<u64>) {
    match failure {
        Failure::Later { asked, .. } => ("later", asked.map(|asked| asked.as_secs())),
        Failure::TooLarge(_) => ("too large", None),
        Failure::Never(_) => ("never", None),
    }
}

/// What a status of the collector's means.
fn said(status: &Status) -> Tried {
    let heard = Heard::default();
    heard.status.store(true, Ordering::Relaxed);
    classified(status, &heard)
}

/// The table of the OTLP specification, section "Failures" of OTLP/gRPC.
#[test]
fn which_status_is_tried_again() {
    for code in (1..=16).map(Code::from_i32) {
        let later = [
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::OutOfRange,
            Code::Unavailable,
            Code::DataLoss,
        ];
        let expected = if later.contains(&code) { "later" } else { "never" };
        let tried = said(&Status::new(code, "no"));
        assert_eq!((is(&tried.failure), tried.strange), ((expected, None), false), "{code:?}");
    }
}

#[test]
fn a_collector_may_say_when() {
    let details = |seconds| ErrorDetails::with_retry_info(Some(Duration::from_secs(seconds)));
    for (code, expected) in [
        (Code::Unavailable, ("later", Some(7))),
        (Code::OutOfRange, ("later", Some(7))),
        (Code::ResourceExhausted, ("later", Some(7))),
        (Code::InvalidArgument, ("never", None)),
        (Code::Unimplemented, ("never", None)),
    ] {
        assert_eq!(is(&said(&Status::with_error_details(code, "no", details(7))).failure), expected, "{code:?}");
    }
    let garbage = Status::with_details(Code::ResourceExhausted, "no", vec![0xff; 9].into());
    assert_eq!(is(&said(&garbage).failure), ("never", None));
}

/// What a message says is for people.
#[test]
fn no_text_decides() {
    for message in ["grpc: received message larger than max (5000000 vs. 4194304)", "trying to send message too large"]
    {
        for (code, expected) in [(Code::ResourceExhausted, "never"), (Code::OutOfRange, "later")] {
            let mut tried = said(&Status::new(code, message));
            assert_eq!(is(&tried.failure).0, expected, "{message}");
            assert!(tried.failure.why().contains(message));
        }
    }
}

#[test]
fn what_the_collector_has_not_said_is_not_taken_for_its_word() {
    // As tonic says it of an answer with a broken length.
    let broken = Status::out_of_range("Error, decoded message length too large: found 1852139636 bytes");
    let tried = classified(&broken, &Heard::default());
    assert_eq!((is(&tried.failure).0, tried.strange), ("never", true));
    let heard = Heard::default();
    heard.http.store(404, Ordering::Relaxed);
    let mut tried = classified(&Status::unimplemented("no page"), &heard);
    assert_eq!((tried.failure.why().as_str(), tried.strange), ("Unimplemented: no page (HTTP status 404)", true));
}

#[test]
fn only_what_can_be_smaller_is_made_smaller() {
    let span = |length: usize| Span { name: "x".repeat(length), ..Span::default() };
    let request = |spans: Vec<Span>| {
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        Request::new(vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }])
    };
    assert!(!request(vec![span(9)]).may_be_too_large());
    assert!(request(vec![span(9), span(9)]).may_be_too_large());
    assert!(request(vec![span(4 << 20)]).may_be_too_large());
}

#[cfg(not(feature = "otlp-tls"))]
#[test]
fn encrypted_connections_need_a_feature() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let otlp = Otlp {
            endpoint: "https://collector:4317".to_owned(),
            variable: None,
            protocol,
            headers: Vec::new(),
            timeout: None,
            gzip: false,
        };
        let error = exporter(&otlp, &Resource::builder_empty().build()).err().expect("there is no TLS");
        let expected = "`Builder::collector` is `https://collector:4317`; expected an address with `http://`, or the \
                        feature `otlp-tls` of `throughline` for encrypted connections";
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_collector_may_say_when_by_seconds_and_by_a_date() {
    let now = httpdate::parse_http_date("Fri, 20 Nov 2026 12:00:00 GMT").expect("a date");
    for (after, expected) in [
        ("0", Some(0)),
        ("7", Some(7)),
        ("Fri, 20 Nov 2026 12:00:07 GMT", Some(7)),
        ("Friday, 20-Nov-26 12:01:00 GMT", Some(60)),
        ("Fri, 20 Nov 2026 11:59:00 GMT", Some(0)),
        ("", None),
        ("-1", None),
        ("soon", None),
    ] {
        assert_eq!(waited(after, now), expected.map(Duration::from_secs), "{after}");
    }
}
