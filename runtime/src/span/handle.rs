//! Opens spans. The one place that decides on parent, links, attributes and context.

use std::borrow::Cow;
use std::time::Instant;

#[cfg(feature = "http")]
use opentelemetry::trace::TraceId;
use opentelemetry::trace::{Link, SpanBuilder, SpanContext, SpanKind, TraceContextExt as _};
use opentelemetry::{Context, KeyValue, global};

use crate::context::current::{self, Attached};
use crate::context::data::{self, Ambient};
use crate::context::origin::Origin;
use crate::context::snapshot::Snapshot;
use crate::guard::reentrance::{Busy, is_busy};
use crate::span::callsite::Callsite;
use crate::span::failure::Told;
use crate::span::outcome::{self, Given, Outcome};
use crate::span::tracer;
use crate::tags::set::{Quiet, Tags};

/// A span that is about to start.
///
/// Most spans are children of the current one and need nothing but their callsite, so the rest is
/// kept out of the way.
#[derive(Debug)]
#[must_use]
pub struct Opening<'a> {
    pub(crate) callsite: &'a Callsite,
    pub(crate) rest: Option<Box<Rest>>,
    /// Whether it is opened by what has found out that telemetry was not at work.
    within: bool,
    /// Whether it is that of a detached job.
    detached: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Rest {
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) kind: Option<SpanKind>,
    pub(crate) parent: Parent,
    /// The id of the trace, if this span begins one.
    #[cfg(feature = "http")]
    trace_id: Option<TraceId>,
    links: Vec<Link>,
    tags: Tags,
    /// What the parent and the links tell of themselves.
    described: Vec<KeyValue>,
    /// Whether an error is logged.
    pub(crate) log: bool,
}

#[derive(Debug, Default)]
pub(crate) enum Parent {
    /// The current span.
    #[default]
    Current,
    /// None; the current span is linked.
    Root,
    /// The span of this context; the current span is linked.
    Given(Context),
    /// The span of this context, and nothing else: the span of a detached job.
    Detached(Context),
}

impl<'a> Opening<'a> {
    /// A span of the function at `callsite`.
    #[inline]
    pub fn new(callsite: &'a Callsite) -> Self {
        Self { callsite, rest: None, within: false, detached: false }
    }

    /// A span of which more is known than its callsite.
    pub(crate) fn with_rest(callsite: &'a Callsite, rest: Rest) -> Self {
        Self { callsite, rest: Some(Box::new(rest)), within: true, detached: false }
    }

    /// Where to note what is said of the span; `None` if telemetry is at work on this thread, so that there
    /// will be no span.
    fn said(&mut self) -> Option<&mut Rest> {
        // What is said is found by code of the application's, which may have spans. The place for it is not.
        let busy = Busy::begin();
        (self.within || !busy.is_nested()).then(|| self.rest())
    }

    fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }

    #[cfg_attr(not(feature = "full"), allow(dead_code, reason = "each transport uses some of it"))]
    pub(crate) fn name(&mut self, name: Cow<'static, str>) {
        self.rest().name = Some(name);
    }

    /// Asks for `id` as the id of the trace, if the span begins one. See [`tracer::want`] for who
    /// hears it.
    #[cfg(feature = "http")]
    pub(crate) fn trace_id(&mut self, id: TraceId) {
        self.rest().trace_id = Some(id);
    }

    /// Says more about the span, in a step of its own.
    pub fn with(self, more: impl FnOnce(Self) -> Self) -> Self {
        if is_busy() { self } else { more(self) }
    }

    /// Continues from `origin` instead of the current span, which is linked.
    pub fn parent(mut self, origin: &(impl Origin + ?Sized)) -> Self {
        if let Some(rest) = self.said() {
            rest.continue_from(origin);
        }
        self
    }

    /// Starts a new trace; the current span is linked.
    pub fn root(mut self) -> Self {
        if let Some(rest) = self.said() {
            rest.parent = Parent::Root;
        }
        self
    }

    /// Adds a link to `origin`, if that has an identity.
    pub fn link(mut self, origin: &(impl Origin + ?Sized)) -> Self {
        if let Some(rest) = self.said() {
            rest.link(origin);
        }
        self
    }

    /// Adds a link to each of `origins`.
    pub fn links<I: IntoIterator<Item: Origin>>(mut self, origins: I) -> Self {
        if let Some(rest) = self.said() {
            rest.links(origins);
        }
        self
    }

    /// Cuts the span loose from the caller: own lifetime, and the trace that it would have been in.
    pub fn detach(mut self) -> Self {
        self.detached = true;
        if let Some(rest) = self.said() {
            let (parent, _) = rest.parent();
            rest.parent = Parent::Detached(Snapshot::of(&parent).to_context());
        }
        self
    }

    /// Cuts the span loose from the caller: new trace, linked to the caller.
    pub fn detach_link(mut self) -> Self {
        if let Some(rest) = self.said() {
            rest.link(current::get().span().span_context());
        }
        self.detach_root()
    }

    /// Cuts the span loose from the caller: new trace.
    pub fn detach_root(mut self) -> Self {
        self.detached = true;
        if let Some(rest) = self.said() {
            rest.parent = Parent::Detached(Snapshot::capture().without_span().to_context());
        }
        self
    }

    /// Adds tags that leave the process. They are evaluated even if the trace is not sampled,
    /// because baggage is none of the sampler's business.
    pub fn propagate(mut self, fill: impl FnOnce(&mut Tags)) -> Self {
        let busy = Busy::begin();
        if !busy.is_nested() {
            fill(&mut self.rest().tags);
        }
        self
    }

    /// Starts the span. `fill` gives its tags, and is not called if nothing will be recorded and no
    /// tag is needed for anything else.
    #[inline]
    pub fn start(self, fill: impl FnOnce(&mut Tags)) -> Span {
        let busy = Busy::begin();
        if busy.is_nested() && !self.within {
            return without_span(self.detached);
        }
        match self.told() {
            None => self.open(fill),
            Some(told) => self.open(fill).told(told),
        }
    }

    /// Whether a failure is told besides being on the span.
    #[inline]
    fn told(&self) -> Option<Told> {
        let rest = self.rest.as_ref();
        (self.detached || self.callsite.log || rest.is_some_and(|rest| rest.log)).then(|| {
            let name = rest.and_then(|rest| rest.name.clone()).unwrap_or(Cow::Borrowed(self.callsite.name));
            Told { name, is_job: self.detached }
        })
    }

    #[inline]
    fn open(self, fill: impl FnOnce(&mut Tags)) -> Span {
        let Some(mut rest) = self.rest else {
            if let Some(quiet) = current::with(|current| is_off(current).then(|| Quiet::below(current))) {
                return Span(quiet.map_or(Scope::Off, |quiet| unrecorded(quiet, fill)));
            }
            let mut tags = Tags::of(described(self.callsite));
            fill(&mut tags);
            tags.prefer_given();
            return begin_current(self.callsite, tags);
        };
        let (parent, changed) = rest.parent();
        if is_off(&parent) {
            return rest.off(parent, changed, fill);
        }
        rest.tags.describe(described(self.callsite));
        fill(&mut rest.tags);
        rest.tags.prefer_given();
        for attribute in std::mem::take(&mut rest.described) {
            // What the user says of the message goes before what the message says.
            if !rest.tags.sets(&attribute.key) {
                rest.tags.own.push(attribute);
            }
        }
        rest.begin(self.callsite, &parent, changed)
    }
}

impl Rest {
    pub(crate) fn named(name: Cow<'static, str>) -> Self {
        Self { name: Some(name), ..Self::default() }
    }

    pub(crate) fn continue_from(&mut self, origin: &(impl Origin + ?Sized)) {
        let given = origin.origin();
        if !is_off(&given) {
            origin.describe(&mut self.described);
        }
        self.parent = Parent::Given(given);
    }

    pub(crate) fn link(&mut self, origin: &(impl Origin + ?Sized)) {
        let mut described = Vec::new();
        origin.describe(&mut described);
        self.add_link(&origin.origin(), described);
    }

    pub(crate) fn links<I: IntoIterator<Item: Origin>>(&mut self, origins: I) {
        let (mut messages, mut shared) = (0_i64, Vec::new());
        for origin in origins {
            let mut described = Vec::new();
            origin.describe(&mut described);
            if origin.is_message() {
                if messages == 0 {
                    shared.extend(described.iter().filter(|it| is_of_batch(it.key.as_str())).cloned());
                } else {
                    shared.retain(|attribute| described.contains(attribute));
                }
                messages += 1;
            }
            self.add_link(&origin.origin(), described);
        }
        if messages > 0 {
            self.described.push(KeyValue::new("messaging.batch.message_count", messages));
            self.described.append(&mut shared);
        }
    }

    fn add_link(&mut self, context: &Context, described: Vec<KeyValue>) {
        let span = context.span();
        if span.span_context().is_valid() {
            self.links.push(Link::new(span.span_context().clone(), described, 0));
        }
    }

    /// The context the span starts below, and whether it is another than the current one.
    fn parent(&mut self) -> (Context, bool) {
        match std::mem::take(&mut self.parent) {
            Parent::Current => (current::get(), false),
            Parent::Root => {
                let current = current::get();
                add_current_link(&mut self.links, &current, &SpanContext::NONE);
                (Snapshot::of(&current).without_span().to_context(), true)
            }
            Parent::Given(context) => {
                let parent = context.span().span_context().clone();
                current::with(|current| add_current_link(&mut self.links, current, &parent));
                (sent_where_current(context), true)
            }
            Parent::Detached(context) => (context, true),
        }
    }

    /// No span, but what was asked for besides.
    fn off(mut self, parent: Context, changed: bool, fill: impl FnOnce(&mut Tags)) -> Span {
        if let Some(quiet) = Quiet::below(&parent) {
            self.tags.be_quiet(quiet);
            fill(&mut self.tags);
        }
        Span(match self.tags.enrich(&parent) {
            Some(enriched) => Scope::Within(enriched),
            None if changed => Scope::Within(parent),
            None => Scope::Off,
        })
    }

    fn begin(self, callsite: &Callsite, parent: &Context, changed: bool) -> Span {
        let name = self.name.unwrap_or(Cow::Borrowed(callsite.name));
        let kind = self.kind.unwrap_or_else(|| callsite.kind.clone());
        let links = (!self.links.is_empty()).then_some(self.links);
        #[cfg(feature = "http")]
        let _wanted = self.trace_id.map(tracer::want);
        begin(callsite, name, kind, links, self.tags, parent, changed)
    }
}

/// What the conventions for messaging give to a span of many messages, if it is the same for all.
fn is_of_batch(key: &str) -> bool {
    const SHARED: [&str; 6] = ["system", "operation.", "destination.", "consumer.", "client.", "rocketmq.namespace"];
    key.strip_prefix("messaging.").is_some_and(|key| SHARED.iter().any(|start| key.starts_with(start)))
        || key.starts_with("server.")
}

/// What is current where nothing is recorded, but tags are needed.
#[cold]
fn unrecorded(quiet: Quiet, fill: impl FnOnce(&mut Tags)) -> Scope {
    let mut tags = Tags::quiet(quiet);
    fill(&mut tags);
    // Most functions have none, and then the context is not needed.
    if tags.scoped.is_empty() {
        return Scope::Off;
    }
    tags.enrich(&current::get()).map_or(Scope::Off, Scope::Within)
}

/// What is given in place of a span to code that telemetry has called. In a detached job nothing is
/// recorded: its spans would be roots, for which telemetry would be called again, without end.
#[cold]
pub(crate) fn without_span(detached: bool) -> Span {
    Span(if detached { Scope::Within(Context::new().with_telemetry_suppressed()) } else { Scope::Off })
}

/// The common case: a child of the current span.
#[inline(never)]
fn begin_current(callsite: &Callsite, tags: Tags) -> Span {
    // A clone: samplers and span processors may make a context current.
    let current = current::get();
    begin(callsite, Cow::Borrowed(callsite.name), callsite.kind.clone(), None, tags, &current, false)
}

/// Starts a span below `parent`. `changed`: the parent's context is not the current one, and has to
/// be made current even without a span.
#[inline]
fn begin(
    callsite: &Callsite,
    name: Cow<'static, str>,
    kind: SpanKind,
    links: Option<Vec<Link>>,
    mut tags: Tags,
    parent: &Context,
    changed: bool,
) -> Span {
    let ambient = Ambient::of(parent);
    let enriched = tags.finish(parent, ambient.map_or(&[][..], |ambient| &ambient.tags));
    #[cfg(feature = "otlp")]
    let listed = crate::span::registry::is_listed().then(|| name.clone());
    let (given, missing) = (Given::among(tags.given()), tags.take_missing());
    // Not set one by one, which would drop what was there.
    let builder =
        SpanBuilder { name, span_kind: Some(kind), attributes: Some(tags.own), links, ..SpanBuilder::default() };

    let base = enriched.as_ref().unwrap_or(parent);
    let source = ambient.and_then(|ambient| ambient.source.as_ref());
    let started = match source {
        Some(source) => source.start(builder, base),
        None => tracer::start(builder, base),
    };
    let Some(context) = started else {
        return Span(match enriched {
            Some(enriched) => Scope::Within(enriched),
            None if changed => Scope::Within(parent.clone()),
            None => Scope::Off,
        });
    };
    let span = context.span();
    // A sampled span records; one that is not sampled may.
    if !span.span_context().is_sampled() && !span.is_recording() {
        return Span(Scope::Within(context));
    }
    if !missing.is_empty() {
        report_missing(&missing, &context);
    }
    #[cfg(feature = "otlp")]
    let ticket = listed.and_then(|name| crate::span::registry::list(&context, name, callsite.place));
    Span(Scope::Open(Open {
        context,
        done: false,
        cancel: callsite.cancel,
        given,
        told: None,
        #[cfg(feature = "otlp")]
        ticket,
    }))
}

/// The attributes that every span has, with room for those of its function.
fn described(callsite: &Callsite) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(Callsite::ATTRIBUTES + TYPICAL_TAGS);
    callsite.describe(&mut attributes);
    attributes
}

/// Room for the tags of one function, so that they are allocated once.
const TYPICAL_TAGS: usize = 3;

/// Whether nothing below `parent` is recorded: it is a local span that is not sampled, or
/// telemetry is suppressed.
#[inline]
pub(crate) fn is_off(parent: &Context) -> bool {
    if parent.is_telemetry_suppressed() {
        return true;
    }
    if !parent.has_active_span() {
        return false;
    }
    let span = parent.span();
    let span = span.span_context();
    !span.is_sampled() && !span.is_remote() && span.is_valid()
}

/// `context`, but spans below it go where those of the current one go: nowhere, if telemetry is
/// suppressed.
fn sent_where_current(context: Context) -> Context {
    let current = current::get();
    let context = data::with_source_of(&current, context);
    if current.is_telemetry_suppressed() { context.with_telemetry_suppressed() } else { context }
}

fn add_current_link(links: &mut Vec<Link>, current: &Context, parent: &SpanContext) {
    let span = current.span();
    let span = span.span_context();
    if span.is_valid() && (span.span_id() != parent.span_id() || span.trace_id() != parent.trace_id()) {
        links.push(Link::with_context(span.clone()));
    }
}

/// Tells that a required tag has no value: an event on the span, and a count.
pub(crate) fn report_missing(keys: &[&'static str], context: &Context) {
    for key in keys {
        context.span().add_event("throughline.tag.missing", vec![KeyValue::new("throughline.tag.key", *key)]);
        // Asked anew each time: an instrument made before the meter provider is set stays silent.
        global::meter("throughline")
            .u64_counter("throughline.tags.missing")
            .with_unit("{tag}")
            .with_description("Required tags that had no value")
            .build()
            .add(1, &[KeyValue::new("throughline.tag.key", *key)]);
    }
}

/// A span that has started, on its way to the code it is for. Dropped before that, it ends as
/// cancelled.
#[derive(Debug)]
#[must_use]
pub struct Span(pub(crate) Scope);

impl Span {
    /// A job without a span, in the context that it takes along.
    #[cfg(feature = "tokio")]
    pub(crate) fn carried(context: Context, told: Told) -> Self {
        Self(Scope::Told(context, Some(told)))
    }

    /// Lets a failure be told, whether there is a span or not.
    #[cold]
    fn told(self, told: Told) -> Self {
        Self(match self.0 {
            Scope::Off => Scope::Told(current::get(), Some(told)),
            Scope::Within(context) | Scope::Told(context, _) => Scope::Told(context, Some(told)),
            Scope::Open(mut open) => {
                open.told = Some(told);
                Scope::Open(open)
            }
        })
    }

    /// The name of the job that this is for.
    #[cfg(feature = "tokio")]
    pub(crate) fn job_name(&self) -> &str {
        let told = match &self.0 {
            Scope::Told(_, told) => told,
            Scope::Open(open) => &open.told,
            Scope::Off | Scope::Within(_) => &None,
        };
        told.as_ref().map_or("", |told| &told.name)
    }
}

/// What transports need besides: they end spans at other places than the end of a call.
#[cfg(any(feature = "propagation", feature = "sql"))]
#[cfg_attr(
    not(feature = "full"),
    allow(dead_code, reason = "each transport uses some of it, and any choice of them compiles")
)]
impl Span {
    /// No span.
    pub(crate) const OFF: Self = Self(Scope::Off);

    /// The context that is current in the span.
    pub(crate) fn context(&self) -> Context {
        self.0.context().cloned().unwrap_or_else(current::get)
    }

    /// Whether there is a span that has not ended, so that attributes are worth computing.
    pub(crate) fn is_open(&self) -> bool {
        matches!(&self.0, Scope::Open(open) if !open.done)
    }

    /// Makes the span current until the guard is dropped.
    pub(crate) fn attach(&self) -> Option<Attached> {
        self.0.attach()
    }

    /// Ends the span, if it has not ended.
    pub(crate) fn finish(&mut self, outcome: impl FnOnce() -> Outcome) {
        self.0.finish(outcome);
    }
}

/// What is current while the code of a span runs.
#[derive(Debug)]
pub(crate) enum Scope {
    /// Whatever was current before: nothing is recorded here.
    Off,
    /// A context without a span to end.
    Within(Context),
    /// A context without a span to end, and whose failure is told all the same.
    Told(Context, Option<Told>),
    /// The context of a span that has to be ended.
    Open(Open),
}

impl Scope {
    pub(crate) fn context(&self) -> Option<&Context> {
        match self {
            Self::Off => None,
            Self::Within(context) | Self::Told(context, _) => Some(context),
            Self::Open(open) => Some(&open.context),
        }
    }

    pub(crate) fn attach(&self) -> Option<Attached> {
        self.context().cloned().map(current::attach)
    }

    /// Writes the failure of one part of the work; the span goes on.
    pub(crate) fn note(&self, outcome: impl FnOnce() -> Outcome) {
        match self {
            Self::Open(open) => {
                let _busy = Busy::begin();
                let outcome = outcome();
                let failed = open.told.clone().and_then(|told| outcome.told(told));
                outcome.note(&open.context, open.given);
                if let Some(failed) = failed {
                    failed.tell(&open.context);
                }
            }
            Self::Told(context, Some(told)) => {
                let _busy = Busy::begin();
                if let Some(failed) = outcome().told(told.clone()) {
                    failed.tell(context);
                }
            }
            _ => {}
        }
    }

    /// Records how long the work has waited to begin.
    pub(crate) fn queued_since(&self, spawned: Instant) {
        if let Self::Open(open) = self {
            if open.given.has(Given::QUEUE_TIME) {
                return;
            }
            let waited = i64::try_from(spawned.elapsed().as_micros()).unwrap_or(i64::MAX);
            open.context.span().set_attribute(KeyValue::new(outcome::QUEUE_TIME, waited));
        }
    }

    /// Ends the span, if there is one that has not ended, and tells a failure that is to be told.
    /// `outcome` is not called otherwise.
    pub(crate) fn finish(&mut self, outcome: impl FnOnce() -> Outcome) {
        match self {
            Self::Open(open) if !open.done => {
                let _busy = Busy::begin();
                let outcome = outcome();
                open.done();
                match open.told.take() {
                    None => outcome.end(&open.context, open.given),
                    Some(told) => outcome.end_and_tell(told, &open.context, open.given),
                }
            }
            Self::Told(context, told) => {
                let _busy = Busy::begin();
                if let Some(failed) = told.take().and_then(|told| outcome().told(told)) {
                    failed.tell(context);
                }
            }
            _ => {}
        }
    }
}

/// A span that has to be ended. Dropping it before it is finished means that the work was given
/// up.
#[derive(Debug)]
pub(crate) struct Open {
    context: Context,
    done: bool,
    /// Whether being given up is recorded.
    cancel: bool,
    /// What was said of it in advance.
    given: Given,
    /// Who tells a failure, if it is to be told.
    told: Option<Told>,
    /// Its place among the open spans.
    #[cfg(feature = "otlp")]
    ticket: Option<crate::span::registry::Ticket>,
}

impl Open {
    /// Nobody is to end it any more.
    fn done(&mut self) {
        self.done = true;
        #[cfg(feature = "otlp")]
        if let Some(ticket) = self.ticket.take() {
            ticket.give_back(&self.context);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.done {
            let _busy = Busy::begin();
            self.done();
            outcome::cancel(&self.context, self.cancel && !self.given.has(Given::CANCELLED));
        }
    }
}
