//! Detects that telemetry is active on this thread, so that code it calls does not start spans.
//!
//! A traced allocator, span processor, sampler or `Display` implementation is called while a span starts or ends.
//! Starting a span there would call it again, and recurse without end.

use std::cell::Cell;
use std::marker::PhantomData;

thread_local! {
    /// Without lazy initialization or a destructor, so it is usable from the first allocation of a thread to its last.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Marks telemetry as active on this thread until dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Busy {
    nested: bool,
    _of_this_thread: PhantomData<*const ()>,
}

/// Whether the caller is being called by telemetry on this thread.
#[inline]
pub(crate) fn is_busy() -> bool {
    BUSY.get()
}

impl Busy {
    #[inline]
    pub(crate) fn begin() -> Self {
        Self { nested: BUSY.replace(true), _of_this_thread: PhantomData }
    }

    /// Whether telemetry was already active, so that it is calling the caller.
    #[inline]
    pub(crate) fn is_nested(&self) -> bool {
        self.nested
    }
}

impl Drop for Busy {
    #[inline]
    fn drop(&mut self) {
        BUSY.set(self.nested);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_guard_ends_it() {
        let outer = Busy::begin();
        let inner = Busy::begin();
        assert!(!outer.is_nested() && inner.is_nested());
        drop(inner);
        assert!(is_busy());
        drop(outer);
        assert!(!is_busy());
    }
}
