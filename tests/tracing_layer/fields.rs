//! Fields become attributes, and some have a special meaning.

use std::error::Error;
use std::fmt;

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{Array, Value};
use throughline::MAX_TEXT_BYTES;
use throughline::testing::Capture;
use tracing::field::Empty;
use tracing::{info_span, instrument};

use crate::{text, with_layer};

#[derive(Debug)]
struct Refused(std::io::Error);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl Error for Refused {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn fields_have_their_types() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let refused = Refused(std::io::Error::other("no funds"));
        let error = &refused as &dyn Error;
        let (huge, wide, small) = (u64::MAX, i128::MAX, -5_i128);
        info_span!("order", n = -7, unsigned = 7_u64, huge, wide, small, ratio = 0.5, last = true, text = "a\nb",
            debug = ?Some(1), display = %refused, error, r#type = "raw");
    });
    let span = capture.span("order");
    let expected: [(&str, Value); 13] = [
        ("n", Value::I64(-7)),
        ("unsigned", Value::I64(7)),
        ("huge", u64::MAX.to_string().into()),
        ("wide", i128::MAX.to_string().into()),
        ("small", Value::I64(-5)),
        ("ratio", Value::F64(0.5)),
        ("last", Value::Bool(true)),
        ("text", "a\nb".into()),
        ("debug", "Some(1)".into()),
        ("display", "refused".into()),
        ("error", "refused".into()),
        ("type", "raw".into()),
        ("error.chain", Value::Array(Array::String(vec!["no funds".into()]))),
    ];
    for (key, value) in expected {
        assert_eq!(span.attribute(key), Some(&value), "{key}");
    }
}

#[test]
fn long_text_is_truncated() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let long = "x".repeat(10 * MAX_TEXT_BYTES);
        let span = info_span!("long", text = long, debug = ?long, later = Empty);
        let _entered = span.enter();
        span.record("later", &*long);
    });
    let span = capture.span("long");
    for key in ["text", "debug", "later"] {
        let text = text(&span, key).expect(key);
        assert_eq!(text.len(), MAX_TEXT_BYTES + '…'.len_utf8(), "{key}");
    }
}

#[test]
fn a_field_is_recorded_before_and_after_the_span_has_started() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let span = info_span!("order", before = "first", after = "first", never = Empty, number = Empty);
        span.record("before", "second");
        span.in_scope(|| {});
        span.record("after", "second");
        span.record("number", 3);
    });
    let span = capture.span("order");
    assert_eq!((text(&span, "before"), text(&span, "after")), (Some("second"), Some("second")));
    assert_eq!(span.attribute("number"), Some(&Value::I64(3)));
    assert_eq!(span.attribute("never"), None);
    // Keys are unique, and the last value wins.
    let mut keys: Vec<_> = span.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), span.attributes.len());
}

#[test]
fn the_name_can_be_dynamic() {
    let capture = Capture::new();
    with_layer(&capture, || {
        info_span!("static", otel.name = "GET /orders");
        let later = info_span!("static", otel.name = Empty);
        later.record("otel.name", format_args!("GET {}", "/items"));
        let entered = info_span!("static", otel.name = Empty).entered();
        entered.record("otel.name", "GET /late");
    });
    let mut names: Vec<_> = capture.spans().iter().map(|span| span.name().to_owned()).collect();
    names.sort_unstable();
    assert_eq!(names, ["GET /items", "GET /late", "GET /orders"]);
}

#[test]
fn the_kind_is_a_field() {
    let capture = Capture::new();
    with_layer(&capture, || {
        info_span!("server", otel.kind = "SERVER");
        info_span!("client", otel.kind = ?SpanKind::Client);
        info_span!("producer", otel.kind = "producer");
        info_span!("consumer", otel.kind = %"Consumer");
        info_span!("internal", otel.kind = "what");
    });
    let kind = |name| capture.span(name).span_kind.clone();
    assert_eq!(kind("server"), SpanKind::Server);
    assert_eq!(kind("client"), SpanKind::Client);
    assert_eq!(kind("producer"), SpanKind::Producer);
    assert_eq!(kind("consumer"), SpanKind::Consumer);
    assert_eq!(kind("internal"), SpanKind::Internal);
}

#[test]
fn the_status_is_a_field() {
    let capture = Capture::new();
    with_layer(&capture, || {
        info_span!("ok", otel.status_code = "OK");
        info_span!("plain");
        info_span!("code", otel.status_code = "error");
        info_span!("description", otel.status_description = "too much");
        info_span!("message", otel.status_message = %"too much", otel.status_code = "ERROR");
        let late = info_span!("late", otel.status_code = Empty, otel.status_message = Empty).entered();
        late.record("otel.status_code", "error");
        late.record("otel.status_message", "too late");
        let early = info_span!("early", otel.status_code = Empty, otel.status_message = Empty);
        early.record("otel.status_message", "too early");
        early.record("otel.status_code", "error");
        let started = info_span!("started", otel.status_code = Empty, otel.status_message = Empty).entered();
        started.record("otel.status_message", "described first");
        started.record("otel.status_code", "error");
    });
    let status = |name| capture.span(name).status.clone();
    assert_eq!(status("ok"), Status::Ok);
    assert_eq!(status("plain"), Status::Unset);
    assert_eq!(status("code"), Status::error(""));
    assert_eq!(status("description"), Status::error("too much"));
    assert_eq!(status("message"), Status::error("too much"));
    assert_eq!(status("late"), Status::error("too late"));
    assert_eq!(status("early"), Status::error("too early"));
    assert_eq!(status("started"), Status::error("described first"));
}

#[test]
fn the_source_location_is_recorded_unless_a_field_overrides_it() {
    let capture = Capture::new();
    let line = with_layer(&capture, || {
        info_span!("here");
        info_span!("there", code.file.path = "elsewhere.rs");
        line!() - 2
    });
    let here = capture.span("here");
    assert_eq!(text(&here, "code.file.path"), Some(file!()));
    assert_eq!(here.attribute("code.line.number"), Some(&Value::I64(line.into())));
    let there = capture.span("there");
    assert_eq!(text(&there, "code.file.path"), Some("elsewhere.rs"));
    assert_eq!(there.attributes.iter().filter(|attribute| attribute.key.as_str() == "code.file.path").count(), 1);
}

#[test]
fn a_panic_in_a_formatter_is_caught() {
    struct Broken;
    impl fmt::Debug for Broken {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("in a formatter")
        }
    }
    let capture = Capture::new();
    let result = with_layer(&capture, || info_span!("order", broken = ?Broken, fine = 1).in_scope(|| 7));
    assert_eq!(result, 7);
    assert_eq!(capture.span("order").attribute("fine"), Some(&Value::I64(1)));
}

/// A formatter may access the spans of the subscriber, as `tracing_error::SpanTrace` does, and log.
#[test]
fn a_formatter_may_use_the_subscriber() {
    use tracing_subscriber::registry::LookupSpan as _;

    struct Curious;
    impl fmt::Debug for Curious {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            tracing::info!("formatting");
            tracing::info_span!("formatted").in_scope(|| {});
            tracing::Span::current().with_subscriber(|(id, dispatch)| {
                let registry = dispatch.downcast_ref::<tracing_subscriber::Registry>().expect("a registry");
                let span = registry.span(id).expect("the current span");
                span.extensions_mut().replace(1_u8);
            });
            f.write_str("curious")
        }
    }
    let capture = Capture::new();
    with_layer(&capture, || {
        let span = info_span!("order", first = ?Curious, second = Empty).entered();
        span.record("second", tracing::field::debug(Curious));
        tracing::info!(third = ?Curious, "logged");
    });
    let span = capture.span("order");
    assert_eq!((text(&span, "first"), text(&span, "second")), (Some("curious"), Some("curious")));
    assert!(span.event("logged").is_some());
}

#[test]
fn instrumented_functions_record_their_arguments() {
    #[instrument(skip(secret), fields(total = Empty))]
    fn place(order_no: u64, secret: &str) -> usize {
        tracing::Span::current().record("total", 12.5);
        secret.len()
    }
    let capture = Capture::new();
    with_layer(&capture, || place(1001, "hidden"));
    let span = capture.span("place");
    assert_eq!(span.attribute("order_no"), Some(&Value::I64(1001)));
    assert_eq!(span.attribute("total"), Some(&Value::F64(12.5)));
    assert_eq!(span.attribute("secret"), None);
}
