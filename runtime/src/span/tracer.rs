//! The source of spans: the installed tracer provider, or OpenTelemetry's global one.

#[cfg(feature = "sdk")]
use std::any::Any;
use std::borrow::Cow;
#[cfg(feature = "sdk")]
use std::cell::Cell;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, TraceContextExt as _, TraceFlags, Tracer, TracerProvider,
};
use opentelemetry::{Context, InstrumentationScope, global};

use crate::context::data::Source;
#[cfg(feature = "sdk")]
use crate::context::{data::Data, encoder::Encoder};

struct Typed<T>(T);

impl<T: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static> Source for Typed<T> {
    fn start(&self, builder: SpanBuilder, context: &Context) -> Option<Context> {
        #[cfg(feature = "sdk")]
        let own = OwnSpan::mark();
        let span = self.0.build_with_context(builder, context);
        #[cfg(feature = "sdk")]
        drop(own);
        // Without an SDK, after its shutdown, and where telemetry is suppressed, spans have no valid
        // span context.
        if !span.span_context().is_valid() {
            return None;
        }
        // Not in a closure or a block, either of which would copy the span, a large struct.
        Some(keep_random(context, context.with_span(span)))
    }

    #[cfg(feature = "sdk")]
    fn encoder(&self) -> Option<&dyn Encoder> {
        (&self.0 as &dyn Any).downcast_ref::<crate::tracer::Tracer>().map(|tracer| tracer as &dyn Encoder)
    }
}

/// The SDK drops the flags of an unsampled parent. The random trace ID flag still has to be propagated (W3C Trace
/// Context, level 2, section "Random Trace ID Flag").
fn keep_random(parent: &Context, started: Context) -> Context {
    const RANDOM: u8 = 0b10;
    let is_random = |context: &Context| context.span().span_context().trace_flags().to_u8() & RANDOM != 0;
    // The flags of a recording span cannot be changed, and the span must not be replaced.
    if !parent.has_active_span() || !is_random(parent) || is_random(&started) || started.span().is_recording() {
        return started;
    }
    let is = started.span().span_context().clone();
    if is.trace_id() != parent.span().span_context().trace_id() {
        return started;
    }
    let flags = TraceFlags::new(is.trace_flags().to_u8() | RANDOM);
    let corrected = SpanContext::new(is.trace_id(), is.span_id(), flags, false, is.trace_state().clone());
    started.with_remote_span_context(corrected)
}

pub(crate) fn of<P: TracerProvider<Tracer: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static>>(
    provider: &P,
) -> Arc<dyn Source> {
    Arc::new(Typed(provider.tracer_with_scope(scope())))
}

/// The instrumentation scope of our own spans.
pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(Cow::Borrowed("throughline")).with_version(env!("CARGO_PKG_VERSION")).build()
}

static INSTALLED: RwLock<Option<Arc<dyn Source>>> = RwLock::new(None);

/// Incremented with every change of `INSTALLED`. Zero means that nothing was ever installed.
static GENERATION: AtomicUsize = AtomicUsize::new(0);

type Cached = (usize, Option<Arc<dyn Source>>);

thread_local! {
    /// This thread's copy of `INSTALLED`, and its generation. It is borrowed while a span starts, which avoids
    /// contention on a shared reference count.
    static CACHED: RefCell<Cached> = const { RefCell::new((0, None)) };
}

#[cfg(feature = "sdk")]
thread_local! {
    /// Whether the span that is starting on this thread is one of ours. Not in the context, because it is true only
    /// while `Tracer::build_with_context` runs.
    static OWN: Cell<bool> = const { Cell::new(false) };
}

/// Sends the spans of this process to `provider`.
///
/// This is the fastest setup, because the provider's tracer is cached. Without it, spans go to OpenTelemetry's global
/// provider, which is looked up for every span, because a tracer obtained before the provider is set never records
/// anything. A later call replaces the provider for spans that start afterwards.
///
/// The provider's sampler is consulted for every span, with one exception: a span whose local parent is not sampled
/// is never sampled, whatever the sampler would decide, to avoid partial traces.
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
    // Dropped without the lock: the last handle of a provider may flush in its destructor.
    drop(previous);
}

/// Whether a provider was installed.
#[inline]
pub(crate) fn is_installed() -> bool {
    GENERATION.load(Ordering::Acquire) != 0
}

/// Whether a tracer provider is known to be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum SetUp {
    /// Not set up yet.
    Never,
    /// Set up, or disabled on purpose.
    Done,
    /// Was set up, but the value of `init` was dropped.
    #[cfg(feature = "otlp")]
    Dropped,
}

static SET_UP: AtomicU8 = AtomicU8::new(SetUp::Never as u8);

/// Whether the warning was logged; it is logged once.
static WARNED: AtomicBool = AtomicBool::new(false);

pub(crate) fn set_up_is(state: SetUp) {
    SET_UP.store(state as u8, Ordering::Relaxed);
}

/// Logs a warning, once, if a span is discarded by mistake and a subscriber is set.
#[cold]
pub(crate) fn warn_if_not_set_up(context: &Context) {
    let text = match SET_UP.load(Ordering::Relaxed) {
        state if state == SetUp::Never as u8 => {
            "span discarded: telemetry is not set up; call `throughline::init()`, or `throughline::install` with a tracer \
             provider, at the start of `main`"
        }
        #[cfg(feature = "otlp")]
        state if state == SetUp::Dropped as u8 => {
            "span discarded: the value returned by `throughline::init()` was dropped; keep it until the end of `main`, as in \
             `let telemetry = throughline::init()?;`, and call `shutdown` there"
        }
        _ => return,
    };
    // Set before checking for a subscriber, which may start spans itself.
    if context.is_telemetry_suppressed() || WARNED.swap(true, Ordering::Relaxed) {
        return;
    }
    if tracing::enabled!(target: "throughline", tracing::Level::WARN) {
        tracing::warn!(target: "throughline", "{text}");
    } else {
        // No subscriber yet; try again later.
        WARNED.store(false, Ordering::Relaxed);
    }
}

/// Calls `f` with the tracer of a context with `data`, if it is our own.
#[cfg(feature = "sdk")]
#[inline]
pub(crate) fn with_encoder<R>(data: Option<&Arc<Data>>, f: impl FnOnce(&dyn Encoder) -> R) -> Option<R> {
    let mut f = Some(f);
    with_encoder_mut(data, |encoder| f.take().map(|f| f(encoder))).flatten()
}

/// The same for an `FnMut`, which is called in place, so that its captures are not moved.
#[cfg(feature = "sdk")]
#[inline(always)]
pub(crate) fn with_encoder_mut<R>(data: Option<&Arc<Data>>, mut f: impl FnMut(&dyn Encoder) -> R) -> Option<R> {
    if let Some(source) = data.and_then(|data| data.source.as_ref()) {
        return source.encoder().map(f);
    }
    let generation = GENERATION.load(Ordering::Acquire);
    if generation == 0 {
        return None;
    }
    with_installed(generation, |source| source.encoder().map(&mut f)).flatten()
}

/// Calls `f` with the installed source, of which this thread has a copy.
#[inline(always)]
fn with_installed<R>(generation: usize, mut f: impl FnMut(&dyn Source) -> R) -> Option<R> {
    let known = CACHED.try_with(|cached| {
        let cached = cached.borrow();
        (cached.0 == generation).then(|| cached.1.as_deref().map(&mut f))
    });
    match known {
        Ok(Some(result)) => result,
        _ => Some(f(&*renewed(generation)?)),
    }
}

/// Returns the installed source, and renews this thread's copy, unless the thread is being torn down or the copy is
/// borrowed further up the stack.
#[cold]
#[inline(never)]
fn renewed(generation: usize) -> Option<Arc<dyn Source>> {
    let source = installed();
    let fresh = (generation, source.clone());
    // Dropped outside of the borrow: the last handle of a provider may flush in its destructor.
    let stale = CACHED.try_with(|cached| Some(std::mem::replace(&mut *cached.try_borrow_mut().ok()?, fresh)));
    drop(stale);
    source
}

/// Starts a span with the installed provider, or with the global one.
pub(crate) fn start(builder: SpanBuilder, context: &Context) -> Option<Context> {
    let started = start_anywhere(builder, context);
    if started.is_none() {
        warn_if_not_set_up(context);
    }
    started
}

fn start_anywhere(builder: SpanBuilder, context: &Context) -> Option<Context> {
    let generation = GENERATION.load(Ordering::Acquire);
    if generation == 0 {
        let started = of(&global::tracer_provider()).start(builder, context);
        if started.is_some() {
            // The global provider works; its later shutdown is not a mistake.
            set_up_is(SetUp::Done);
        }
        return started;
    }
    let mut builder = Some(builder);
    with_installed(generation, |source| source.start(builder.take()?, context)).flatten()
}

fn installed() -> Option<Arc<dyn Source>> {
    INSTALLED.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Whether the span that is starting on this thread was started by Throughline, which has already added the tags.
#[cfg(feature = "sdk")]
pub(crate) fn is_own_span() -> bool {
    OWN.try_with(Cell::get).unwrap_or(false)
}

/// Marks the starting span as ours until dropped, even if a sampler panics.
#[cfg(feature = "sdk")]
struct OwnSpan(bool);

#[cfg(feature = "sdk")]
impl OwnSpan {
    fn mark() -> Self {
        Self(OWN.try_with(|own| own.replace(true)).unwrap_or(false))
    }
}

#[cfg(feature = "sdk")]
impl Drop for OwnSpan {
    fn drop(&mut self) {
        let _ = OWN.try_with(|own| own.set(self.0));
    }
}
