//! The current context, also while a thread is being torn down.
//!
//! OpenTelemetry keeps it in a thread-local and panics when that is gone, which in the destructor of
//! another thread-local aborts the process. Here it is as if telemetry were suppressed then.

use opentelemetry::{Context, ContextGuard};

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

#[inline]
fn is_gone() -> bool {
    HERALD.try_with(|_| ()).is_err()
}

/// Looks at the current context.
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&Context) -> R) -> R {
    if is_gone() { f(&Context::new().with_telemetry_suppressed()) } else { Context::map_current(f) }
}

/// A clone of the current context.
pub(crate) fn get() -> Context {
    with(Clone::clone)
}

/// Makes `context` current, if there is still such a thing.
#[inline]
pub(crate) fn attach(context: Context) -> Option<ContextGuard> {
    (!is_gone()).then(|| context.attach())
}
