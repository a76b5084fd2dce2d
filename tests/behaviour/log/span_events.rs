//! Log events as span events.

use std::error::Error;
use std::fmt;

use opentelemetry::trace::{Event, TraceContextExt as _};
use opentelemetry::{Array, Context, KeyValue, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SpanData, SpanProcessor};
use throughline::log::SpanEvents;
use throughline::testing::{Capture, FinishedSpan};
use throughline::{MAX_TEXT_BYTES, in_span, traced, traced_spawn};
use tracing::{Level, debug, error, info, instrument, warn};
use tracing_log::log;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

fn with<R>(layer: SpanEvents, f: impl FnOnce() -> R) -> R {
    crate::subscriber::with_default(tracing_subscriber::registry().with(layer), f)
}

fn events(span: &FinishedSpan) -> &[Event] {
    &span.events.events
}

fn names(span: &FinishedSpan) -> Vec<&str> {
    events(span).iter().map(|event| &*event.name).collect()
}

fn attribute<'e>(event: &'e Event, key: &str) -> Option<&'e Value> {
    event.attributes.iter().find(|attribute| attribute.key.as_str() == key).map(|attribute| &attribute.value)
}

#[test]
fn an_event_is_added_with_all_of_its_fields() {
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
    let capture = Capture::new();
    let line = with(SpanEvents::new(), || {
        capture.run(|| {
            in_span("order", || {
                let (refused, huge) = (Refused(std::io::Error::other("no funds")), u64::MAX);
                #[rustfmt::skip]
                let line = line!() + 1;
                warn!(target: "shop", text = "a\nb", n = -7, huge, ratio = 0.5, last = true, r#type = ?Some(1), error = &refused as &dyn Error, "order {}", 1001);
                line
            })
        })
    });
    let order = capture.span("order");
    let [event] = events(&order) else { panic!("{:?}", events(&order)) };
    assert_eq!(event.name, "order 1001");
    assert_eq!(
        event.attributes,
        [
            KeyValue::new("level", "WARN"),
            KeyValue::new("target", "shop"),
            KeyValue::new("code.file.path", file!()),
            KeyValue::new("code.line.number", i64::from(line)),
            KeyValue::new("text", "a\nb"),
            KeyValue::new("n", -7),
            KeyValue::new("huge", u64::MAX.to_string()),
            KeyValue::new("ratio", 0.5),
            KeyValue::new("last", true),
            KeyValue::new("type", "Some(1)"),
            KeyValue::new("error", "refused"),
            KeyValue::new("error.chain", Value::Array(Array::String(vec!["no funds".into()]))),
        ]
    );
    assert_eq!(order.status, opentelemetry::trace::Status::Unset);
}

#[test]
fn attribute_keys_are_unique() {
    let capture = Capture::new();
    with(SpanEvents::new(), || {
        capture.run(|| in_span("game", || info!(level = 3, "next")));
    });
    let game = capture.span("game");
    let levels = events(&game)[0].attributes.iter().filter(|attribute| attribute.key.as_str() == "level");
    assert_eq!(levels.collect::<Vec<_>>(), [&KeyValue::new("level", 3)], "what is said explicitly counts");
}

#[test]
fn without_a_message_the_name_is_that_of_the_event() {
    let capture = Capture::new();
    with(SpanEvents::new(), || {
        capture.run(|| in_span("order", || tracing::event!(name: "order.placed", Level::INFO, n = 1)));
    });
    assert_eq!(names(&capture.span("order")), ["order.placed"]);
}

#[test]
fn text_is_bounded() {
    let capture = Capture::new();
    let long = "x".repeat(10 * MAX_TEXT_BYTES);
    with(SpanEvents::new(), || capture.run(|| in_span("order", || info!(long, "{long}"))));
    let order = capture.span("order");
    let expected = format!("{}…", "x".repeat(MAX_TEXT_BYTES));
    assert_eq!(names(&order), [&*expected]);
    assert_eq!(attribute(&events(&order)[0], "long"), Some(&expected.into()));
}

#[test]
fn a_level_can_be_set() {
    let logged = |layer| {
        let capture = Capture::new();
        with(layer, || {
            capture.run(|| {
                in_span("order", || {
                    error!("error");
                    warn!("warn");
                    info!("info");
                    debug!("debug");
                });
            });
        });
        names(&capture.span("order")).join(" ")
    };
    assert_eq!(logged(SpanEvents::new()), "error warn info");
    assert_eq!(logged(SpanEvents::new().with_min_level(Level::WARN)), "error warn");
    assert_eq!(logged(SpanEvents::new().with_min_level(Level::TRACE)), "error warn info debug");
}

#[tokio::test]
async fn an_event_is_on_the_innermost_span() {
    #[traced]
    fn outer() -> tokio::task::JoinHandle<()> {
        info!("1");
        inner();
        info!("3");
        job()
    }
    #[traced]
    fn inner() {
        info!("2");
    }
    #[traced_spawn]
    async fn job() {
        info!("4");
        tokio::task::yield_now().await;
        info!("5");
    }
    let capture = Capture::new();
    let _default = crate::subscriber::set_default(tracing_subscriber::registry().with(SpanEvents::new()));
    info!("outside");
    capture.run(outer).await.expect("no panic");
    assert_eq!(names(&capture.span("outer")), ["1", "3"]);
    assert_eq!(names(&capture.span("inner")), ["2"]);
    assert_eq!(names(&capture.span("job")), ["4", "5"]);
}

#[test]
fn the_limit_of_events_leaves_room_for_the_exception() {
    #[traced]
    fn busy(lines: u32) -> Result<(), String> {
        (0..lines).for_each(|n| info!(n, "line"));
        Err("out of patience".to_owned())
    }
    let layer = |max| SpanEvents::new().with_max_per_span(max);
    for (layer, lines, max, expected) in
        [(SpanEvents::new(), 1000, 64_u16, 64), (layer(64), 1000, 64, 64), (layer(64), 64, 64, 64), (layer(3), 5, 3, 3)]
    {
        let capture = Capture::new();
        with(layer, || capture.run(|| drop(busy(lines))));
        let busy = capture.span("busy");
        let names = names(&busy);
        assert_eq!(names.iter().filter(|name| **name == "line").count(), expected);
        let further = events(&busy).iter().find(|event| event.name == "throughline.log.limit_reached");
        assert_eq!(further.is_some(), lines > u32::from(max));
        if let Some(further) = further {
            assert_eq!(attribute(further, "throughline.log.limit"), Some(&i64::from(max).into()));
        }
        assert_eq!(names.last(), Some(&"exception"));
    }
}

/// The count of the next span starts at zero.
#[test]
fn each_span_has_its_own_count() {
    let capture = Capture::new();
    with(SpanEvents::new().with_max_per_span(2), || {
        capture.run(|| (0..100).for_each(|_| in_span("each", || (0..2).for_each(|_| info!("line")))));
    });
    assert!(capture.named("each").iter().all(|span| names(span) == ["line", "line"]));
}

#[test]
fn with_tracing_opentelemetry_each_event_is_added_once() {
    #[instrument]
    fn above() {
        info!("1");
        ours();
    }
    #[traced]
    fn ours() {
        info!("2");
        below();
    }
    #[instrument]
    fn below() {
        info!("3");
    }
    let capture = Capture::new();
    let spans = tracing_opentelemetry::layer().with_tracer(capture.tracer("tracing"));
    let subscriber = tracing_subscriber::registry()
        .with(spans.with_filter(filter_fn(|metadata| !metadata.is_event())))
        .with(SpanEvents::new());
    crate::subscriber::with_default(subscriber, || capture.run(above));
    capture.assert_tree("above\n└── ours\n    └── below");
    for (name, events) in [("above", ["1"]), ("ours", ["2"]), ("below", ["3"])] {
        assert_eq!(names(&capture.span(name)), events);
    }
}

#[test]
fn events_are_not_added_where_nothing_is_recorded() {
    struct Costly;
    impl fmt::Display for Costly {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            unreachable!("nobody reads it")
        }
    }
    let capture = Capture::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    with(SpanEvents::new(), || {
        info!(costly = %Costly);
        capture.run(|| in_span("order", || info!(costly = %Costly)));
    });
    let capture = Capture::new();
    with(SpanEvents::new(), || {
        capture.run(|| {
            in_span("order", || {
                let _quiet = Context::enter_telemetry_suppressed_scope();
                info!(costly = %Costly);
            });
        });
    });
    assert_eq!(names(&capture.span("order")), [""; 0]);
}

#[test]
fn a_log_filter_applies_first() {
    let capture = Capture::new();
    let subscriber = tracing_subscriber::registry().with(SpanEvents::new().with_filter(EnvFilter::new("warn")));
    crate::subscriber::with_default(subscriber, || {
        capture.run(|| {
            in_span("order", || {
                info!("info");
                warn!("warn");
            });
        });
    });
    assert_eq!(names(&capture.span("order")), ["warn"]);
}

#[test]
fn a_record_of_the_log_crate_has_its_own_location() {
    let capture = Capture::new();
    with(SpanEvents::new(), || {
        capture.run(|| {
            in_span("order", || {
                let mut record = log::Record::builder();
                record.level(log::Level::Warn).target("old").file(Some("src/old.rs")).line(Some(7));
                tracing_log::format_trace(&record.args(format_args!("from the log crate")).build())
                    .expect("dispatched");
            });
        });
    });
    let order = capture.span("order");
    assert_eq!(names(&order), ["from the log crate"]);
    let expected = [
        KeyValue::new("level", "WARN"),
        KeyValue::new("target", "old"),
        KeyValue::new("code.file.path", "src/old.rs"),
        KeyValue::new("code.line.number", 7),
    ];
    assert_eq!(events(&order)[0].attributes, expected);
}

/// A span processor is called with the span locked.
#[test]
fn a_processor_that_logs_does_not_deadlock() {
    #[derive(Debug)]
    struct Talkative;
    impl SpanProcessor for Talkative {
        fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {
            info!("starts");
        }
        fn on_end(&self, span: SpanData) {
            info!(name = %span.name, "ends");
            info!(target: "opentelemetry_sdk", "ends");
        }
        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }
        fn shutdown_with_timeout(&self, _: std::time::Duration) -> OTelSdkResult {
            Ok(())
        }
    }
    #[derive(Debug)]
    struct OfTheSdk;
    impl SpanProcessor for OfTheSdk {
        fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}
        fn on_end(&self, _: SpanData) {
            warn!(target: "opentelemetry_sdk", "the queue is full");
        }
        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }
        fn shutdown_with_timeout(&self, _: std::time::Duration) -> OTelSdkResult {
            Ok(())
        }
    }
    let capture = Capture::with_provider(|builder| builder.with_span_processor(Talkative));
    with(SpanEvents::new(), || capture.run(|| in_span("outer", || in_span("inner", || info!("x")))));
    assert_eq!(names(&capture.span("inner")), ["x"]);
    assert_eq!(names(&capture.span("outer")), ["starts", "ends"]);

    // Other code that ends the span while it is current.
    let capture = Capture::with_provider(|builder| builder.with_span_processor(OfTheSdk));
    with(SpanEvents::new(), || capture.run(|| in_span("ended", || Context::current().span().end())));
    assert_eq!(names(&capture.span("ended")), [""; 0]);
}
