//! Access to the current context, including during thread teardown.
//!
//! OpenTelemetry keeps the current context in a thread-local and panics once that has been destroyed; in the
//! destructor of another thread-local, such a panic aborts the process. This module behaves as if telemetry were
//! suppressed instead.

#[cfg(feature = "sdk")]
use std::cell::Cell;

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, ContextGuard};

use crate::guard::panics::caught;
use crate::guard::reentrance::Busy;

/// Destroyed before OpenTelemetry's thread-local, because it is initialized later: unless that was destroyed before the
/// first call, which this remembers.
struct TeardownProbe(bool);

impl TeardownProbe {
    fn new() -> Self {
        let is_gone = caught(|| Context::map_current(|_| ())).is_none();
        #[cfg(feature = "sdk")]
        IS_READY.set(!is_gone);
        Self(is_gone)
    }
}

impl Drop for TeardownProbe {
    /// A thread-local can be observed as destroyed only if its type has a destructor.
    fn drop(&mut self) {
        #[cfg(feature = "sdk")]
        IS_READY.set(false);
    }
}

thread_local! {
    static PROBE: TeardownProbe = TeardownProbe::new();
}

#[cfg(feature = "sdk")]
thread_local! {
    /// Whether the probe has been initialized. If so, OpenTelemetry's thread-local has been, too, and reading it does
    /// not allocate. This flag has no destructor, so it is always accessible.
    static IS_READY: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is being torn down, so that no context can be current any more.
#[inline]
pub(crate) fn is_gone() -> bool {
    PROBE.try_with(|probe| probe.0).unwrap_or(true)
}

/// Calls `f` with the current context, without side effects. Returns `None` if reading the context would allocate,
/// which may call application code: at the first access on a thread, and during its teardown.
#[cfg(feature = "sdk")]
#[inline]
pub(crate) fn peek<R>(f: impl FnOnce(&Context) -> R) -> Option<R> {
    IS_READY.get().then(|| Context::map_current(f))
}

/// Calls `f` with the current context.
#[inline(always)]
pub(crate) fn with<R>(f: impl FnOnce(&Context) -> R) -> R {
    // `f` runs while the current context is borrowed, so it must not call application code, which might
    // attach another context.
    if is_gone() { f(&Context::new().with_telemetry_suppressed()) } else { Context::map_current(f) }
}

/// Returns the current context, like [`Context::current`].
///
/// While the thread is being torn down, where `Context::current` panics, this returns an empty context with telemetry
/// suppressed.
pub fn get() -> Context {
    with(Clone::clone)
}

/// Whether spans below `parent` are not recorded: it is a local span that is not sampled, or telemetry is suppressed.
#[inline]
pub(crate) fn is_off(parent: &Context) -> bool {
    if parent.is_telemetry_suppressed() {
        return true;
    }
    let span = parent.span();
    let span = span.span_context();
    !span.is_sampled() && !span.is_remote() && span.is_valid()
}

/// Makes `context` current, unless the thread is being torn down.
#[inline]
pub(crate) fn attach(context: Context) -> Attached {
    let _busy = Busy::begin();
    // Not in a closure, which would copy the context.
    if is_gone() { Attached(None) } else { Attached(Some(context.attach())) }
}

/// A guard that keeps a context current on this thread until it is dropped.
///
/// Guards must be dropped in the reverse order of their creation, which scopes do by default. A guard is not `Send`, so
/// it cannot be held across an `.await` in a task that moves between threads. During thread teardown there is no
/// current context, and the guard has no effect.
#[derive(Debug)]
#[must_use = "the context is detached as soon as the guard is dropped"]
pub struct Attached(Option<ContextGuard>);

impl Attached {
    /// A guard without effect.
    pub(crate) const fn nothing() -> Self {
        Self(None)
    }

    /// Detaches the context, for callers that have marked telemetry as active.
    #[inline]
    pub(crate) fn detach(&mut self) {
        let guard = self.0.take();
        if is_gone() {
            // The application stored the guard in a thread-local. The context that it would restore is gone.
            std::mem::forget(guard);
        }
    }
}

impl Drop for Attached {
    #[inline]
    fn drop(&mut self) {
        if self.0.is_none() {
            return;
        }
        let _busy = Busy::begin();
        self.detach();
    }
}
