//! Runs a program with either provider.

use std::collections::HashMap;
use std::thread;

use opentelemetry::trace::{Span as ApiSpan, SpanBuilder, SpanRef, Tracer as ApiTracer, TracerProvider as ApiProvider};
use proptest::sample::Index;

use super::programs::{AnySampler, Change, Parent};
use super::specified::Specified;
use super::*;

/// The observable results of a program.
#[derive(Debug, Default)]
pub(super) struct Ran {
    /// The spans that the last processor sees at the end, in that order.
    pub(super) ended: Vec<SpanData>,
    /// The spans that each processor sees at the start.
    pub(super) started: Vec<SpanData>,
    /// The span context of each span after its start, and whether it is recorded.
    pub(super) contexts: Vec<(SpanContext, bool)>,
    pub(super) asked: Vec<String>,
    pub(super) statuses: Statuses,
}

/// The statuses that were set on each span.
#[derive(Debug, Clone, Default)]
pub(super) struct Statuses(HashMap<SpanId, Vec<Status>>);

impl Statuses {
    /// "Set Status": `Ok` is final, `Unset` is ignored, and an error without a description does not replace one with
    /// it.
    pub(super) fn of(&self, span: SpanId) -> Status {
        let set = self.0.get(&span).into_iter().flatten();
        set.fold(Status::Unset, |status, next| match (&status, next) {
            (Status::Ok, _) | (_, Status::Unset) => status,
            (Status::Error { .. }, Status::Error { description }) if description.is_empty() => status,
            _ => next.clone(),
        })
    }
}

type Log = Arc<Mutex<Ran>>;

/// Changes spans in `on_start`, and records what it sees in `on_start` and `on_end`.
#[derive(Debug)]
struct Processor {
    changes: Vec<Change>,
    is_last: bool,
    log: Log,
}

impl SpanProcessor for Processor {
    fn on_start(&self, span: &mut Span, _parent: &Context) {
        let mut log = self.log.lock().expect("no panic");
        let mut data = span.exported_data().expect("the span is recorded");
        // The copy of our span does not have the status.
        data.status = Status::Unset;
        log.started.push(data);
        for change in &self.changes {
            log.note(span.span_context().span_id(), change);
            apply(span, change.clone());
        }
    }

    fn on_end(&self, span: SpanData) {
        if self.is_last {
            self.log.lock().expect("no panic").ended.push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl Ran {
    fn note(&mut self, span: SpanId, change: &Change) {
        if let Change::Status(status) = change {
            self.statuses.0.entry(span).or_default().push(status.clone());
        }
    }
}

#[derive(Debug, Clone)]
struct OwnSampler(Vec<KeyValue>, Log);

impl ShouldSample for OwnSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let parent = parent.expect("a context").span().span_context().clone();
        let question = format!("{parent:?} {trace_id} {name} {kind:?} {attributes:?} {links:?}");
        // Our spans keep flags that the SDK's do not.
        let question = question.replace(&format!("{:?}", parent.trace_flags()), "flags");
        self.1.lock().expect("no panic").asked.push(question);
        let decisions = [SamplingDecision::RecordAndSample, SamplingDecision::RecordOnly, SamplingDecision::Drop];
        SamplingResult {
            decision: decisions[name.len() % 3].clone(),
            attributes: self.0.clone(),
            trace_state: parent.trace_state().insert("own", format!("{}", name.len())).expect("a valid trace state"),
        }
    }
}

/// Generates IDs that do not depend on whether the trace ID or the span ID is generated first.
#[derive(Debug, Default)]
struct Ids {
    traces: Mutex<u128>,
    spans: Mutex<u64>,
}

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        let mut last = self.traces.lock().expect("no panic");
        *last += 1;
        TraceId::from(last.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
    }

    fn new_span_id(&self) -> SpanId {
        let mut last = self.spans.lock().expect("no panic");
        *last += 1;
        SpanId::from(*last)
    }
}

/// Configures either provider.
macro_rules! built {
    ($builder:expr, $setup:ident, $limits:expr, $log:ident, $is_sdk:literal) => {{
        let mut builder = $builder.with_span_limits($limits).with_id_generator(Ids::default());
        builder = builder.with_resource(Resource::builder_empty().build());
        match &$setup.sampler {
            Some(AnySampler::BuiltIn(sampler)) => {
                builder = builder.with_sampler(Specified { sampler: sampler.clone(), is_sdk: $is_sdk });
            }
            Some(AnySampler::Own(attributes)) => {
                let sampler = OwnSampler(attributes.clone(), Arc::clone(&$log));
                builder = builder.with_sampler(Specified { sampler, is_sdk: $is_sdk });
            }
            None if $is_sdk => {
                let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
                builder = builder.with_sampler(Specified { sampler, is_sdk: $is_sdk });
            }
            None => {}
        }
        for (at, changes) in $setup.processors.iter().enumerate() {
            let is_last = at + 1 == $setup.processors.len();
            let log = Arc::clone(&$log);
            builder = builder.with_span_processor(Processor { changes: changes.clone(), is_last, log });
        }
        builder.build()
    }};
}

pub(super) fn ours(setup: &Setup, steps: &[(bool, Step)]) -> Ran {
    let log = Log::default();
    let provider = built!(TracerProvider::builder(), setup, setup.limits, log, false);
    let flush = || provider.force_flush().expect("the flush succeeds");
    Running::new(&provider, &log).run(steps, &flush, &|| drop(provider.shutdown()), true)
}

pub(super) fn theirs(setup: &Setup, steps: &[(bool, Step)]) -> Ran {
    let log = Log::default();
    let unlimited = SpanLimits {
        max_attributes_per_span: u32::MAX,
        max_events_per_span: u32::MAX,
        max_links_per_span: u32::MAX,
        max_attributes_per_event: u32::MAX,
        max_attributes_per_link: u32::MAX,
    };
    // Without a sampler, the SDK would read environment variables.
    let mut setup = setup.clone();
    setup.sampler.get_or_insert(AnySampler::BuiltIn(Sampler::ParentBased(Box::new(Sampler::AlwaysOn))));
    let provider = built!(SdkTracerProvider::builder(), setup, unlimited, log, true);
    let flush = || drop(provider.force_flush());
    Running::new(&provider, &log).run(steps, &flush, &|| drop(provider.shutdown()), false)
}

struct Running<'a, T> {
    tracer: T,
    log: &'a Log,
    /// Each span, and the flags that the specification requires.
    spans: Vec<(Context, TraceFlags)>,
    /// The spans that were dropped before they were ended, so that their end times differ.
    dropped: Vec<SpanId>,
    is_shut_down: bool,
}

impl<'a, T> Running<'a, T>
where
    T: ApiTracer + Send + Sync,
    T::Span: Send + Sync + 'static,
{
    fn new(provider: &impl ApiProvider<Tracer = T>, log: &'a Log) -> Self {
        Self { tracer: provider.tracer("random"), log, spans: Vec::new(), dropped: Vec::new(), is_shut_down: false }
    }

    fn run(mut self, steps: &[(bool, Step)], flush: &dyn Fn(), shut_down: &dyn Fn(), is_ours: bool) -> Ran {
        for (elsewhere, step) in steps {
            match step {
                Step::Flush => flush(),
                Step::ShutDown => {
                    shut_down();
                    self.is_shut_down = true;
                }
                step if *elsewhere => thread::scope(|scope| {
                    let running = &mut self;
                    scope.spawn(move || running.step(step, is_ours)).join().expect("no panic");
                }),
                step => self.step(step, is_ours),
            }
        }
        while !self.spans.is_empty() {
            self.give_up(0);
        }
        let mut ran = std::mem::take(&mut *self.log.lock().expect("no panic"));
        for span in &mut ran.ended {
            if self.dropped.contains(&span.span_context.span_id()) {
                span.end_time = SystemTime::UNIX_EPOCH;
            }
        }
        ran
    }

    fn at(&self, at: Index) -> Option<usize> {
        (!self.spans.is_empty()).then(|| at.index(self.spans.len()))
    }

    fn step(&mut self, step: &Step, is_ours: bool) {
        match step {
            Step::Start(parent, builder) => self.start(parent, builder.clone(), is_ours),
            Step::Change(at, change) => {
                let Some(at) = self.at(*at) else { return };
                let span = self.spans[at].0.span();
                if span.is_recording() {
                    self.log.lock().expect("no panic").note(span.span_context().span_id(), change);
                }
                apply_through(&span, change.clone());
            }
            Step::End(at, time) => {
                if let Some(at) = self.at(*at) {
                    self.spans[at].0.span().end_with_timestamp(*time);
                }
            }
            Step::Drop(at) => {
                if let Some(at) = self.at(*at) {
                    self.give_up(at);
                }
            }
            Step::Flush | Step::ShutDown => {}
        }
    }

    fn give_up(&mut self, at: usize) {
        let (context, _) = self.spans.remove(at);
        if context.span().is_recording() {
            self.dropped.push(context.span().span_context().span_id());
        }
    }

    fn start(&mut self, parent: &Parent, builder: SpanBuilder, is_ours: bool) {
        let (below, flags, is_current) = match parent {
            Parent::Ids(ids) => (below(ids.clone()), ids.trace_flags(), false),
            Parent::Span(at) | Parent::Current(at) | Parent::Suppressed(at) if self.at(*at).is_some() => {
                let (context, flags) = self.spans[at.index(self.spans.len())].clone();
                let is_suppressed = matches!(parent, Parent::Suppressed(_));
                let context = if is_suppressed { context.with_telemetry_suppressed() } else { context };
                (context, flags, matches!(parent, Parent::Current(_)))
            }
            _ => (Context::new(), TraceFlags::default(), false),
        };
        let is_valid = below.span().span_context().is_valid();
        let span = if is_current {
            let _current = below.clone().attach();
            self.tracer.build(builder)
        } else {
            self.tracer.build_with_context(builder, &below)
        };
        let context = span.span_context().clone();
        let is_passed = self.is_shut_down && is_valid && !below.is_telemetry_suppressed();
        // After the shutdown, the SDK's spans do not have the span context of their parent.
        if is_passed && !is_ours {
            let passed = with_flags(below.span().span_context(), flags);
            self.log.lock().expect("no panic").contexts.push((passed.clone(), span.is_recording()));
            self.spans.push((super::super::below(passed), flags));
            return;
        }
        // The SDK's spans that are dropped have no flags.
        let inherited = if is_valid && context.is_valid() { flags } else { TraceFlags::default() };
        let flags = inherited.with_sampled(context.is_sampled());
        let shown = if is_ours { context } else { with_flags(&context, flags) };
        self.log.lock().expect("no panic").contexts.push((shown, span.is_recording()));
        self.spans.push((Context::new().with_span(span), flags));
    }
}

fn with_flags(context: &SpanContext, flags: TraceFlags) -> SpanContext {
    let state = context.trace_state().clone();
    SpanContext::new(context.trace_id(), context.span_id(), flags, context.is_remote(), state)
}

fn apply(span: &mut impl ApiSpan, change: Change) {
    match change {
        Change::Attributes(attributes) => span.set_attributes(attributes),
        Change::Event(name, time, attributes) => span.add_event_with_timestamp(name, time, attributes),
        Change::Link(ids, attributes) => span.add_link(ids, attributes),
        Change::Status(status) => span.set_status(status),
        Change::Name(name) => span.update_name(name),
    }
}

/// The same through the context of the span, as in other code.
fn apply_through(span: &SpanRef<'_>, change: Change) {
    match change {
        Change::Attributes(attributes) => span.set_attributes(attributes),
        Change::Event(name, time, attributes) => span.add_event_with_timestamp(name, time, attributes),
        Change::Link(ids, attributes) => span.add_link(ids, attributes),
        Change::Status(status) => span.set_status(status),
        Change::Name(name) => span.update_name(name),
    }
}
