//! A pool of byte buffers for each thread.

use std::cell::RefCell;

/// The maximum number of buffers in a thread's pool, and their maximum size.
const MAX_RECYCLED: usize = 32;
const MAX_RECYCLED_BYTES: usize = 1 << 15;

/// The initial capacity of a buffer.
const INITIAL_CAPACITY: usize = 512;

thread_local! {
    /// Byte buffers for open spans and incomplete traces, so that neither has to allocate.
    static RECYCLED: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Returns an empty buffer with some capacity.
#[inline]
pub(crate) fn recycled() -> Vec<u8> {
    let known = RECYCLED.try_with(|buffers| buffers.borrow_mut().pop()).ok().flatten();
    known.unwrap_or_else(|| Vec::with_capacity(INITIAL_CAPACITY))
}

/// Returns a buffer to the pool.
#[inline]
pub(crate) fn recycle(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > MAX_RECYCLED_BYTES {
        return;
    }
    buffer.clear();
    let _ = RECYCLED.try_with(|buffers| {
        let mut buffers = buffers.borrow_mut();
        if buffers.len() < MAX_RECYCLED {
            buffers.push(buffer);
        }
    });
}
