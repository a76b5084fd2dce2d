//! The inbox, in which spans wait for the export thread to queue them.
//!
//! A thread that ends a span only copies bytes to its shard of the inbox. Looking up and linking traces in the queue is
//! left to the export thread.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::parts::{Held, Incoming};
use super::{QueueLimits, STEPS, as_len};
use crate::atomic::AtomicU64;
use crate::tracer::buffer::{SHARDS, shard_of_thread};
use crate::tracer::encoded::EncodedSpans;

/// A quarter of the queue's limits may wait in the inbox.
const SHARE: usize = 4;

/// The maximum number of bytes in a chunk. Larger groups of spans bypass the inbox.
const CHUNK_BYTES: usize = u16::MAX as usize;

/// The maximum number of empty chunks that a shard keeps for reuse.
const MAX_SPARE: usize = 4;

/// The initial capacity of a chunk in bytes.
const FIRST_CHUNK_BYTES: usize = 1 << 12;

#[derive(Debug)]
pub(super) struct Inbox {
    shards: [Mutex<Shard>; SHARDS],
    size: Size,
    limits: QueueLimits,
}

/// The number of waiting spans and of their bytes, packed into a single atomic: all threads write to it, and each
/// contended write is expensive.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Size(AtomicU64);

impl Size {
    /// The number of low bits that hold the number of bytes.
    const BYTES: u32 = 40;
    /// Half of what the counter can hold, because concurrent threads may overshoot the limits.
    const MAX_SPANS: u64 = 1 << (u64::BITS - Self::BYTES - 1);
    const MAX_BYTES: u64 = 1 << (Self::BYTES - 1);

    fn packed(spans: usize, bytes: usize) -> u64 {
        (spans as u64) << Self::BYTES | bytes as u64
    }

    fn unpacked(size: u64) -> (usize, usize) {
        (as_len(size >> Self::BYTES), as_len(size & ((1 << Self::BYTES) - 1)))
    }

    fn get(&self) -> (usize, usize) {
        Self::unpacked(self.0.load(Ordering::Relaxed))
    }

    /// Returns the previous numbers.
    fn add(&self, spans: usize, bytes: usize) -> (usize, usize) {
        Self::unpacked(self.0.fetch_add(Self::packed(spans, bytes), Ordering::Relaxed))
    }

    fn subtract(&self, spans: usize, bytes: usize) {
        self.0.fetch_sub(Self::packed(spans, bytes), Ordering::Relaxed);
    }
}

/// Aligned to avoid false sharing.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    full: VecDeque<Chunk>,
    filling: Chunk,
    /// Empty chunks for reuse.
    spare: Vec<Chunk>,
}

/// Parts of traces, with their bytes in one contiguous buffer.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// The parts, each with the number of its bytes.
    parts: Vec<EncodedSpans<usize>>,
    bytes: Vec<u8>,
    /// Whether the memory of this chunk may be given to the queue instead of being reused: so many chunks wait that it
    /// is no longer in the processor's cache.
    is_given_away: bool,
}

/// Memory that is shared by the complete traces of a chunk, which are exported or evicted at about the same time.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) bytes: Bytes,
    /// The number of parts that share it.
    pub(super) parts: usize,
    /// Whether this is the memory of the chunk itself, including parts that do not share it.
    is_chunk: bool,
}

impl Shard {
    fn add(&mut self, spans: EncodedSpans<usize>, added: &[u8]) {
        let Chunk { parts, bytes, .. } = &self.filling;
        if parts.len() == STEPS || bytes.len() + added.len() > CHUNK_BYTES {
            let empty = self.spare.pop().unwrap_or_default();
            self.full.push_back(std::mem::replace(&mut self.filling, empty));
        }
        let Chunk { parts, bytes, .. } = &mut self.filling;
        if bytes.capacity() == 0 {
            let expected = if self.full.is_empty() { FIRST_CHUNK_BYTES } else { CHUNK_BYTES };
            bytes.reserve_exact(expected.max(added.len()));
        }
        bytes.extend_from_slice(added);
        parts.push(spans);
    }

    /// Takes the oldest chunk.
    fn take(&mut self) -> Option<Chunk> {
        let is_given_away = self.full.len() > MAX_SPARE;
        if let Some(full) = self.full.pop_front() {
            return Some(Chunk { is_given_away, ..full });
        }
        let is_empty = self.filling.parts.is_empty();
        (!is_empty).then(|| std::mem::replace(&mut self.filling, self.spare.pop().unwrap_or_default()))
    }
}

impl Chunk {
    /// Moves complete traces to shared memory, which is that of the chunk if it is given away.
    pub(super) fn share(&mut self) -> Option<Shared> {
        let Self { parts, bytes, is_given_away } = self;
        let complete = || parts.iter().filter(|part| part.has_local_root);
        let (count, len) = (complete().count(), complete().map(|part| part.bytes).sum());
        if count < 2 {
            return None;
        }
        // Only if at least half of it is needed.
        let is_chunk = *is_given_away && len >= bytes.capacity() / 2;
        let shared = if is_chunk {
            std::mem::take(bytes)
        } else {
            let (mut shared, mut start) = (Vec::with_capacity(len), 0);
            for part in parts {
                let end = start + part.bytes;
                if part.has_local_root {
                    shared.extend_from_slice(&bytes[start..end]);
                }
                start = end;
            }
            shared
        };
        Some(Shared { bytes: shared.into(), parts: count, is_chunk })
    }

    /// Calls `f` with each part, which is in `shared` memory or a copy. Returns the number of spans and bytes.
    pub(super) fn drain(&mut self, shared: Option<&(u32, Shared)>, mut f: impl FnMut(Incoming)) -> (usize, usize) {
        let Self { parts, bytes, .. } = self;
        let (mut spans, mut start, mut next) = (0, 0, 0);
        for part in parts.drain(..) {
            let end = start + part.bytes;
            let held = match shared {
                Some((memory, Shared { is_chunk, .. })) if part.has_local_root => {
                    let at = if *is_chunk { start } else { next };
                    next += part.bytes;
                    #[expect(clippy::cast_possible_truncation, reason = "within `CHUNK_BYTES`")]
                    let (start, len) = (at as u16, part.bytes as u16);
                    Held::Shared { memory: *memory, start, len }
                }
                Some((_, Shared { bytes, is_chunk: true, .. })) => Held::Own(bytes[start..end].into()),
                _ => Held::Own(bytes[start..end].into()),
            };
            spans += part.count as usize;
            start = end;
            f(part.map(|_| held));
        }
        bytes.clear();
        (spans, start)
    }
}

impl Inbox {
    pub(super) fn new(limits: QueueLimits) -> Self {
        let limits = QueueLimits {
            spans: (limits.spans / SHARE).min(as_len(Size::MAX_SPANS)),
            bytes: (limits.bytes / SHARE).min(as_len(Size::MAX_BYTES)),
        };
        Self { shards: Default::default(), size: Size::default(), limits }
    }

    /// The number of waiting spans.
    pub(super) fn len(&self) -> usize {
        self.size().0
    }

    /// The number of waiting spans and of their bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        self.size.get()
    }

    fn shard(&self, at: usize) -> MutexGuard<'_, Shard> {
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a copy of the spans. Returns the number of spans that were waiting before, or `None` if there is no room.
    pub(super) fn leave(&self, spans: &EncodedSpans<impl AsRef<[u8]>>) -> Option<usize> {
        let bytes = spans.bytes.as_ref();
        let waiting = self.size();
        if waiting.0 >= self.limits.spans || waiting.1 >= self.limits.bytes || bytes.len() > CHUNK_BYTES {
            return None;
        }
        // Counted before they can be collected.
        let before = self.size.add(spans.count as usize, bytes.len()).0;
        self.shard(shard_of_thread()).add(spans.with(bytes.len()), bytes);
        Some(before)
    }

    /// Returns the number of waiting chunks in each shard.
    pub(super) fn chunks(&self) -> impl Iterator<Item = (usize, usize)> {
        let count = |shard: &Shard| shard.full.len() + usize::from(!shard.filling.parts.is_empty());
        (0..SHARDS).map(move |at| (at, count(&self.shard(at))))
    }

    /// Takes the oldest chunk of a shard. Only the holder of the queue's lock may call this, so that spans are always
    /// visible either here or in the queue.
    pub(super) fn take(&self, shard: usize) -> Option<Chunk> {
        self.shard(shard).take()
    }

    /// Takes a chunk of any shard, preferably of this thread's.
    pub(super) fn take_any(&self) -> Option<(usize, Chunk)> {
        let first = shard_of_thread();
        (first..first + SHARDS).find_map(|at| Some((at % SHARDS, self.take(at % SHARDS)?)))
    }

    /// Recycles a chunk after its spans were queued, and subtracts their size.
    pub(super) fn collected(&self, shard: usize, chunk: Chunk, (spans, bytes): (usize, usize)) {
        self.size.subtract(spans, bytes);
        let mut shard = self.shard(shard);
        if !chunk.is_given_away && shard.spare.len() < MAX_SPARE {
            shard.spare.push(chunk);
        }
    }

    /// Whether so many spans wait that threads that take the lock have to help to collect them.
    pub(super) fn is_filling(&self) -> bool {
        let waiting = self.size();
        waiting.0 > self.limits.spans / 16 || waiting.1 > self.limits.bytes / 16
    }
}

// Such lengths do not fit into 32 bits.
#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::*;

    #[test]
    fn the_largest_size_does_not_overflow() {
        let (spans, bytes) = (as_len(Size::MAX_SPANS), as_len(Size::MAX_BYTES));
        let inbox = Inbox::new(QueueLimits { spans: usize::MAX, bytes: usize::MAX });
        let one = EncodedSpans::complete(1, 3, vec![0; 100]);
        for (spans, bytes) in [(spans - 1, 0), (0, bytes - 1), (spans - 1, bytes - 1)] {
            assert_eq!(inbox.size.add(spans, bytes), (0, 0));
            assert_eq!(inbox.leave(&one), Some(spans));
            assert_eq!(inbox.size(), (spans + 3, bytes + 100));
            assert!(inbox.leave(&one).is_none(), "no room");
            let (shard, mut chunk) = inbox.take_any().expect("a chunk");
            let size = chunk.drain(None, drop);
            inbox.collected(shard, chunk, size);
            inbox.size.subtract(spans, bytes);
            assert_eq!(inbox.size(), (0, 0));
        }
    }
}
