use tonic_types::ErrorDetails;

use super::*;

fn is(failure: &Failure) -> (&'static str, Option<u64>) {
    match failure {
        Failure::Later(_, asked) => ("later", asked.map(|asked| asked.as_secs())),
        Failure::TooLarge(_) => ("too large", None),
        Failure::Never(_) => ("never", None),
    }
}

/// The table of the OTLP specification, section "Failures" of OTLP/gRPC.
#[test]
fn which_status_is_tried_again() {
    for code in (1..=16).map(Code::from_i32) {
        let later = [Code::Cancelled, Code::DeadlineExceeded, Code::Aborted, Code::Unavailable, Code::DataLoss];
        let expected = match code {
            Code::OutOfRange => "too large",
            code if later.contains(&code) => "later",
            _ => "never",
        };
        assert_eq!(is(&classified(&Status::new(code, "no"))), (expected, None), "{code:?}");
    }
}

#[test]
fn a_collector_may_say_when() {
    let details = |seconds| ErrorDetails::with_retry_info(Some(Duration::from_secs(seconds)));
    for (code, expected) in [
        (Code::Unavailable, ("later", Some(7))),
        (Code::ResourceExhausted, ("later", Some(7))),
        (Code::InvalidArgument, ("never", None)),
        (Code::Unimplemented, ("never", None)),
    ] {
        assert_eq!(is(&classified(&Status::with_error_details(code, "no", details(7)))), expected, "{code:?}");
    }
    let garbage = Status::with_details(Code::ResourceExhausted, "no", vec![0xff; 9].into());
    assert_eq!(is(&classified(&garbage)), ("never", None));
}

#[test]
fn a_message_that_is_too_long_is_one_in_the_words_of_each_server() {
    for message in [
        "grpc: received message larger than max (5000000 vs. 4194304)",
        "gRPC message exceeds maximum size 4194304: 5000000",
        "Received message exceeds the maximum configured message size.",
        "trying to send message too large",
    ] {
        assert_eq!(is(&classified(&Status::resource_exhausted(message))), ("too large", None), "{message}");
    }
}

#[cfg(not(feature = "otlp-tls"))]
#[test]
fn encrypted_connections_need_a_feature() {
    for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
        let otlp = Otlp {
            endpoint: "https://collector:4317".to_owned(),
            protocol,
            headers: Vec::new(),
            timeout: None,
            gzip: false,
        };
        let error = exporter(&otlp, &Resource::builder_empty().build()).err().expect("there is no TLS");
        assert!(
            error.to_string().contains("`https://collector:4317`: encrypted connections need the feature `otlp-tls`")
        );
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
