//! The current context, also while a thread is being torn down.
//!
//! OpenTelemetry keeps it in a thread-local and panics when that is gone, which in the destructor of
//! another thread-local aborts the process. Here it is as if telemetry were suppressed then.

use opentelemetry::{Context, ContextGuard};

use crate::guard::reentrance::Busy;

/// Is destroyed before OpenTelemetry's thread-local, because it comes into being after it.
struct Herald;

impl Herald {
    fn new() -> Self {
        Context::map_current(|_| Self)
    }
}

impl Drop for Herald {
    /// Only a type with a destructor has an end that can be seen.
    fn drop(&mut self) {}
}

thread_local! {
    static HERALD: Herald = Herald::new();
}

/// Whether this thread is being torn down, so that nothing can be current any more.
#[inline]
pub(crate) fn is_gone() -> bool {
    HERALD.try_with(|_| ()).is_err()
}

/// Looks at the current context.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&Context) -> R) -> R {
    // `f` runs with the current context borrowed. Code of the application's must not run in it: it could
    // make a context current.
    if is_gone() { f(&Context::new().with_telemetry_suppressed()) } else { Context::map_current(f) }
}

/// The current context, as [`Context::current`] gives it. While the thread is being torn down, where that would
/// panic, it is an empty one in which telemetry is suppressed.
pub fn get() -> Context {
    with(Clone::clone)
}

/// Makes `context` current, if there is still such a thing.
#[inline]
pub(crate) fn attach(context: Context) -> Attached {
    let _busy = Busy::begin();
    Attached((!is_gone()).then(|| context.attach()))
}

/// Keeps a context current on this thread until it is dropped. Guards are dropped in the opposite order
/// of their making, which is what scopes do.
///
/// While the thread is being torn down there is no current context, and this does nothing.
#[derive(Debug)]
#[must_use = "dropping the guard ends the context's turn at once"]
pub struct Attached(Option<ContextGuard>);

impl Attached {
    /// A guard that changes nothing.
    pub(crate) const fn nothing() -> Self {
        Self(None)
    }
}

impl Drop for Attached {
    #[inline]
    fn drop(&mut self) {
        if self.0.is_none() {
            return;
        }
        let _busy = Busy::begin();
        let guard = self.0.take();
        if is_gone() {
            // A guard in a thread-local of the application's: what it would restore is gone.
            std::mem::forget(guard);
        }
    }
}
