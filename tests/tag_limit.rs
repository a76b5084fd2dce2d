//! The limit of tags in scope is process-wide, and so are the counter and the warnings, so this is a single test.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics, SumDataPoint};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use throughline::testing::Capture;
use throughline::{ContextExt as _, KeyValue, TagValue, Value, biz_tags, current_tags, in_tags};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// The targets and messages of the events.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(String, String)>>>);

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Message(String);

        impl Visit for Message {
            fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
                self.0 = format!("{value:?}");
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.lock().expect("no panic").push((event.metadata().target().to_owned(), message.0));
    }
}

/// Propagates more long values than the baggage has room for.
#[biz_tags(propagate(a = long, b = long, c = long, d = long, e = long, f = long, g = long, h = long, i = long))]
fn send_all(long: &str) {}

/// Runs `inside` with `count` tags `<prefix>0`, `<prefix>1`, … in scope, all of one span.
fn with_tags<R>(prefix: &str, count: usize, inside: impl FnOnce() -> R) -> R {
    let tags = (0..count).map(|n| &*format!("{prefix}{n}").leak());
    tags.fold(throughline::span(prefix.to_owned()), |span, key| span.biz_tag(key, 1)).run(inside)
}

fn dropped(meters: &SdkMeterProvider, exporter: &InMemoryMetricExporter) -> u64 {
    meters.force_flush().expect("the exporter is in this process");
    let batches = exporter.get_finished_metrics().expect("it was flushed");
    let metrics = batches.iter().flat_map(ResourceMetrics::scope_metrics).flat_map(ScopeMetrics::metrics);
    let counts =
        metrics.filter(|metric| metric.name() == "throughline.tags.dropped").filter_map(|metric| match metric.data() {
            AggregatedMetrics::U64(MetricData::Sum(sum)) => sum.data_points().next().map(SumDataPoint::value),
            _ => None,
        });
    counts.last().unwrap_or(0)
}

#[test]
fn a_scope_is_bounded() {
    let exporter = InMemoryMetricExporter::default();
    let meters = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(exporter.clone()).build()).build();
    opentelemetry::global::set_meter_provider(meters.clone());
    let log = Log::default();
    let _subscriber = tracing_subscriber::registry().with(log.clone()).set_default();
    let capture = Capture::new();

    let all = capture.run(|| with_tags("few", 100, || with_tags("more", 28, current_tags)));
    assert_eq!(all.len(), 128, "all of them fit");
    assert_eq!(dropped(&meters, &exporter), 0);

    capture.run(|| {
        with_tags("first", 100, || {
            with_tags("second", 100, || {
                assert_eq!(current_tags().len(), 128);
                // A tag that overrides another needs no room.
                throughline::span("override").biz_tag("first0", 2).biz_tag("new", 3).run(|| {
                    assert_eq!(current_tags().len(), 128);
                    throughline::in_span("child", || {});
                });
            });
        });
    });
    assert_eq!(dropped(&meters, &exporter), 72 + 1);
    // A span counts the tags that it has dropped, and two attributes for which 128 tags leave no room.
    let lost = |name| capture.span(name).dropped_attributes_count;
    assert_eq!([lost("first"), lost("second"), lost("override"), lost("child")], [0, 72 + 2, 1 + 2, 2]);
    for name in ["override", "child"] {
        let span = capture.span(name);
        assert_eq!(span.attribute("first0"), Some(&Value::I64(2)), "{name}");
        assert_eq!(span.attribute("first90"), Some(&Value::I64(1)), "{name}");
        assert_eq!(span.attribute("second9"), Some(&Value::I64(1)), "{name}");
        assert_eq!(span.attribute("second28"), None, "{name}");
        assert_eq!(span.attribute("new"), None, "{name}");
        let mut keys: Vec<_> = span.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), span.attributes.len(), "each key once");
    }
    // Tags that override others take no room from later ones.
    capture.run(|| {
        with_tags("base", 127, || {
            let replacing = throughline::span("replacing").biz_tag("base0", 2).biz_tag("base1", 2);
            replacing.biz_tag("last", 3).biz_tag("surplus", 4).run(|| assert_eq!(current_tags().len(), 128));
        });
    });
    let span = capture.span("replacing");
    assert_eq!(span.attribute("base0"), Some(&Value::I64(2)));
    assert_eq!((span.attribute("last"), span.attribute("surplus")), (Some(&Value::I64(3)), None));
    assert_eq!(dropped(&meters, &exporter), 72 + 1 + 1);
    // A span whose only tag is dropped counts it, too.
    capture.run(|| with_tags("whole", 128, || throughline::span("alone").biz_tag("surplus", 1).run(|| {})));
    assert_eq!(dropped(&meters, &exporter), 72 + 1 + 1 + 1);
    assert_eq!(capture.span("alone").dropped_attributes_count, 1 + 2);
    // A span with ten thousand tags.
    let kept = capture.run(|| with_tags("many", 10_000, current_tags));
    assert_eq!(kept.len(), 128);
    // There is one warning for all dropped tags, and one for those that do not fit into the baggage.
    capture.run(|| send_all(&"x".repeat(1_000)));
    capture.run(|| send_all(&"y".repeat(1_000)));
    let events = std::mem::take(&mut *log.0.lock().expect("no panic"));
    let [(first, dropped_tag), (second, unsent)] = &events[..] else { panic!("{events:?}") };
    assert_eq!([first, second], ["throughline"; 2], "{events:?}");
    assert!(dropped_tag.contains("the limit of 128 tags in scope is reached"), "{dropped_tag}");
    assert!(
        unsent.starts_with("baggage member `i` not sent to other processes: W3C Baggage allows 64 members"),
        "{unsent}"
    );

    // The same applies to tags without a span.
    let keys = |prefix: &str, count| (0..count).map(|n| &*format!("{prefix}{n}").leak()).collect::<Vec<_>>();
    let in_scope = |keys: &[&'static str], inside: &dyn Fn()| {
        let tags: Vec<(_, &dyn TagValue)> = keys.iter().map(|key| (*key, &1 as _)).collect();
        in_tags(&tags, inside);
    };
    let before = dropped(&meters, &exporter);
    in_scope(&keys("full", 128), &|| in_scope(&["full0", "full1"], &|| assert_eq!(current_tags().len(), 128)));
    assert_eq!(dropped(&meters, &exporter), before, "all of them fit");
    in_scope(&keys("outer", 127), &|| {
        in_scope(&[&keys("outer", 8)[..], &["last", "surplus"]].concat(), &|| {
            let tags = current_tags();
            let has = |key: &str| tags.iter().any(|tag| tag.key.as_str() == key);
            assert_eq!((tags.len(), has("outer126"), has("last"), has("surplus")), (128, true, true, false));
        });
    });
    in_scope(&keys("alone", 130), &|| assert_eq!(current_tags().len(), 128));
    assert_eq!(dropped(&meters, &exporter), before + 1 + 2);
    // And to those of a context.
    let some = |range: Range<i64>| range.map(|n| KeyValue::new(format!("tag{n}"), n));
    let context = opentelemetry::Context::new().with_tags(some(0..127));
    let context = context.with_tags(some(0..2).chain(some(200..203)));
    let tags = context.tags();
    let has = |key: &str| tags.iter().any(|tag| tag.key.as_str() == key);
    assert_eq!((tags.len(), has("tag0"), has("tag126"), has("tag200"), has("tag201")), (128, true, true, true, false));
    assert_eq!(dropped(&meters, &exporter), before + 1 + 2 + 2);

    let limit = |name: &str| match name {
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" => Some("5".to_owned()),
        "OTEL_TRACES_EXPORTER" => Some("none".to_owned()),
        _ => None,
    };
    let telemetry = throughline::telemetry::builder().variables(limit).init().expect("the configuration is valid");
    assert_eq!(capture.run(|| with_tags("few", 100, current_tags)).len(), 5);
    drop(telemetry);
}
