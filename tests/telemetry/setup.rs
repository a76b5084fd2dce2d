//! What `init` sets up, and how it coexists with other setups.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::trace::{TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use throughline::biz_tags;
use throughline::testing::Capture;

use crate::process::alone;
use crate::support::{Kept, Log, attributes, run, trace};

const LIMIT: Duration = Duration::from_secs(30);

#[throughline::traced]
#[biz_tags(order_no)]
fn order(order_no: u32) {
    let _ = order_no;
    // A child span of another library has the tag, too.
    global::tracer("other").in_span("theirs", |_| throughline::in_span("ours below", || {}));
}

alone! {
    fn our_spans_and_those_of_other_libraries_form_one_trace() {
        let kept = Kept::start();
        let telemetry = kept.builder().service_name("orders").resource_attribute("team", "a").init().expect("a valid configuration");
        order(7);
        assert!(run(telemetry.shutdown(LIMIT)).is_complete());
        let [order, theirs, below] = ["order", "theirs", "ours below"].map(|name| kept.span(name));
        assert_eq!(theirs.parent_span_id, order.span_id);
        assert_eq!(below.parent_span_id, theirs.span_id);
        for span in [&order, &theirs, &below] {
            assert_eq!(attributes(&span.attributes)["order_no"], "7", "{}", span.name);
        }
        let resource = kept.resource();
        assert_eq!((resource["service.name"].as_str(), resource["team"].as_str()), ("orders", "a"));
    }
}

alone! {
    fn an_attribute_set_later_replaces_a_tag() {
        #[throughline::traced]
        #[biz_tags(order_no)]
        fn corrected(order_no: u32) {
            let _ = order_no;
            Context::map_current(|context| {
                context.span().set_attribute(KeyValue::new("order_no", 8));
                context.span().set_attribute(KeyValue::new("order_no", 9));
                context.span().add_event("event", vec![KeyValue::new("n", 1), KeyValue::new("n", 2)]);
            });
        }
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        corrected(7);
        assert!(run(telemetry.shutdown(LIMIT)).is_complete());
        // `attributes` asserts that keys are unique.
        let span = kept.span("corrected");
        assert_eq!(attributes(&span.attributes)["order_no"], "9");
        assert_eq!(attributes(&span.events[0].attributes)["n"], "2");
    }
}

alone! {
    fn beside_the_application_s_sdk() {
        let own = Capture::new();
        throughline::install(own.provider());
        trace(2);
        own.assert_tree("root\n├── child\n└── child");
        // A later `init` takes over, including OpenTelemetry's global API.
        let kept = Kept::start();
        let telemetry = kept.builder().init().expect("a valid configuration");
        trace(2);
        global::tracer("other").in_span("theirs", |_| {});
        assert!(run(telemetry.shutdown(LIMIT)).is_complete());
        assert_eq!((own.spans().len(), kept.count()), (3, 4));
        // And the application's SDK can take over again.
        throughline::install(own.provider());
        trace(2);
        assert_eq!((own.spans().len(), kept.count()), (6, 4));
    }
}

alone! {
    fn through_the_global_provider_only() {
        let own = Capture::new();
        global::set_tracer_provider(own.provider().clone());
        order(7);
        own.assert_tree("order\n└── theirs\n    └── ours below");
        assert_eq!(own.span("order").attribute("order_no").map(ToString::to_string).as_deref(), Some("7"));
    }
}

alone! {
    fn again_after_a_shutdown() {
        for _ in 0..2 {
            let kept = Kept::start();
            let telemetry = kept.builder().init().expect("a valid configuration");
            trace(4);
            assert!(run(telemetry.shutdown(LIMIT)).is_complete());
            assert_eq!(kept.tally().complete, 1);
        }
    }
}

alone! {
    fn a_second_init_takes_over_with_a_warning() {
        let log = Log::keep();
        let [first, second] = [Kept::start(), Kept::start()];
        let one = first.builder().init().expect("a valid configuration");
        trace(1);
        assert_eq!(log.count("already initialized"), 0, "{}", log.text());
        let other = second.builder().init().expect("a valid configuration");
        assert_eq!(log.count("already initialized"), 1, "{}", log.text());
        trace(2);
        // Shutting down the first does not affect the second, nor its open spans.
        throughline::in_span("open", || {
            let report = run(one.shutdown(LIMIT));
            assert!(report.is_complete(), "{report}");
            assert_eq!(other.open_spans().len(), 1);
        });
        trace(2);
        assert!(run(other.shutdown(LIMIT)).is_complete());
        assert_eq!((first.count(), second.count()), (2, 7));
        assert!(!attributes(&second.span("open").attributes).contains_key("throughline.unfinished"));
    }
}

/// Records the names of spans that have ended.
#[derive(Debug, Clone, Default)]
struct Names(Arc<Mutex<Vec<String>>>);

impl SpanProcessor for Names {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().expect("not poisoned").push(span.name.into_owned());
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

alone! {
    fn a_custom_processor_with_and_without_a_collector() {
        let names = Names::default();
        let kept = Kept::start();
        let telemetry = kept.builder().processor(names.clone()).init().expect("a valid configuration");
        trace(1);
        assert!(run(telemetry.shutdown(LIMIT)).is_complete());
        assert_eq!(kept.count(), 2);

        let telemetry = throughline::telemetry::builder()
            .variables(|name| (name == "OTEL_TRACES_EXPORTER").then(|| "none".to_owned()))
            .processor(names.clone())
            .init()
            .expect("a valid configuration");
        trace(1);
        drop(telemetry);
        assert_eq!(*names.0.lock().expect("not poisoned"), ["child", "root", "child", "root"]);
    }
}

alone! {
    fn an_invalid_endpoint_is_an_error_and_an_unreachable_one_is_not() {
        for address in ["http://[", "localhost"] {
            for protocol in [throughline::telemetry::Protocol::Grpc, throughline::telemetry::Protocol::HttpProtobuf] {
                let error = throughline::telemetry::builder()
                    .variables(|_| None)
                    .collector(address, protocol)
                    .init()
                    .expect_err("an invalid endpoint");
                let text = error.to_string();
                assert!(text.contains(address), "{text}");
            }
        }
        let kept = Kept::start();
        kept.collector.stop();
        drop(kept.builder().init().expect("the collector may start later"));
    }
}

alone! {
    fn the_sampling_decision_is_propagated_without_a_collector() {
        let telemetry = throughline::telemetry::builder()
            .variables(|name| (name == "OTEL_TRACES_EXPORTER").then(|| "none".to_owned()))
            .init()
            .expect("a valid configuration");
        let (context, carrier) = throughline::in_span("call", || {
            (Context::current().span().span_context().clone(), throughline::Carrier::capture())
        });
        assert!(context.is_sampled());
        let expected = format!("00-{}-{}-01", context.trace_id(), context.span_id());
        assert!(format!("{carrier:?}").contains(&expected), "{carrier:?}");
        assert_eq!(telemetry.export_stats(), throughline::telemetry::ExportStats::default());
    }
}

alone! {
    /// In the usual stack, each export creates spans of its HTTP/2 connection, which are exported in turn. Here, the
    /// spans of all libraries are enabled, except for those of the collector, which runs in the same process.
    fn the_export_is_not_traced() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        use std::thread;
        use throughline::telemetry::Protocol;
        use tracing_subscriber::filter::dynamic_filter_fn;
        use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

        let kept = Kept::start();
        // By a host name, which is resolved on another thread.
        let endpoint = kept.collector.endpoint().replace("127.0.0.1", "localhost");
        let [grpc, http] = [(Protocol::Grpc, ""), (Protocol::HttpProtobuf, "/v1/traces")].map(|(protocol, path)| {
            kept.builder().collector(format!("{endpoint}{path}"), protocol).init().expect("a valid configuration")
        });
        let (test, of_export) = (thread::current().id(), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&of_export);
        let without_collector = dynamic_filter_fn(move |metadata, _| {
            let is_export = thread::current().name() == Some("throughline-export");
            counted.fetch_add(usize::from(is_export && metadata.is_span()), Ordering::Relaxed);
            is_export || thread::current().id() == test
        });
        let layer = tracing_opentelemetry::layer().with_tracer(global::tracer("tracing")).with_filter(without_collector);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).expect("the first");
        for _ in 0..20 {
            for telemetry in [&grpc, &http] {
                let provider = telemetry.provider().expect("telemetry is enabled");
                throughline::install(provider);
                throughline::in_span("ours", || tracing::info_span!("theirs").in_scope(|| ()));
                http.provider().expect("telemetry is enabled").force_flush().expect("the collector accepts the spans");
                provider.force_flush().expect("the collector accepts the spans");
            }
        }
        assert!(run(grpc.shutdown(LIMIT)).is_complete());
        assert!(run(http.shutdown(LIMIT)).is_complete());
        assert!(of_export.load(Ordering::Relaxed) > 1_000, "otherwise, this tests nothing");
        let mut names: Vec<_> = kept.spans().into_iter().map(|span| span.name).collect();
        names.sort_unstable();
        assert_eq!(names, [vec!["ours"; 40], vec!["theirs"; 40]].concat());
    }
}
