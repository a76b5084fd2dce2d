//! Spans that are about to start: the one place that decides on parent, links, attributes and context.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::future::Future;
use std::panic::Location;

use futures_core::Stream;
use opentelemetry::trace::{Link, SpanContext, SpanKind, TraceContextExt as _, TraceId};
use opentelemetry::{Context, KeyValue, Value};

use crate::context::current;
use crate::context::data;
use crate::context::origin::Origin;
use crate::context::snapshot::Snapshot;
use crate::guard::panics::caught;
use crate::guard::reentrance::{Busy, is_busy};
use crate::semconv;
use crate::span::callsite::Callsite;
use crate::span::failure::Told;
use crate::span::handle::{self, Scope, Span, Start, is_off};
use crate::span::instrumented::{Instrumented, Unobserved};
use crate::span::outcome::Outcome;
use crate::span::tracer;
use crate::tags::set::{Quiet, Tag, Tags};
use crate::tags::value::TagValue;

/// Runs `f` in a span. What [`#[traced]`](macro@crate::traced) is for a function, this is for a
/// block.
///
/// A panic is recorded and unwinds on. An `Err` is not seen, because a generic function does not
/// know what `R` is: use [`try_in_span`] for a `Result`.
///
/// ```
/// let total = throughline::in_span("add_up", || 40 + 2);
/// assert_eq!(total, 42);
/// ```
#[track_caller]
#[inline]
pub fn in_span<R>(name: impl Into<Cow<'static, str>>, f: impl FnOnce() -> R) -> R {
    span(name).run(f)
}

/// Runs `f` in a span that records its error.
///
/// # Errors
///
/// What `f` returns.
///
/// ```
/// let parsed = throughline::try_in_span("parse", || "42".parse::<u32>());
/// assert_eq!(parsed, Ok(42));
/// ```
#[track_caller]
#[inline]
pub fn try_in_span<T, E: Display>(
    name: impl Into<Cow<'static, str>>,
    f: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    span(name).try_run(f)
}

/// Runs a future in a span, which starts at the first poll and ends with the future. Dropping the
/// future half-way marks the span `throughline.cancelled`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let total = throughline::in_span_async("add_up", async { 40 + 2 }).await;
/// assert_eq!(total, 42);
/// # }
/// ```
#[track_caller]
pub fn in_span_async<F: Future>(name: impl Into<Cow<'static, str>>, future: F) -> impl Future<Output = F::Output> {
    span(name).run_async(future)
}

/// Runs a future in a span that records its error; otherwise like [`in_span_async`].
#[track_caller]
pub fn try_in_span_async<F, T, E>(name: impl Into<Cow<'static, str>>, future: F) -> impl Future<Output = Result<T, E>>
where
    F: Future<Output = Result<T, E>>,
    E: Display,
{
    span(name).try_run_async(future)
}

/// A span for a block of code, with more to say about it than its name.
///
/// ```
/// use throughline::SpanKind;
///
/// let rows = throughline::span("SELECT orders")
///     .kind(SpanKind::Client)
///     .tag("db.system.name", "mariadb")
///     .run(|| 3);
/// assert_eq!(rows, 3);
/// ```
#[track_caller]
#[inline]
pub fn span(name: impl Into<Cow<'static, str>>) -> SpanBuilder {
    SpanBuilder::new(name).placed(Location::caller())
}

/// A span that is about to start: its name, kind, attributes, parent and links.
///
/// [`span`] makes one for a block of code, and `#[traced]` for a function. An integration makes one with
/// [`SpanBuilder::new`], which records no place in the source: there is no code of the user's to point at.
///
/// Nothing happens before one of the `run`, `start`, `stream` or `spawn` methods is called. [`start`](Self::start)
/// and [`start_with`](Self::start_with) give the [`Span`] itself, for work that is neither a closure nor a
/// future.
///
/// A span that starts while telemetry itself is at work on this thread, in the `Display` of a tag for example,
/// is not recorded: it would be recorded in turn by the code that it calls.
#[must_use = "a span starts when it is run"]
pub struct SpanBuilder {
    callsite: &'static Callsite,
    name: Option<Cow<'static, str>>,
    place: Option<&'static Location<'static>>,
    kind: Option<SpanKind>,
    /// Most spans are children of the current one and need nothing else, so the rest is kept out of the way.
    more: Option<Box<More>>,
    /// Whether it is that of a detached job.
    detached: bool,
    /// Whether an error is logged.
    log: bool,
    cancel_off: bool,
}

#[derive(Debug, Default)]
struct More {
    parent: Parent,
    /// The id of the trace, if this span begins one.
    trace_id: Option<TraceId>,
    links: Vec<Link>,
    /// What leaves the process.
    propagated: Tags,
    own: Vec<(&'static str, Option<Value>)>,
    scoped: Vec<(&'static str, Option<Value>)>,
    /// What the parent and the links tell of themselves.
    described: Vec<KeyValue>,
}

#[derive(Debug, Default)]
enum Parent {
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

/// The callsite of spans that have none.
static NOWHERE: Callsite = Callsite::nowhere();

impl SpanBuilder {
    /// A span with a name of low cardinality, and no place in the source.
    #[inline]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self { name: Some(name.into()), ..Self::at(&NOWHERE) }
    }

    /// A span of the function at `callsite`.
    #[inline]
    pub(crate) const fn at(callsite: &'static Callsite) -> Self {
        Self {
            callsite,
            name: None,
            place: None,
            kind: None,
            more: None,
            detached: false,
            log: false,
            cancel_off: false,
        }
    }

    /// With a place in the source.
    #[inline]
    pub(crate) fn placed(mut self, place: &'static Location<'static>) -> Self {
        self.place = Some(place);
        self
    }

    /// Where to note what is said of the span; `None` if telemetry is at work on this thread, so that there
    /// will be no span.
    fn more(&mut self) -> Option<&mut More> {
        (!is_busy()).then(|| &mut **self.more.get_or_insert_default())
    }

    fn set(mut self, set: impl FnOnce(&mut More)) -> Self {
        if let Some(more) = self.more() {
            set(more);
        }
        self
    }

    /// Sets the span kind; `Internal` if not set.
    pub fn kind(mut self, kind: SpanKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Adds an attribute of this span alone. The last value of a key counts.
    pub fn tag(self, key: &'static str, value: impl TagValue) -> Self {
        let value = converted(value);
        self.set(|more| replace(&mut more.own, key, value))
    }

    /// Adds an attribute of this span and of all below it. The last value of a key counts.
    pub fn biz_tag(self, key: &'static str, value: impl TagValue) -> Self {
        let value = converted(value);
        self.set(|more| replace(&mut more.scoped, key, value))
    }

    /// Being dropped half-way is a normal end: the span is not marked `throughline.cancelled`. For branches of a
    /// `select!` that are meant to lose, and jobs that are meant to be aborted.
    pub fn cancel_off(mut self) -> Self {
        self.cancel_off = true;
        self
    }

    /// Continues from `origin` instead of the current span, which is linked. An origin without an
    /// identity makes this the entry span of a new trace.
    pub fn parent<M>(self, origin: &(impl Origin<M> + ?Sized)) -> Self {
        self.set(|more| more.continue_from(origin))
    }

    /// Starts a new trace; the current span is linked.
    pub fn root(self) -> Self {
        self.set(|more| more.parent = Parent::Root)
    }

    /// Adds a link to `origin`, if that has an identity.
    pub fn link<M>(self, origin: &(impl Origin<M> + ?Sized)) -> Self {
        self.set(|more| more.link(origin))
    }

    /// Adds a link to each of `origins`, such as the messages of a batch.
    pub fn links<M, I: IntoIterator<Item: Origin<M>>>(self, origins: I) -> Self {
        self.set(|more| more.links(origins))
    }

    /// Writes an ERROR event of `tracing` for an error, sampled or not: what `err = log` is for a
    /// function. Heard by the methods that see errors: `try_run` and `try_run_async`. Detached jobs
    /// always log their failures.
    pub fn log_errors(mut self) -> Self {
        self.log = true;
        self
    }

    /// Asks for `id` as the id of the trace, if the span begins one.
    ///
    /// OpenTelemetry's API has no way to say it, so only
    /// [`RequestIdGenerator`](https://docs.rs/throughline/latest/throughline/telemetry/struct.RequestIdGenerator.html)
    /// hears it, which `throughline::init` sets up. With another id generator the trace has another id.
    pub fn trace_id(self, id: TraceId) -> Self {
        self.set(|more| more.trace_id = Some(id))
    }

    /// Cuts the span loose from the caller: a lifetime of its own, in the trace that it would have been in. It
    /// may outlive the current span, which is not kept open for it.
    ///
    /// The `spawn` methods do this by themselves.
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self.set(|more| {
            let (parent, _) = more.parent();
            more.parent = Parent::Detached(Snapshot::of(&parent).to_context());
        })
    }

    /// Detached, in a new trace that is linked to the current span.
    #[doc(hidden)]
    pub fn detached_link(self) -> Self {
        self.set(|more| more.link(current::get().span().span_context())).detached_root()
    }

    /// Detached, in a new trace.
    #[doc(hidden)]
    pub fn detached_root(mut self) -> Self {
        self.detached = true;
        self.set(|more| more.parent = Parent::Detached(Snapshot::capture().without_span().to_context()))
    }

    /// Says more about the span, in a step of its own.
    #[doc(hidden)]
    pub fn with(self, more: impl FnOnce(Self) -> Self) -> Self {
        if is_busy() { self } else { more(self) }
    }

    /// Adds tags that leave the process. They are evaluated even if the trace is not sampled, because
    /// baggage is none of the sampler's business.
    ///
    /// For integrations, whose tags have modifiers ([`Tag`]); [`biz_tag`](Self::biz_tag) is for the others.
    pub fn propagate(mut self, fill: impl FnOnce(&mut Tags)) -> Self {
        let busy = Busy::begin();
        if !busy.is_nested() {
            fill(&mut self.more.get_or_insert_default().propagated);
        }
        self
    }

    /// Starts the span.
    pub fn start(self) -> Span {
        self.start_with(|_| {})
    }

    /// Starts the span. `fill` gives its attributes, before the sampler is asked; it is not called if nothing
    /// will be recorded and no tag is needed for anything else.
    ///
    /// ```
    /// use throughline::{Outcome, SpanBuilder, SpanKind};
    ///
    /// let size = std::net::Ipv4Addr::LOCALHOST;
    /// let mut span = SpanBuilder::new("resolve").kind(SpanKind::Client).start_with(|tags| {
    ///     tags.attribute("dns.question.name", "orders.internal");
    ///     tags.attribute("network.peer.address", size.to_string());
    /// });
    /// let found = span.in_scope(|| 1);
    /// span.end(|| Outcome::ok().attribute("dns.answers.count", found));
    /// ```
    #[inline]
    pub fn start_with(self, fill: impl FnOnce(&mut Tags)) -> Span {
        let busy = Busy::begin();
        if busy.is_nested() {
            return handle::without_span(self.detached);
        }
        match self.told() {
            None => self.open(fill),
            Some(told) => self.open(fill).told(told),
        }
    }

    /// Whether a failure is told besides being on the span.
    #[inline]
    fn told(&self) -> Option<Told> {
        (self.detached || self.log || self.callsite.log).then(|| {
            let name = self.name.clone().unwrap_or(Cow::Borrowed(self.callsite.name));
            Told { name, is_job: self.detached }
        })
    }

    #[inline]
    fn open(self, fill: impl FnOnce(&mut Tags)) -> Span {
        if self.more.is_none() {
            if let Some(quiet) = current::with(|current| is_off(current).then(|| Quiet::below(current))) {
                return Span(quiet.map_or(Scope::Off, |quiet| handle::unrecorded(quiet, fill)));
            }
        }
        let mut start = Start {
            name: self.name.unwrap_or(Cow::Borrowed(self.callsite.name)),
            kind: self.kind.unwrap_or_else(|| self.callsite.kind.clone()),
            links: None,
            #[cfg(feature = "otlp")]
            place: self.callsite.place.or(self.place),
            cancel: self.callsite.cancel && !self.cancel_off,
        };
        let Some(mut more) = self.more else {
            let mut tags = Tags::of(self.callsite.described(self.place));
            fill(&mut tags);
            tags.prefer_given();
            return handle::begin_current(start, tags);
        };
        if more.is_plain() && current::with(|current| is_off(current) && Quiet::below(current).is_none()) {
            return Span(Scope::Off);
        }
        let (parent, changed) = more.parent();
        if is_off(&parent) {
            return more.off(parent, changed, fill);
        }
        more.propagated.describe(self.callsite.described(self.place));
        more.fill(fill);
        more.propagated.prefer_given();
        for attribute in std::mem::take(&mut more.described) {
            // What the user says of the message goes before what the message says.
            if !more.propagated.sets(&attribute.key) {
                more.propagated.own.push(attribute);
            }
        }
        start.links = (!more.links.is_empty()).then_some(more.links);
        let _wanted = more.trace_id.map(tracer::want);
        handle::begin(start, more.propagated, &parent, changed)
    }

    /// The name of the span.
    #[cfg(feature = "tokio")]
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    /// Runs `f` in the span.
    pub fn run<R>(self, f: impl FnOnce() -> R) -> R {
        self.start().run(f, |_| Outcome::ok())
    }

    /// Runs `f` in the span, and records its error.
    ///
    /// # Errors
    ///
    /// What `f` returns.
    pub fn try_run<T, E: Display>(self, f: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.start().run(f, Outcome::of_told_result)
    }

    /// Runs the future in the span, which starts at the first poll.
    pub async fn run_async<F: Future>(self, future: F) -> F::Output {
        let instrumented = self.start().run_async(future, |_: &F::Output| Outcome::ok());
        instrumented.await
    }

    /// Runs the future in the span, which starts at the first poll, and records its error.
    ///
    /// # Errors
    ///
    /// What the future returns.
    pub async fn try_run_async<F, T, E>(self, future: F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: Display,
    {
        let instrumented = self.start().run_async(future, Outcome::of_told_result);
        instrumented.await
    }

    /// Runs the stream in the span, which starts now and ends when the stream ends or is dropped.
    pub fn stream<S: Stream>(self, stream: S) -> Instrumented<S> {
        self.start().instrument(stream, Unobserved)
    }
}

impl fmt::Debug for SpanBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().unwrap_or(self.callsite.name);
        let kind = self.kind.as_ref().unwrap_or(&self.callsite.kind);
        f.debug_struct("SpanBuilder").field("name", &name).field("kind", kind).finish_non_exhaustive()
    }
}

/// The value of a tag, unless telemetry is at work on this thread: then there will be no span.
fn converted(value: impl TagValue) -> Option<Value> {
    let busy = Busy::begin();
    if busy.is_nested() { None } else { caught(|| value.tag_value()).flatten() }
}

/// The last value counts.
fn replace(tags: &mut Vec<(&'static str, Option<Value>)>, key: &'static str, value: Option<Value>) {
    tags.retain(|(known, _)| *known != key);
    tags.push((key, value));
}

impl More {
    /// Whether nothing is asked for that also concerns what is not recorded.
    fn is_plain(&self) -> bool {
        matches!(self.parent, Parent::Current) && self.propagated.is_empty()
    }

    fn continue_from<M>(&mut self, origin: &(impl Origin<M> + ?Sized)) {
        let given = origin.origin();
        if !is_off(&given) {
            origin.describe(&mut self.described);
        }
        self.parent = Parent::Given(given);
    }

    fn link<M>(&mut self, origin: &(impl Origin<M> + ?Sized)) {
        let mut described = Vec::new();
        origin.describe(&mut described);
        self.add_link(&origin.origin(), described);
    }

    fn links<M, I: IntoIterator<Item: Origin<M>>>(&mut self, origins: I) {
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
            self.described.push(KeyValue::new(semconv::MESSAGING_BATCH_MESSAGE_COUNT, messages));
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

    /// Adds the tags that were given one by one, and those of `fill`.
    fn fill(&mut self, fill: impl FnOnce(&mut Tags)) {
        for (key, value) in std::mem::take(&mut self.own) {
            self.propagated.add(key, || Tag::new(value));
        }
        for (key, value) in std::mem::take(&mut self.scoped) {
            self.propagated.scope(key, || Tag::new(value));
        }
        fill(&mut self.propagated);
    }

    /// No span, but what was asked for besides.
    fn off(mut self, parent: Context, changed: bool, fill: impl FnOnce(&mut Tags)) -> Span {
        if let Some(quiet) = Quiet::below(&parent) {
            self.propagated.be_quiet(quiet);
            self.fill(fill);
        }
        Span(match self.propagated.enrich(&parent) {
            Some(enriched) => Scope::Within(enriched),
            None if changed => Scope::Within(parent),
            None => Scope::Off,
        })
    }
}

/// What the conventions for messaging give to a span of many messages, if it is the same for all.
fn is_of_batch(key: &str) -> bool {
    const SHARED: [&str; 6] = ["system", "operation.", "destination.", "consumer.", "client.", "rocketmq.namespace"];
    key.strip_prefix("messaging.").is_some_and(|key| SHARED.iter().any(|start| key.starts_with(start)))
        || key.starts_with("server.")
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
