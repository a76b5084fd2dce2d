//! The layer has its own filter, and works in any combination of layers.

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracer, SdkTracerProvider};
use throughline::testing::Capture;
use throughline::tracing_layer::{Builder, OpenTelemetrySpanExt as _, default_spans};
use throughline::{in_span, tracing_layer};
use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber, debug_span, info_span, trace_span};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer, reload};

use crate::{subscriber, with_built, with_layer};

fn work() {
    info_span!("info").in_scope(|| debug_span!("debug").in_scope(|| in_span("annotated", || ())));
}

const TREE: &str = "info\n└── debug\n    └── annotated";

/// A log layer with a restrictive filter.
fn log<S: Subscriber + for<'a> LookupSpan<'a>>() -> impl Layer<S> + Send + Sync {
    tracing_subscriber::fmt::layer().with_writer(std::io::sink).with_filter(EnvFilter::new("error"))
}

fn check(subscriber: impl Subscriber + Send + Sync + 'static) {
    let capture = Capture::new();
    subscriber::with_default(subscriber, || capture.run(work));
    capture.assert_tree(TREE);
}

#[test]
fn filters_of_other_layers_have_no_effect() {
    check(tracing_subscriber::registry().with(tracing_layer()).with(log()));
    check(tracing_subscriber::registry().with(log()).with(tracing_layer()));
    check(tracing_subscriber::registry().with(log()).with(tracing_layer()).with(log()));
    let (reloaded, handle) = reload::Layer::new(log());
    check(tracing_subscriber::registry().with(reloaded).with(tracing_layer()));
    drop(handle);
    let json = tracing_subscriber::fmt::layer().compact().with_writer(std::io::sink);
    check(tracing_subscriber::registry().with(json).with(tracing_layer()));
    check(tracing_subscriber::registry().with(log().and_then(tracing_layer())));
    check(tracing_subscriber::registry().with(Some(tracing_layer())));
    check(tracing_subscriber::registry().with(vec![tracing_layer().boxed()]));
}

#[test]
fn reloading_the_filter_of_another_layer_has_no_effect() {
    let capture = Capture::new();
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    let (filter, handle) = reload::Layer::new(EnvFilter::new("trace"));
    let registry = tracing_subscriber::registry().with(log.with_filter(filter)).with(tracing_layer());
    subscriber::with_default(registry, || {
        capture.run(work);
        handle.reload(EnvFilter::new("off")).expect("the subscriber is there");
        capture.run(work);
    });
    assert_eq!(capture.spans().len(), 6);
    assert!(capture.named("annotated").iter().all(|span| span.parent_id().is_some()));
}

#[test]
fn spans_of_transports_are_excluded() {
    let capture = Capture::new();
    with_layer(&capture, || {
        chatter();
        info_span!(target: "tower_http::trace", "request").in_scope(|| trace_span!("trace"));
    });
    capture.assert_tree("request");
}

/// Crates whose names begin with those of transports.
#[test]
fn crates_with_similar_names_are_recorded() {
    let capture = Capture::new();
    with_layer(&capture, || {
        info_span!(target: "hyperspace::orders", "hyperspace").in_scope(|| ());
        info_span!(target: "hyper_shop", "hyper_shop").in_scope(|| ());
        info_span!(target: "tonic_shop::orders", "tonic_shop").in_scope(|| ());
        info_span!(target: "tokio_shop", "tokio_shop").in_scope(|| ());
        info_span!(target: "h2_gateway::routes", "h2_gateway").in_scope(|| ());
        info_span!(target: "rustls_shop", "rustls_shop").in_scope(|| ());
    });
    capture.assert_tree("hyperspace\nhyper_shop\ntonic_shop\ntokio_shop\nh2_gateway\nrustls_shop");
}

/// With `console-subscriber`, these spans exist for each task and resource.
#[test]
fn spans_of_the_runtime_are_excluded() {
    let capture = Capture::new();
    let everything = default_spans().with_default(LevelFilter::TRACE);
    with_built(&capture, Builder::new().spans(everything), || {
        trace_span!("verbose").in_scope(|| {
            drop(trace_span!(target: "tokio::task", "runtime.spawn"));
            drop(trace_span!(target: "tokio::task::blocking", "runtime.spawn"));
            drop(trace_span!(target: "tokio::time::interval", "runtime.resource"));
        });
    });
    capture.assert_tree("verbose");
}

fn chatter() {
    drop(info_span!(target: "h2::codec", "chatter"));
    drop(info_span!(target: "hyper::proto", "chatter"));
    drop(info_span!(target: "hyper_util::client", "chatter"));
    drop(info_span!(target: "hyper_rustls::connector", "chatter"));
    drop(info_span!(target: "hyper_tls::client", "chatter"));
    drop(info_span!(target: "hyper_timeout::stream", "chatter"));
    drop(info_span!(target: "tonic::transport", "chatter"));
    drop(info_span!(target: "tower::buffer", "chatter"));
    drop(info_span!(target: "reqwest::connect", "chatter"));
    drop(info_span!(target: "rustls::client", "chatter"));
    drop(info_span!(target: "rdkafka::client", "chatter"));
    drop(info_span!(target: "opentelemetry-otlp", "chatter"));
}

#[test]
fn the_filter_can_be_configured() {
    let capture = Capture::new();
    let spans = default_spans().with_target("h2::", Level::INFO).with_default(Level::INFO);
    with_built(&capture, Builder::new().spans(spans), || {
        info_span!(target: "h2::codec", "frame").in_scope(|| debug_span!("debug"));
    });
    capture.assert_tree("frame");
}

#[test]
fn a_filter_may_be_added() {
    let capture = Capture::new();
    let layer = tracing_layer().with_filter(tracing_subscriber::filter::filter_fn(|it| it.name() != "debug"));
    subscriber::with_default(tracing_subscriber::registry().with(layer), || capture.run(work));
    capture.assert_tree("info\n└── annotated");
}

#[test]
fn a_filter_that_was_added_can_be_reloaded() {
    let capture = Capture::new();
    let (filter, handle) = reload::Layer::new(LevelFilter::INFO);
    let registry = tracing_subscriber::registry().with(tracing_layer().with_filter(filter)).with(log());
    subscriber::with_default(registry, || {
        for (level, tree) in
            [(LevelFilter::INFO, "info\n└── annotated"), (LevelFilter::OFF, "annotated"), (LevelFilter::TRACE, TREE)]
        {
            handle.reload(level).expect("the subscriber is there");
            capture.clear();
            capture.run(work);
            capture.assert_tree(tree);
        }
    });
}

/// A `reload::Layer` around a layer with a filter works, but the layer cannot be replaced by another one with a filter,
/// which `tracing_subscriber` does not assign an ID.
#[test]
fn the_layer_may_be_in_a_reload_layer() {
    let (reloaded, handle) = reload::Layer::new(tracing_layer());
    check(tracing_subscriber::registry().with(reloaded));
    drop(handle);
}

#[test]
fn nothing_is_recorded_while_telemetry_is_suppressed() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let _suppressed = opentelemetry::Context::enter_telemetry_suppressed_scope();
        work();
    });
    assert_eq!((capture.spans().len(), capture.open()), (0, 0));
}

#[test]
fn an_unsampled_trace_has_no_spans_and_one_sampling_decision() {
    let capture = Capture::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    with_layer(&capture, || {
        info_span!("root", big = "text").in_scope(|| {
            let context = opentelemetry::Context::current();
            work();
            let child = info_span!("child", n = 1);
            child.record("n", 2);
            let ids = |context: &opentelemetry::Context| {
                opentelemetry::trace::TraceContextExt::span(context).span_context().trace_id()
            };
            assert_eq!(ids(&context), ids(&child.context()));
        });
    });
    assert!(capture.spans().is_empty());
}

fn other<S: Subscriber + for<'a> LookupSpan<'a>>(tracer: SdkTracer) -> impl Layer<S> {
    tracing_opentelemetry::layer().with_tracer(tracer).with_context_activation(false)
}

/// Each of the two layers records a whole trace in its own provider.
#[test]
fn it_works_next_to_the_layer_of_tracing_opentelemetry() {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let tracer = provider.tracer("other");
    check(tracing_subscriber::registry().with(other(tracer.clone())).with(tracing_layer()));
    check(tracing_subscriber::registry().with(tracing_layer()).with(other(tracer)));
    let spans = exporter.get_finished_spans().expect("spans");
    assert_eq!(spans.len(), 4);
    for pair in spans.chunks(2) {
        // The inner span ends first.
        assert_eq!(pair[0].parent_span_id, pair[1].span_context.span_id());
    }
}

/// If the filter of another layer is called for each span, so is this one.
#[test]
fn the_filter_decides_the_same_when_called_for_each_span() {
    let capture = Capture::new();
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    let log = log.with_filter(tracing_subscriber::filter::dynamic_filter_fn(|_, _| true));
    subscriber::with_default(tracing_subscriber::registry().with(log).with(tracing_layer()), || {
        capture.run(|| {
            for _ in 0..3 {
                info_span!("info").in_scope(|| {
                    info_span!(target: "h2::codec", "chatter").in_scope(|| trace_span!("verbose").in_scope(|| ()));
                });
            }
        });
    });
    capture.assert_tree("info\ninfo\ninfo");
}
