//! Calls application code, such as a `Display` implementation, whose panics must not affect telemetry.
//!
//! The panic hook still runs. With `panic = "abort"`, the process aborts.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Returns the result of `f`, or `None` if it panics.
#[inline]
pub(crate) fn caught<R>(f: impl FnOnce() -> R) -> Option<R> {
    // Unwind safe: after a panic, the caller gets no result and nothing captured by `f` is used.
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(returned) => Some(returned),
        Err(payload) => {
            discard(payload);
            None
        }
    }
}

/// The destructor of a panic payload may itself panic, with a payload of its own.
#[cold]
fn discard(payload: Box<dyn std::any::Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_none() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                std::panic::panic_any("in the destructor of a payload");
            }
        }
        assert_eq!(caught(|| 7), Some(7));
        assert_eq!(caught(|| -> u8 { panic!("lost") }), None);
        assert_eq!(caught(|| -> u8 { std::panic::panic_any(Bomb) }), None);
    }
}
