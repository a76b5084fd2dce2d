//! Random programs over the APIs of Throughline, OpenTelemetry and `tracing` record the same spans with our provider as
//! with the SDK's. Both generate the same IDs. Providers are process-wide, so this is a single test in its own process.
//!
//! The cases are the same in every run. Set `PROPTEST_RNG_SEED` for different ones, and `PROPTEST_CASES` for more.

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Link, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    IdGenerator, Sampler, SamplingResult, SdkTracerProvider, ShouldSample, Span, SpanData, SpanProcessor,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use throughline::telemetry::{TagProcessor, TracerProvider};
use throughline::{SpanBuilder, SpanKind, in_tags, record, record_error, tracing_layer};
use tracing::{error, info, info_span};
use tracing_subscriber::layer::SubscriberExt as _;

#[derive(Debug, Clone)]
enum Step {
    /// Runs the following steps, until the end or `Return`, in a span.
    Span(Kind, Vec<Tag>, Option<String>),
    /// Runs the following steps, until the end or `Return`, with a tag in scope.
    Tags(Tag),
    Return,
    Record(Tag),
    RecordError(String),
    Event,
    ErrorEvent(String),
}

/// A key, a value, and whether spans below have the tag, too.
type Tag = (&'static str, String, bool);

#[derive(Debug, Clone)]
enum Kind {
    Child(SpanKind),
    Root,
    Detached,
    DetachedLink,
    DetachedRoot,
    /// Below a span of another process, which is sampled or not.
    Remote(bool),
    /// Below a span context with invalid IDs.
    Nowhere(u128, u64),
    Linked,
    /// A span of `tracing`.
    Instrumented,
    /// A span of other code.
    Api,
}

fn tag() -> impl Strategy<Value = Tag> {
    let keys = ["a", "b", "c", "tenant", "code.file.path", "code.line.number", "error.type"];
    let parts = (select(keys.to_vec()), prop_oneof![8 => "[x-z]{0,2}", 1 => Just("x".repeat(5_000))], any::<bool>());
    // Tags that describe the code are not scoped.
    parts.prop_map(|(key, value, is_scoped)| (key, value, is_scoped && !key.starts_with("code.")))
}

fn kind() -> impl Strategy<Value = Kind> {
    let kinds = [SpanKind::Internal, SpanKind::Client, SpanKind::Server, SpanKind::Producer, SpanKind::Consumer];
    prop_oneof![
        6 => select(kinds.to_vec()).prop_map(Kind::Child),
        1 => Just(Kind::Root),
        1 => Just(Kind::Detached),
        1 => Just(Kind::DetachedLink),
        1 => Just(Kind::DetachedRoot),
        1 => any::<bool>().prop_map(Kind::Remote),
        1 => select(vec![(0, 7), (7, 0), (0, 0)]).prop_map(|(trace, span)| Kind::Nowhere(trace, span)),
        1 => Just(Kind::Linked),
        3 => Just(Kind::Instrumented),
        2 => Just(Kind::Api),
    ]
}

/// A single text or none, because the tracers differ for several: the SDK keeps the one that sorts last, and ours the
/// latest.
fn error() -> impl Strategy<Value = String> {
    prop_oneof![Just("declined".to_owned()), Just(String::new())]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (kind(), vec(tag(), 0..4), prop::option::weighted(0.2, error()))
            .prop_map(|(kind, tags, error)| Step::Span(kind, tags, error)),
        2 => tag().prop_map(Step::Tags),
        6 => Just(Step::Return),
        2 => tag().prop_map(Step::Record),
        1 => error().prop_map(Step::RecordError),
        1 => Just(Step::Event),
        1 => error().prop_map(Step::ErrorEvent),
    ];
    vec(step, 1..24)
}

type Steps<'a> = std::slice::Iter<'a, Step>;

fn run(steps: &mut Steps<'_>) {
    while let Some(step) = steps.next() {
        match step {
            Step::Span(kind, tags, error) => span(kind, tags, error.as_deref(), steps),
            Step::Tags((key, value, _)) => in_tags(&[(key, value)], || run(steps)),
            Step::Return => return,
            Step::Record((key, value, _)) => record(*key, value),
            Step::RecordError(text) => record_error(&std::io::Error::other(text.clone())),
            Step::Event => info!(n = 1, "said"),
            Step::ErrorEvent(text) => error!(error = text),
        }
    }
}

fn remote(trace: u128, span: u64, is_sampled: bool) -> Context {
    let state: TraceState = "k=v".parse().expect("valid trace state");
    let flags = TraceFlags::new(0x02).with_sampled(is_sampled);
    let ids = SpanContext::new(TraceId::from(trace), SpanId::from(span), flags, true, state);
    Context::new().with_remote_span_context(ids)
}

fn span(kind: &Kind, tags: &[Tag], error: Option<&str>, steps: &mut Steps<'_>) {
    let builder = throughline::span("ours").log_errors();
    let builder = match kind {
        Kind::Child(kind) => builder.kind(kind.clone()),
        Kind::Root => builder.root(),
        Kind::Detached => builder.detached(),
        Kind::DetachedLink => builder.detached_link(),
        Kind::DetachedRoot => builder.detached_root(),
        Kind::Remote(is_sampled) => builder.parent(&remote(7, 8, *is_sampled)),
        Kind::Nowhere(trace, span) => builder.parent(&remote(*trace, *span, true)),
        Kind::Linked => builder.link(&remote(9, 10, false)),
        Kind::Instrumented => {
            let status = (tags.len() > 1).then_some("error");
            let span = info_span!(
                "instrumented",
                a = tags.first().map(|tag| &*tag.1),
                b = tags.len(),
                otel.status_code = status,
            );
            span.follows_from(tracing::Span::current());
            return span.in_scope(|| run(steps));
        }
        Kind::Api => {
            let attributes: Vec<_> = tags.iter().map(|(key, value, _)| KeyValue::new(*key, value.clone())).collect();
            let tracer = global::tracer("api");
            let span = tracer.build(tracer.span_builder("api").with_attributes(attributes));
            let _current = Context::current_with_span(span).attach();
            return run(steps);
        }
    };
    let add = |builder: SpanBuilder, (key, value, is_scoped): &Tag| {
        if *is_scoped { builder.biz_tag(key, value) } else { builder.tag(key, value) }
    };
    let _ = tags.iter().fold(builder, add).try_run(|| {
        run(steps);
        error.map_or(Ok(()), |error| Err(error.to_owned()))
    });
}

/// Generates different IDs in each case, because the layer counts the events of a span by its ID.
#[derive(Debug)]
struct Ids {
    case: u64,
    traces: AtomicU64,
    spans: AtomicU64,
}

impl Ids {
    fn new(case: u64) -> Self {
        Self { case, traces: AtomicU64::new(1), spans: AtomicU64::new(1) }
    }

    fn next(&self, count: &AtomicU64) -> u64 {
        self.case << 32 | count.fetch_add(1, Ordering::Relaxed)
    }
}

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(u128::from(self.next(&self.traces)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(self.next(&self.spans).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Kept {
    fn on_start(&self, _span: &mut Span, _parent: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().expect("no panic").push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The parts of a span that do not depend on the tracer. Times do, and so does the order of attributes.
fn shown(span: &SpanData) -> String {
    let map = |attributes: &[KeyValue]| -> BTreeMap<String, String> {
        let value = |it: &KeyValue| format!("{:?} {}", discriminant(&it.value), it.value);
        // Written only by our tracer, as docs/attributes.md says.
        let both = attributes.iter().filter(|it| it.key.as_str() != "throughline.detached");
        both.map(|it| (it.key.to_string(), value(it))).collect()
    };
    let events: Vec<_> = span.events.iter().map(|event| (event.name.clone(), map(&event.attributes))).collect();
    // Without flags, because unsampled spans of the SDK have none.
    let ids = |context: &SpanContext| {
        let state = context.trace_state().header();
        format!("{} {} {} {state}", context.trace_id(), context.span_id(), context.is_remote())
    };
    let links: Vec<_> = span.links.iter().map(|link| (ids(&link.span_context), map(&link.attributes))).collect();
    let SpanData { name, span_kind, status, parent_span_id, parent_span_is_remote, .. } = span;
    let context = ids(&span.span_context);
    let times = span.start_time <= span.end_time && span.start_time > SystemTime::UNIX_EPOCH;
    format!(
        "{name} {context} {parent_span_id:?} {parent_span_is_remote} {span_kind:?} {status:?} {times}\n{:#?}\n\
         {events:#?}\n{links:?}\n{} {}",
        map(&span.attributes),
        span.dropped_attributes_count,
        span.instrumentation_scope.name(),
    )
}

/// Follows the specification, by which an invalid parent is none. The SDK passes it to samplers.
#[derive(Debug, Clone)]
struct Specified(Sampler);

impl ShouldSample for Specified {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let parent = parent.filter(|parent| parent.span().span_context().is_valid());
        self.0.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}

fn compare(half: bool, steps: &[Step]) -> Result<(), TestCaseError> {
    static CASES: AtomicU64 = AtomicU64::new(1);
    let case = CASES.fetch_add(1, Ordering::Relaxed);
    let (ours, theirs) = (Kept::default(), Kept::default());
    let root = if half { Sampler::TraceIdRatioBased(0.5) } else { Sampler::AlwaysOn };
    let sampler = Sampler::ParentBased(Box::new(root));
    let provider = TracerProvider::builder().with_id_generator(Ids::new(case)).with_span_processor(ours.clone());
    // By default, ours takes a fast path: no sampler is called below a local parent, or needs the attributes.
    let provider = if half { provider.with_sampler(sampler.clone()) } else { provider }.build();
    throughline::install(&provider);
    global::set_tracer_provider(provider);
    run(&mut steps.iter());
    let provider = SdkTracerProvider::builder()
        .with_id_generator(Ids::new(case))
        .with_sampler(Specified(sampler))
        .with_span_processor(TagProcessor::new())
        .with_span_processor(theirs.clone())
        .build();
    throughline::install(&provider);
    global::set_tracer_provider(provider);
    run(&mut steps.iter());
    let [ours, theirs] = [ours, theirs].map(|kept| {
        let spans = kept.0.lock().expect("no panic");
        spans.iter().map(shown).collect::<Vec<_>>()
    });
    prop_assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        prop_assert_eq!(ours, theirs);
    }
    Ok(())
}

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn our_tracer_records_the_same_as_the_sdk() {
    let seed = RngSeed::Fixed(variable("PROPTEST_RNG_SEED").unwrap_or(1));
    let cases = variable("PROPTEST_CASES").unwrap_or(256);
    let config = Config { cases, rng_seed: seed, failure_persistence: None, ..Config::default() };
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(tracing_layer())).expect("none is set");
    let run = |(half, steps): (bool, Vec<Step>)| compare(half, &steps);
    TestRunner::new(config).run(&(any::<bool>(), steps()), run).unwrap_or_else(|error| panic!("{error}"));
}
