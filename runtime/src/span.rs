//! Opens spans. The one place that decides on parent, links, attributes and context.

use std::borrow::Cow;
use std::time::Instant;

use opentelemetry::trace::{Link, SpanBuilder, SpanContext, SpanKind, TraceContextExt as _};
use opentelemetry::{Context, ContextGuard, KeyValue, global};

use crate::ambient::{self, Ambient};
use crate::callsite::Callsite;
use crate::origin::Origin;
use crate::outcome::{self, Outcome};
use crate::snapshot::Snapshot;
use crate::source;
use crate::tags::Tags;

/// A span that is about to start.
#[derive(Debug)]
#[must_use]
pub struct Opening<'a> {
    callsite: &'a Callsite,
    name: Option<Cow<'static, str>>,
    kind: Option<SpanKind>,
    parent: Parent,
    links: Vec<Link>,
    tags: Tags,
}

#[derive(Debug)]
enum Parent {
    /// The current span.
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
        Self { callsite, name: None, kind: None, parent: Parent::Current, links: Vec::new(), tags: Tags::default() }
    }

    pub(crate) fn name(&mut self, name: Cow<'static, str>) {
        self.name = Some(name);
    }

    pub(crate) fn kind(&mut self, kind: SpanKind) {
        self.kind = Some(kind);
    }

    /// Continues from `origin` instead of the current span, which is linked.
    pub fn parent(mut self, origin: &(impl Origin + ?Sized)) -> Self {
        let given = Context::map_current(|current| ambient::with_source_of(current, origin.origin()));
        self.parent = Parent::Given(given);
        self
    }

    /// Starts a new trace; the current span is linked.
    pub fn root(mut self) -> Self {
        self.parent = Parent::Root;
        self
    }

    /// Adds a link to `origin`, if that has an identity.
    pub fn link(mut self, origin: &(impl Origin + ?Sized)) -> Self {
        self.add_link(origin.origin().span().span_context());
        self
    }

    /// Adds a link to each of `origins`.
    pub fn links<I>(mut self, origins: I) -> Self
    where
        I: IntoIterator,
        I::Item: Origin,
    {
        for origin in origins {
            self.add_link(origin.origin().span().span_context());
        }
        self
    }

    fn add_link(&mut self, span: &SpanContext) {
        if span.is_valid() {
            self.links.push(Link::with_context(span.clone()));
        }
    }

    /// Cuts the span loose from the caller: same trace, own lifetime.
    pub fn detach(mut self) -> Self {
        self.parent = Parent::Detached(match self.parent {
            Parent::Given(context) => Snapshot::of(&context).to_context(),
            _ => Snapshot::capture().to_context(),
        });
        self
    }

    /// Cuts the span loose from the caller: new trace, linked to the caller.
    pub fn detach_link(mut self) -> Self {
        Context::map_current(|current| self.add_link(current.span().span_context()));
        self.detach_root()
    }

    /// Cuts the span loose from the caller: new trace.
    pub fn detach_root(mut self) -> Self {
        self.parent = Parent::Detached(Snapshot::capture().without_span().to_context());
        self
    }

    /// Adds tags that leave the process. They are evaluated even if the trace is not sampled,
    /// because baggage is none of the sampler's business.
    pub fn propagate(mut self, fill: impl FnOnce(&mut Tags)) -> Self {
        fill(&mut self.tags);
        self
    }

    /// Starts the span. `fill` gives its tags, and is not called if nothing will be recorded.
    #[inline]
    pub fn start(self, fill: impl FnOnce(&mut Tags)) -> Span {
        if matches!(self.parent, Parent::Current) && self.tags.baggage.is_empty() && Context::map_current(is_off) {
            return Span(Scope::Off);
        }
        let mut fill = Some(fill);
        self.begin(&mut |tags| {
            if let Some(fill) = fill.take() {
                fill(tags);
            }
        })
    }

    #[inline(never)]
    fn begin(mut self, fill: &mut dyn FnMut(&mut Tags)) -> Span {
        let mut plain = false;
        let parent = match self.parent {
            Parent::Current => {
                plain = true;
                Context::current()
            }
            Parent::Root => {
                let current = Context::current();
                add_current_link(&mut self.links, &current, &SpanContext::NONE);
                Snapshot::of(&current).without_span().to_context()
            }
            Parent::Given(context) => {
                Context::map_current(|current| add_current_link(&mut self.links, current, context.span().span_context()));
                context
            }
            Parent::Detached(context) => context,
        };
        if is_off(&parent) {
            let changed = !plain || !self.tags.baggage.is_empty();
            return Span(if changed { Scope::Within(self.tags.enrich(parent)) } else { Scope::Off });
        }

        fill(&mut self.tags);
        let mut attributes = self.tags.attributes(&parent, Callsite::ATTRIBUTES);
        self.callsite.describe(&mut attributes);
        let mut builder = SpanBuilder::from_name(self.name.unwrap_or(Cow::Borrowed(self.callsite.name)));
        builder.span_kind = Some(self.kind.unwrap_or_else(|| self.callsite.kind.clone()));
        builder.attributes = Some(attributes);
        if !self.links.is_empty() {
            builder.links = Some(self.links);
        }

        let changed = !plain || !self.tags.scoped.is_empty() || !self.tags.baggage.is_empty();
        let base = self.tags.enrich(parent);
        let source = Ambient::of(&base).and_then(|ambient| ambient.source.as_ref());
        let started = match source {
            Some(source) => source.start(builder, &base),
            None => source::start(builder, &base),
        };
        let Some(context) = started else {
            return Span(if changed { Scope::Within(base) } else { Scope::Off });
        };
        if !context.span().is_recording() {
            return Span(Scope::Within(context));
        }
        report_missing(&self.tags.missing, &context);
        Span(Scope::Open(Open { context, done: false }))
    }
}

/// Whether nothing below `parent` is recorded: it is a local span that is not sampled, or
/// telemetry is suppressed.
#[inline]
fn is_off(parent: &Context) -> bool {
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
        context.span().add_event("tag.missing", vec![KeyValue::new("tag.key", *key)]);
        // Asked anew each time: an instrument made before the meter provider is set stays silent.
        global::meter("throughline")
            .u64_counter("throughline.tags.missing")
            .with_description("Required tags that had no value")
            .build()
            .add(1, &[KeyValue::new("tag.key", *key)]);
    }
}

/// A span that has started, on its way to the code it is for. Dropped before that, it ends as
/// cancelled.
#[derive(Debug)]
#[must_use]
pub struct Span(pub(crate) Scope);

/// What is current while the code of a span runs.
#[derive(Debug)]
pub(crate) enum Scope {
    /// Whatever was current before: nothing is recorded here.
    Off,
    /// A context without a span to end.
    Within(Context),
    /// The context of a span that has to be ended.
    Open(Open),
}

impl Scope {
    pub(crate) fn context(&self) -> Option<&Context> {
        match self {
            Self::Off => None,
            Self::Within(context) => Some(context),
            Self::Open(open) => Some(&open.context),
        }
    }

    pub(crate) fn attach(&self) -> Option<ContextGuard> {
        self.context().cloned().map(Context::attach)
    }

    /// Writes the failure of one part of the work; the span goes on.
    pub(crate) fn note(&self, outcome: impl FnOnce() -> Outcome) {
        if let Self::Open(open) = self {
            outcome().note(&open.context);
        }
    }

    /// Records how long the work has waited to begin.
    pub(crate) fn queued_since(&self, spawned: Instant) {
        if let Self::Open(open) = self {
            let waited = i64::try_from(spawned.elapsed().as_micros()).unwrap_or(i64::MAX);
            open.context.span().set_attribute(KeyValue::new("job.queue_time_us", waited));
        }
    }

    /// Ends the span, if there is one. `outcome` is not called otherwise.
    pub(crate) fn finish(&mut self, outcome: impl FnOnce() -> Outcome) {
        if matches!(self, Self::Open(_)) {
            let outcome = outcome();
            if let Self::Open(open) = std::mem::replace(self, Self::Off) {
                open.finish(outcome);
            }
        }
    }
}

/// A span that has to be ended. Dropping it before it is finished means that the work was given
/// up.
#[derive(Debug)]
pub(crate) struct Open {
    context: Context,
    done: bool,
}

impl Open {
    fn finish(mut self, outcome: Outcome) {
        self.done = true;
        outcome.end(&self.context);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.done {
            outcome::cancel(&self.context);
        }
    }
}
