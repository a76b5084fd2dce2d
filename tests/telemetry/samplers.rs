//! A trace is sampled as a whole, whatever the sampler.

use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
use throughline::{biz_tags, current_tags, log, traced};

use crate::process::{alone, until};
use crate::support::{Kept, Log};

/// Decides by the number of the call, regardless of the parent.
#[derive(Debug, Clone, Default)]
struct Alternating(std::sync::Arc<std::sync::atomic::AtomicU64>);

impl ShouldSample for Alternating {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let call = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let decision = match call % 3 {
            0 => SamplingDecision::RecordAndSample,
            1 => SamplingDecision::RecordOnly,
            _ => SamplingDecision::Drop,
        };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::NONE }
    }
}

/// Spans nested in every possible way. Panics if one disagrees with its parent.
fn nested(depth: u32) -> u64 {
    let current = || Context::map_current(|context| context.span().span_context().clone());
    let above = current();
    if depth == 0 {
        return 0;
    }
    let agrees = |here: &SpanContext| {
        if above.is_valid() {
            assert_eq!(here.is_sampled(), above.is_sampled(), "a child disagrees with its parent");
            assert_eq!(here.trace_id(), above.trace_id());
        }
        u64::from(here.is_sampled())
    };
    let mut sampled = 0;
    sampled += throughline::in_span("ours", || agrees(&current()) + nested(depth - 1));
    // Spans of OpenTelemetry's API, as children and as parents of ours.
    let tracer = opentelemetry::global::tracer("other");
    sampled += tracer.in_span("theirs", |context| agrees(context.span().span_context()) + nested(depth - 1));
    sampled += std::thread::scope(|scope| {
        let carried = throughline::Carried::new(());
        let agrees = &agrees;
        scope
            .spawn(move || {
                carried.run(|()| throughline::in_span("other thread", || agrees(&current()) + nested(depth - 1)))
            })
            .join()
            .expect("no panic")
    });
    sampled
}

fn caller(n: u128, sampled: bool) -> Context {
    let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let state = TraceState::from_key_value([("k", "v")]).expect("a state");
    Context::new().with_remote_span_context(SpanContext::new(TraceId::from(n), SpanId::from(9), flags, true, state))
}

fn every_kind(variables: &'static [(&'static str, &'static str)], local: std::ops::RangeInclusive<u64>) {
    let kept = Kept::start();
    let telemetry = kept
        .builder()
        .variables(move |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        .init()
        .expect("a valid configuration");
    let flush =
        || telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector accepts the spans");
    let sampled: u64 = (0..50).map(|_| nested(3)).sum();
    assert!(local.contains(&sampled), "{variables:?}: {sampled} of {}", 50 * 39);
    flush();
    assert_eq!(kept.count() as u64, sampled, "exactly the sampled spans arrive");

    // The caller has already made the decision.
    for (n, decided) in [(1, true), (2, false)] {
        let before = kept.count();
        let context = throughline::span("entry").parent(&caller(n, decided)).run(|| {
            nested(2);
            Context::current()
        });
        let here = context.span().span_context().clone();
        assert_eq!((here.is_sampled(), here.trace_id()), (decided, TraceId::from(n)), "{variables:?}");
        assert_eq!(here.trace_state().header(), "k=v");
        flush();
        assert_eq!(kept.count() - before, if decided { 1 + 12 } else { 0 });
    }
}

alone! {
    fn always_on() {
        every_kind(&[("OTEL_TRACES_SAMPLER", "always_on")], 1_950..=1_950);
    }
}

alone! {
    fn always_off() {
        every_kind(&[("OTEL_TRACES_SAMPLER", "always_off")], 0..=0);
    }
}

#[traced]
#[biz_tags(tenant_id)]
fn serve(tenant_id: &str) -> usize {
    let _ = tenant_id;
    current_tags().len()
}

alone! {
    /// For the formatters of log lines.
    fn tags_are_in_scope_in_a_trace_that_is_not_sampled() {
        let _text = log::Text::new();
        let kept = Kept::start();
        let variables = |name: &str| (name == "OTEL_TRACES_SAMPLER").then(|| "always_off".to_owned());
        let telemetry = kept.builder().variables(variables).init().expect("a valid configuration");
        assert_eq!(serve("acme"), 1);
        drop(telemetry);
        assert_eq!(kept.count(), 0);
    }
}

alone! {
    fn a_ratio() {
        every_kind(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.5")], 300..=1_650);
    }
}

alone! {
    fn parent_based() {
        every_kind(&[("OTEL_TRACES_SAMPLER", "parentbased_always_on")], 1_950..=1_950);
    }
}

alone! {
    fn parent_based_off() {
        every_kind(&[("OTEL_TRACES_SAMPLER", "parentbased_always_off")], 0..=0);
    }
}

alone! {
    fn a_parent_based_ratio() {
        let variables = &[("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.5")];
        every_kind(variables, 300..=1_650);
    }
}

alone! {
    fn a_custom_sampler() {
        let kept = Kept::start();
        let telemetry = kept.builder().sampler(Alternating::default()).init().expect("a valid configuration");
        let sampled: u64 = (0..60).map(|_| nested(3)).sum();
        telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector accepts the spans");
        // Three roots in each round, one of which is sampled, with the thirteen spans of its trace.
        assert_eq!((sampled, kept.count()), (60 * 13, 60 * 13));
    }
}

alone! {
    fn there_is_a_warning_about_a_sampler_that_is_not_parent_based() {
        let log = Log::keep();
        for (name, warnings) in [("parentbased_always_on", 0), ("always_on", 1), ("traceidratio", 2)] {
            let telemetry = throughline::telemetry::builder()
                .variables(move |variable| (variable == "OTEL_TRACES_SAMPLER").then(|| name.to_owned()))
                .init()
                .expect("a valid configuration");
            drop(telemetry);
            assert_eq!(log.count("would produce partial traces"), warnings, "{}", log.text());
        }
        assert!(log.text().contains("`traceidratio`") && log.text().contains("`parentbased_traceidratio`"));
    }
}

alone! {
    fn the_warning_is_deferred_until_there_is_a_subscriber() {
        // The usual order, because a subscriber may need the provider.
        let sampler = |variable: &str| (variable == "OTEL_TRACES_SAMPLER").then(|| "always_on".to_owned());
        let kept = Kept::start();
        let one = throughline::telemetry::builder().variables(sampler).init().expect("a valid configuration");
        let other = kept.builder().init().expect("a valid configuration");
        let log = Log::keep();
        until("both are logged", || log.count("would produce partial traces") + log.count("already initialized") == 2);
        drop((one, other));
        assert_eq!(log.text().lines().count(), 2, "{}", log.text());
    }
}

alone! {
    fn spans_of_other_tracers_of_the_provider_follow_their_parent() {
        let kept = Kept::start();
        let telemetry = kept.builder().sampler(Alternating::default()).init().expect("a valid configuration");
        let tracer = telemetry.provider().expect("telemetry is enabled").tracer("own");
        for _ in 0..30 {
            let root = tracer.start("root");
            let identity = root.span_context().clone();
            let context = Context::new().with_span(root);
            let child = tracer.start_with_context("child", &context);
            assert_eq!(child.span_context().is_sampled(), identity.is_sampled());
            assert!(identity.is_sampled() || !child.is_recording(), "no partial trace is recorded");
        }
    }
}

/// Panics for every other trace.
#[derive(Debug, Clone, Default)]
struct Panicking(std::sync::Arc<std::sync::atomic::AtomicU64>);

impl ShouldSample for Panicking {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        name: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let call = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        assert!(call % 2 == 0, "a sampler that panics for `{name}`");
        SamplingResult {
            decision: SamplingDecision::RecordAndSample,
            attributes: Vec::new(),
            trace_state: TraceState::NONE,
        }
    }
}

alone! {
    fn a_sampler_that_panics_is_harmless() {
        let kept = Kept::start();
        let telemetry = kept.builder().sampler(Panicking::default()).init().expect("a valid configuration");
        for n in 0..6 {
            let result = throughline::in_span("ours", || throughline::in_span("below", || n));
            assert_eq!(result, n);
        }
        for n in 0..2 {
            let result = opentelemetry::global::tracer("theirs").in_span("theirs", |_| n);
            assert_eq!(result, n);
        }
        assert!(crate::support::run(telemetry.shutdown(std::time::Duration::from_secs(30))).is_complete());
        assert_eq!(kept.count(), 3 * 2 + 1);
    }
}

alone! {
    /// For a formatter of the application, which requests it before its first line.
    fn tags_of_unsampled_traces_are_evaluated_on_request() {
        let telemetry = throughline::telemetry::builder()
            .variables(|name| (name == "OTEL_TRACES_SAMPLER").then(|| "parentbased_always_off".to_owned()))
            .init()
            .expect("a valid configuration");
        let order = || throughline::span("order").biz_tag("tenant_id", "acme").run(|| current_tags().len());
        let tags = || throughline::in_span("request", order);
        assert_eq!(tags(), 0);
        log::evaluate_unsampled_tags();
        assert_eq!(tags(), 1);
        drop(telemetry);
    }
}
