//! Where spans come from: the installed provider, or OpenTelemetry's global one.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use opentelemetry::trace::TraceId;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, TraceContextExt as _, TraceFlags, Tracer, TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, global};

use crate::context::data::Source;

struct Typed<T>(T);

impl<T> Source for Typed<T>
where
    T: Tracer + Send + Sync,
    T::Span: Send + Sync + 'static,
{
    fn start(&self, builder: SpanBuilder, context: &Context) -> Option<Context> {
        let own = OwnSpan::mark();
        let span = self.0.build_with_context(builder, context);
        drop(own);
        // Without an SDK, after its shutdown, and where telemetry is suppressed, a tracer gives
        // spans without an identity.
        if !span.span_context().is_valid() {
            return None;
        }
        // Not in a closure, nor out of a block: a span is large, and each would copy it.
        Some(keep_random(context, context.with_span(span)))
    }
}

/// The SDK drops the flags of a caller whose trace is not sampled. That the trace id is random still
/// has to be passed on (W3C Trace Context, level 2, section "Random Trace ID Flag").
#[inline]
fn keep_random(parent: &Context, started: Context) -> Context {
    let is_random = |context: &Context| context.span().span_context().trace_flags().to_u8() & RANDOM != 0;
    if parent.has_active_span() && is_random(parent) && !is_random(&started) {
        return with_random(parent, &started);
    }
    started
}

const RANDOM: u8 = 0b10;

#[cold]
fn with_random(parent: &Context, started: &Context) -> Context {
    let corrected = {
        let span = started.span();
        let is = span.span_context();
        // A span that records has its flags for good, and is not replaced.
        if span.is_recording() || is.trace_id() != parent.span().span_context().trace_id() {
            return started.clone();
        }
        let flags = TraceFlags::new(is.trace_flags().to_u8() | RANDOM);
        SpanContext::new(is.trace_id(), is.span_id(), flags, false, is.trace_state().clone())
    };
    started.with_remote_span_context(corrected)
}

pub(crate) fn of<P>(provider: &P) -> Arc<dyn Source>
where
    P: TracerProvider,
    P::Tracer: Send + Sync + 'static,
    <P::Tracer as Tracer>::Span: Send + Sync + 'static,
{
    let scope =
        InstrumentationScope::builder(Cow::Borrowed("throughline")).with_version(env!("CARGO_PKG_VERSION")).build();
    Arc::new(Typed(provider.tracer_with_scope(scope)))
}

static INSTALLED: RwLock<Option<Arc<dyn Source>>> = RwLock::new(None);

/// Moves with every change of `INSTALLED`. Zero: nothing was ever installed.
static GENERATION: AtomicU64 = AtomicU64::new(0);

type Cached = (u64, Option<Rc<Arc<dyn Source>>>);

thread_local! {
    /// This thread's copy of `INSTALLED` and the generation it is of. The `Rc` keeps the threads
    /// from counting references in one place.
    static CACHED: RefCell<Cached> = const { RefCell::new((0, None)) };

    /// Whether the span that is starting on this thread is one of ours. Not a context: it is true
    /// only while `Tracer::build_with_context` runs.
    static OWN: Cell<bool> = const { Cell::new(false) };

    /// The id that the trace is to have that is beginning on this thread. Like `OWN`, it is set only
    /// while a span starts.
        static WANTED: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Sends the spans of this process to `provider`.
///
/// This is the fast way: the provider's own tracer is kept. Without a call, spans go to
/// OpenTelemetry's global provider, which is asked anew for every span, because a tracer taken from
/// it before it is set would stay silent for ever. A later call replaces the provider for the spans
/// that start after it.
///
/// The provider's sampler is asked for every span but one kind: a span under a local parent that is
/// not sampled is never sampled, whatever the sampler says, because half a trace is of no use.
///
/// ```
/// use opentelemetry_sdk::trace::SdkTracerProvider;
///
/// let provider = SdkTracerProvider::builder().build();
/// throughline::install(&provider);
/// ```
pub fn install<P>(provider: &P)
where
    P: TracerProvider,
    P::Tracer: Send + Sync + 'static,
    <P::Tracer as Tracer>::Span: Send + Sync + 'static,
{
    let source = of(provider);
    set_up_is(SetUp::Done);
    let mut installed = INSTALLED.write().unwrap_or_else(PoisonError::into_inner);
    let previous = installed.replace(source);
    GENERATION.fetch_add(1, Ordering::Release);
    drop(installed);
    // The last handle of a provider may flush in its destructor: not under the lock.
    drop(previous);
}

/// Whether there is somebody to take spans, as far as it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum SetUp {
    /// Nobody has said anything.
    Never,
    /// There is, or there is not to be.
    Done,
    /// There was, until the value of `init` was dropped.
    Dropped,
}

static SET_UP: AtomicU8 = AtomicU8::new(SetUp::Never as u8);

/// Whether the warning about it was given, which comes once.
static WARNED: AtomicBool = AtomicBool::new(false);

pub(crate) fn set_up_is(state: SetUp) {
    SET_UP.store(state as u8, Ordering::Relaxed);
}

/// A span goes nowhere. Where that is a mistake, and somebody listens, it is told once.
#[cold]
fn goes_nowhere(context: &Context) {
    const MISTAKES: [(SetUp, &str); 2] = [
        (
            SetUp::Never,
            "a span has started and goes nowhere, because nothing is set up; call `throughline::init()`, or \
             `throughline::install` with a tracer provider, at the start of `main`",
        ),
        (
            SetUp::Dropped,
            "a span has started and goes nowhere, because the value of `throughline::init()` was dropped; keep it until \
             the end of `main`, as in `let telemetry = throughline::init()?;`, and call `shutdown` there",
        ),
    ];
    let state = SET_UP.load(Ordering::Relaxed);
    let Some((_, text)) = MISTAKES.iter().find(|(mistake, _)| *mistake as u8 == state) else { return };
    // Before the subscriber is asked, which may start spans itself.
    if context.is_telemetry_suppressed() || WARNED.swap(true, Ordering::Relaxed) {
        return;
    }
    if tracing::enabled!(target: "throughline", tracing::Level::WARN) {
        tracing::warn!(target: "throughline", "{text}");
    } else {
        // Nobody listens yet.
        WARNED.store(false, Ordering::Relaxed);
    }
}

/// Starts a span with the installed provider, or with the global one.
pub(crate) fn start(builder: SpanBuilder, context: &Context) -> Option<Context> {
    let started = start_anywhere(builder, context);
    if started.is_none() {
        goes_nowhere(context);
    }
    started
}

fn start_anywhere(builder: SpanBuilder, context: &Context) -> Option<Context> {
    let generation = GENERATION.load(Ordering::Acquire);
    if generation == 0 {
        let started = of(&global::tracer_provider()).start(builder, context);
        if started.is_some() {
            // The global provider is one: that it may be shut down some day is no mistake.
            set_up_is(SetUp::Done);
        }
        return started;
    }
    let Ok(source) = CACHED.try_with(|cached| {
        if cached.borrow().0 != generation {
            let fresh = (generation, installed().map(Rc::new));
            // The last handle of a provider may flush in its destructor: not under the borrow.
            let stale = cached.replace(fresh);
            drop(stale);
        }
        cached.borrow().1.clone()
    }) else {
        // This thread is being torn down.
        return installed()?.start(builder, context);
    };
    source?.start(builder, context)
}

fn installed() -> Option<Arc<dyn Source>> {
    INSTALLED.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Whether the span that is starting on this thread was opened by Throughline, which has put the
/// tags on it already.
#[cfg(feature = "sdk")]
pub(crate) fn is_own_span() -> bool {
    OWN.try_with(Cell::get).unwrap_or(false)
}

/// Marks the span that starts as ours until dropped, also when a sampler panics.
struct OwnSpan(bool);

impl OwnSpan {
    fn mark() -> Self {
        Self(OWN.try_with(|own| own.replace(true)).unwrap_or(false))
    }
}

impl Drop for OwnSpan {
    fn drop(&mut self) {
        let _ = OWN.try_with(|own| own.set(self.0));
    }
}

/// Asks for `id` as the id of the trace that begins on this thread before the guard is dropped.
///
/// OpenTelemetry's API has no way to say it: only the id generator of a provider decides. So this
/// is heard by [`RequestIdGenerator`](crate::telemetry::RequestIdGenerator), and by no other.
pub(crate) fn want(id: TraceId) -> Wanted {
    let _ = WANTED.try_with(|wanted| wanted.set(Some(id)));
    Wanted(())
}

/// Takes what was asked for, so that no second trace has the same id.
#[cfg(feature = "sdk")]
pub(crate) fn wanted() -> Option<TraceId> {
    WANTED.try_with(Cell::take).unwrap_or_default()
}

/// Withdraws the wish when dropped, also when a sampler panics.
pub(crate) struct Wanted(());

impl Drop for Wanted {
    fn drop(&mut self) {
        let _ = WANTED.try_with(|wanted| wanted.set(None));
    }
}
