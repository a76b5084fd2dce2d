//! Whether telemetry is at work on this thread, so that what it calls does not start spans of its own.
//!
//! A traced allocator, a span processor, a sampler, a `Display`: all are called while a span starts or
//! ends. A span of theirs would start or end the same way, and so without end.

use std::cell::Cell;
use std::marker::PhantomData;

thread_local! {
    /// Neither allocates nor has a destructor, so that it is there from the thread's first allocation to
    /// its last.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

/// Telemetry is at work on this thread until this is dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Busy {
    nested: bool,
    _of_this_thread: PhantomData<*const ()>,
}

/// Whether telemetry is at work on this thread, and has called what asks.
#[inline]
pub(crate) fn is_busy() -> bool {
    BUSY.get()
}

impl Busy {
    #[inline]
    pub(crate) fn begin() -> Self {
        Self { nested: BUSY.replace(true), _of_this_thread: PhantomData }
    }

    /// Whether it was at work already, and has called what called this.
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
