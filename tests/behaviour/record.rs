//! Attributes and errors that are recorded during a call.

use std::fmt;

use opentelemetry::trace::{Status, TraceContextExt as _};
use opentelemetry_sdk::trace::Sampler;
use throughline::testing::{Capture, FinishedSpan};
use throughline::{TagValue, Value, debug, display, in_span, record, record_all, record_error, traced, traced_spawn};

fn text(value: &str) -> Value {
    Value::String(value.to_owned().into())
}

/// A value that must not be converted.
struct Unseen;

impl TagValue for Unseen {
    fn tag_value(&self) -> Option<Value> {
        panic!("nobody records it")
    }
}

#[derive(Debug)]
struct Declined(std::num::ParseIntError);

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("card declined")
    }
}

impl std::error::Error for Declined {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

fn declined() -> Declined {
    Declined("x".parse::<u8>().expect_err("no number"))
}

fn facts(items: u8) {
    record("order.items", items);
    record_all(&[("order.currency", &"EUR"), ("order.coupon", &None::<&str>), ("order.prices", &[1_i64, 2])]);
    record("order.address", display(std::net::Ipv4Addr::LOCALHOST));
    record(String::from("order.range"), debug(1..3));
}

fn assert_facts(span: &FinishedSpan) {
    assert_eq!(span.attribute("order.items"), Some(&Value::I64(3)));
    assert_eq!(span.attribute("order.currency"), Some(&text("EUR")));
    assert_eq!(span.attribute("order.coupon"), None);
    assert_eq!(span.attribute("order.prices").map(Value::to_string).as_deref(), Some("[1,2]"));
    assert_eq!(span.attribute("order.address"), Some(&text("127.0.0.1")));
    assert_eq!(span.attribute("order.range"), Some(&text("1..3")));
}

#[tokio::test]
async fn a_fact_is_an_attribute_of_the_current_span() {
    #[traced]
    fn function() {
        in_span("before", || {});
        facts(3);
        in_span("after", || {});
    }
    #[traced]
    async fn asynchronous() {
        tokio::task::yield_now().await;
        facts(3);
    }
    #[traced_spawn]
    async fn job() {
        tokio::task::yield_now().await;
        facts(3);
    }
    let capture = Capture::new();
    capture.run(function);
    capture.run_async(asynchronous()).await;
    capture.run(job).await.expect("no panic");
    for name in ["function", "asynchronous", "job"] {
        assert_facts(&capture.span(name));
    }
    for name in ["before", "after"] {
        assert_eq!(capture.span(name).attribute("order.items"), None);
    }
}

#[test]
fn values_are_not_converted_where_nothing_is_recorded() {
    let all = || {
        record("order.total", Unseen);
        record_all(&[("order.total", &Unseen)]);
        record_error(&declined());
    };
    all();
    throughline::in_span("nothing is set up", all);
    let capture = Capture::with_sampler(Sampler::AlwaysOff);
    capture.run(|| in_span("not sampled", all));
    let _suppressed = opentelemetry::Context::enter_telemetry_suppressed_scope();
    capture.run(|| in_span("suppressed", all));
    assert!(capture.spans().is_empty());
}

#[test]
fn a_conversion_that_panics_is_ignored() {
    let capture = Capture::new();
    capture.run(|| {
        in_span("work", || {
            record("lost", Unseen);
            record("kept", 1_u8);
        });
    });
    assert_eq!(capture.span("work").attribute("lost"), None);
    assert_eq!(capture.span("work").attribute("kept"), Some(&Value::I64(1)));
}

/// `value` may use the current context, and even record.
#[test]
fn a_conversion_may_use_the_current_context() {
    struct Busy;
    impl TagValue for Busy {
        fn tag_value(&self) -> Option<Value> {
            record("inside", true);
            let context = opentelemetry::Context::current();
            let _attached = context.clone().attach();
            context.span().span_context().is_sampled().tag_value()
        }
    }
    let capture = Capture::new();
    capture.run(|| in_span("work", || record("outside", Busy)));
    assert_eq!(capture.span("work").attribute("inside"), Some(&Value::Bool(true)));
    assert_eq!(capture.span("work").attribute("outside"), Some(&Value::Bool(true)));
}

#[test]
fn attributes_are_recorded_on_a_span_of_tracing() {
    use opentelemetry::trace::TracerProvider as _;
    use tracing_subscriber::layer::SubscriberExt as _;

    let exporter = opentelemetry_sdk::trace::InMemorySpanExporter::default();
    let provider =
        opentelemetry_sdk::trace::SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    crate::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        tracing::info_span!("of tracing").in_scope(|| {
            record("order.items", 3_u8);
            record_error(&declined());
        });
    });
    let spans = exporter.get_finished_spans().expect("not shut down");
    let span = spans.iter().find(|span| span.name == "of tracing").expect("it has ended");
    assert!(span.attributes.iter().any(|it| it.key.as_str() == "order.items" && it.value == Value::I64(3)));
    assert!(span.events.events.iter().any(|event| event.name == "exception"));
}

#[test]
fn a_handled_error_is_an_event_and_not_a_failure() {
    #[traced]
    fn pays() {
        record_error(&declined());
        let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(declined());
        record_error(&*boxed);
        record_error(&*anyhow::Error::new(declined()).context("cannot pay"));
    }
    let capture = Capture::new();
    capture.run(pays);
    let span = capture.span("pays");
    assert_eq!(span.status, Status::Unset);
    assert_eq!(span.attribute("error.type"), None);
    let of = |at: usize, key: &str| {
        let event = &span.events.events[at];
        assert_eq!(event.name, "exception");
        event.attributes.iter().find(|attribute| attribute.key.as_str() == key).map(|it| it.value.to_string())
    };
    assert_eq!(of(0, "exception.type").as_deref(), Some("behaviour::record::Declined"));
    assert_eq!(of(0, "exception.message").as_deref(), Some("card declined: invalid digit found in string"));
    assert_eq!(of(1, "exception.message").as_deref(), Some("card declined: invalid digit found in string"));
    assert_eq!(of(2, "exception.message").as_deref(), Some("cannot pay: card declined: invalid digit found in string"));
}

#[test]
fn a_huge_value_is_truncated() {
    let capture = Capture::new();
    capture.run(|| in_span("work", || record("text", Value::String("x".repeat(100_000).into()))));
    let cut = capture.span("work").attribute("text").map(|value| value.as_str().len());
    assert_eq!(cut, Some(throughline::MAX_TEXT_BYTES + '…'.len_utf8()));
}
