//! Generates the programs.

use opentelemetry::trace::SpanBuilder;
use opentelemetry::{Array, StringValue};
use proptest::collection::vec;
use proptest::option;
use proptest::sample::{Index, select};

use super::*;

/// One step of a program. Indices refer to spans that have started.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Start(Parent, SpanBuilder),
    Change(Index, Change),
    End(Index, SystemTime),
    /// Drops the last reference to a span, which ends it if it has not ended.
    Drop(Index),
    Flush,
    ShutDown,
}

/// The context in which a span starts.
#[derive(Debug, Clone)]
pub(super) enum Parent {
    None,
    /// A context with only a span context, as from a carrier, which need not be valid.
    Ids(SpanContext),
    Span(Index),
    /// Below a span that is current.
    Current(Index),
    Suppressed(Index),
}

#[derive(Debug, Clone)]
pub(super) enum Change {
    Attributes(Vec<KeyValue>),
    Event(String, SystemTime, Vec<KeyValue>),
    Link(SpanContext, Vec<KeyValue>),
    Status(Status),
    Name(String),
}

#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) limits: SpanLimits,
    /// `None` is the default.
    pub(super) sampler: Option<AnySampler>,
    /// What each span processor changes when a span starts.
    pub(super) processors: Vec<Vec<Change>>,
}

#[derive(Debug, Clone)]
pub(super) enum AnySampler {
    BuiltIn(Sampler),
    /// Decides by the length of the name, adds attributes, and inserts a member into the trace state.
    Own(Vec<KeyValue>),
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![8 => ".{0,12}", 1 => ".{100,400}"]
}

/// Times, including some before the epoch, and some after the last time that can be encoded.
pub(super) fn time() -> impl Strategy<Value = SystemTime> {
    prop_oneof![
        6 => any::<u64>().prop_map(|nanos| SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)),
        1 => (1..1_u64 << 32).prop_map(|secs| SystemTime::UNIX_EPOCH - Duration::from_secs(secs)),
        1 => (1..1_u64 << 20).prop_map(|secs| SystemTime::UNIX_EPOCH + Duration::from_secs((1 << 40) + secs)),
        1 => Just(SystemTime::UNIX_EPOCH),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::I64),
        any::<f64>().prop_map(Value::F64),
        text().prop_map(Value::from),
        vec(any::<bool>(), 0..5).prop_map(|values| Value::Array(Array::Bool(values))),
        vec(any::<i64>(), 0..4).prop_map(|values| Value::Array(Array::I64(values))),
        vec(any::<f64>(), 0..4).prop_map(|values| Value::Array(Array::F64(values))),
        vec(text().prop_map(StringValue::from), 0..4).prop_map(|values| Value::Array(Array::String(values))),
    ]
}

/// Attributes whose keys often collide, or are empty.
fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let key = prop_oneof![8 => "[a-e]", 1 => Just(String::new()), 1 => ".{1,200}"];
    vec((key, value()).prop_map(|(key, value)| KeyValue::new(key, value)), 0..6)
}

/// Span contexts, either ID of which may be invalid, and with unknown flags.
fn ids() -> impl Strategy<Value = SpanContext> {
    let state = vec(("[a-z]{1,5}", "[!-+.-<>-~][ -+.-<>-~]{0,8}[!-+.-<>-~]"), 0..3)
        .prop_map(|pairs| TraceState::from_key_value(pairs).expect("a valid trace state"));
    let (trace, span) = (prop_oneof![1 => Just(0), 6 => any::<u128>()], prop_oneof![1 => Just(0), 6 => any::<u64>()]);
    (trace, span, any::<u8>(), any::<bool>(), state).prop_map(|(trace, span, flags, is_remote, state)| {
        SpanContext::new(TraceId::from(trace), SpanId::from(span), TraceFlags::new(flags), is_remote, state)
    })
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => attributes().prop_map(Change::Attributes),
        2 => (text(), time(), attributes()).prop_map(|(name, time, list)| Change::Event(name, time, list)),
        2 => (ids(), attributes()).prop_map(|(ids, list)| Change::Link(ids, list)),
        2 => status().prop_map(Change::Status),
        1 => text().prop_map(Change::Name),
    ]
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        1 => Just(Status::Unset),
        1 => Just(Status::Ok),
        1 => Just(Status::error("")),
        4 => "[a-c]".prop_map(Status::error),
    ]
}

fn builder() -> impl Strategy<Value = SpanBuilder> {
    let kinds = [SpanKind::Client, SpanKind::Server, SpanKind::Producer, SpanKind::Consumer, SpanKind::Internal];
    let event = (text(), time(), attributes()).prop_map(|(name, time, list)| Event::new(name, time, list, 0));
    let link = (ids(), attributes()).prop_map(|(ids, list)| Link::new(ids, list, 0));
    let parts = (
        text(),
        option::of(select(kinds.to_vec())),
        time(),
        option::of(attributes()),
        option::of(vec(event, 0..4)),
        option::of(vec(link, 0..4)),
    );
    parts.prop_map(|(name, span_kind, start, attributes, events, links)| SpanBuilder {
        span_kind,
        name: name.into(),
        start_time: Some(start),
        attributes,
        events,
        links,
    })
}

fn parent() -> impl Strategy<Value = Parent> {
    prop_oneof![
        1 => Just(Parent::None),
        2 => ids().prop_map(Parent::Ids),
        4 => any::<Index>().prop_map(Parent::Span),
        2 => any::<Index>().prop_map(Parent::Current),
        1 => any::<Index>().prop_map(Parent::Suppressed),
    ]
}

/// The steps, each with whether it runs on another thread.
pub(super) fn steps() -> impl Strategy<Value = Vec<(bool, Step)>> {
    let step = prop_oneof![
        60 => (parent(), builder()).prop_map(|(parent, builder)| Step::Start(parent, builder)),
        120 => (any::<Index>(), change()).prop_map(|(at, change)| Step::Change(at, change)),
        40 => (any::<Index>(), time()).prop_map(|(at, time)| Step::End(at, time)),
        20 => any::<Index>().prop_map(Step::Drop),
        2 => Just(Step::Flush),
        1 => Just(Step::ShutDown),
    ];
    vec((proptest::bool::weighted(0.2), step), 1..40)
}

fn limits() -> impl Strategy<Value = SpanLimits> {
    let few = (0..6_u32, 0..4_u32, 0..4_u32, 0..4_u32, 0..4_u32);
    option::of(few).prop_map(|few| match few {
        None => SpanLimits::default(),
        Some((attributes, events, links, per_event, per_link)) => SpanLimits {
            max_attributes_per_span: attributes,
            max_events_per_span: events,
            max_links_per_span: links,
            max_attributes_per_event: per_event,
            max_attributes_per_link: per_link,
        },
    })
}

fn sampler() -> impl Strategy<Value = AnySampler> {
    let half = Sampler::TraceIdRatioBased(0.5);
    let built_in = [
        Sampler::AlwaysOn,
        Sampler::AlwaysOff,
        half.clone(),
        Sampler::ParentBased(Box::new(Sampler::AlwaysOn)),
        Sampler::ParentBased(Box::new(Sampler::AlwaysOff)),
        Sampler::ParentBased(Box::new(half)),
    ];
    prop_oneof![
        2 => select(built_in.to_vec()).prop_map(AnySampler::BuiltIn),
        1 => attributes().prop_map(AnySampler::Own),
    ]
}

/// The changes of a processor. It sets at most one status, because the SDK's copy of the span might keep another one of
/// several.
fn on_start() -> impl Strategy<Value = Vec<Change>> {
    vec(change(), 0..4).prop_map(|mut changes| {
        let mut has_status = false;
        changes.retain(|change| !matches!(change, Change::Status(_)) || !std::mem::replace(&mut has_status, true));
        changes
    })
}

pub(super) fn setup() -> impl Strategy<Value = Setup> {
    (limits(), option::of(sampler()), vec(on_start(), 1..3)).prop_map(|(limits, sampler, processors)| Setup {
        limits,
        sampler,
        processors,
    })
}
