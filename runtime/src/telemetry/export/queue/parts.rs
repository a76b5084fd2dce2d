//! Queued spans, in parts: a part is a group of spans of one trace that were handed over together.
//!
//! Parts that arrive at about the same time share an allocation, which saves time and space. Shared memory is at most
//! twice as large as what is still needed of it: once more than half has been evicted, the rest is moved.

use std::ops::Range;

use bytes::Bytes;
use opentelemetry::trace::TraceId;

use super::arena::{Arena, NONE};
use crate::tracer::encoded::{EncodedSpans, QueuedSpans, ScopeId};

/// Spans to be queued.
pub(super) type Incoming = EncodedSpans<Held>;

/// The location of the bytes of a part.
#[derive(Debug)]
pub(super) enum Held {
    Own(Box<[u8]>),
    Shared { memory: u32, start: u16, len: u16 },
}

impl Held {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Own(bytes) => bytes.len(),
            Self::Shared { len, .. } => usize::from(*len),
        }
    }
}

/// The positions in a part at which other scopes begin. Boxed, because there are rarely any.
type OtherScopes = Option<Box<Vec<(usize, ScopeId)>>>;

/// Memory to be freed without the lock.
pub(super) type Freed = (Option<Bytes>, OtherScopes);

/// A part. Kept to 32 bytes besides its spans, because there may be as many parts as spans.
#[derive(Debug)]
struct Part {
    memory: u32,
    /// The next part of the same trace.
    next: u32,
    count: u32,
    first_scope: ScopeId,
    other_scopes: OtherScopes,
    /// The offset in shared memory.
    start: u16,
    len: u16,
    has_local_root: bool,
}

/// The bytes of one or more parts. Kept small, because there may be as many of these as parts.
#[derive(Debug)]
enum Memory {
    Own(Box<[u8]>),
    Shared(Box<Shared>),
}

#[derive(Debug)]
struct Shared {
    bytes: Bytes,
    /// The parts that share it, including some that have been removed.
    sharers: Vec<u32>,
    /// The number of users: parts, and the operation that adds parts.
    users: usize,
    /// The number of bytes that the parts need.
    needed: usize,
}

impl Shared {
    /// The bytes of a part.
    fn range(start: u16, len: u16) -> Range<usize> {
        let start = usize::from(start);
        start..start + usize::from(len)
    }

    /// Moves the remaining parts, which are few and small, to new memory if less than half of this memory is still
    /// needed. Returns the old memory.
    fn compact(&mut self, parts: &mut Arena<Part>, this: u32) -> Option<Bytes> {
        if self.needed * 2 >= self.bytes.len() {
            return None;
        }
        let mut moved = Vec::with_capacity(self.needed);
        self.sharers.retain(|sharer| {
            // The part may have been removed, and another may use its slot.
            let Some(part) = parts.get_mut(*sharer).filter(|part| part.memory == this) else { return false };
            let bytes = &self.bytes[Self::range(part.start, part.len)];
            #[expect(clippy::cast_possible_truncation, reason = "not greater than the old offset")]
            let start = moved.len() as u16;
            part.start = start;
            moved.extend_from_slice(bytes);
            true
        });
        Some(std::mem::replace(&mut self.bytes, moved.into()))
    }
}

#[derive(Debug, Default)]
pub(super) struct Parts {
    parts: Arena<Part>,
    memory: Arena<Memory>,
}

impl Parts {
    pub(super) fn insert(&mut self, spans: Incoming) -> u32 {
        let EncodedSpans { count, has_local_root, bytes, first_scope, other_scopes, .. } = spans;
        let (memory, start, len) = match bytes {
            Held::Own(bytes) => (self.memory.insert(Memory::Own(bytes)), 0, 0),
            Held::Shared { memory, start, len } => (memory, start, len),
        };
        let other_scopes = (!other_scopes.is_empty()).then(|| Box::new(other_scopes));
        let part = Part { memory, next: NONE, count, first_scope, other_scopes, start, len, has_local_root };
        let at = self.parts.insert(part);
        if let Memory::Shared(shared) = &mut self.memory[memory] {
            shared.sharers.push(at);
            shared.users += 1;
            shared.needed += usize::from(len);
        }
        at
    }

    /// Adds memory that will be shared by the parts inserted next.
    pub(super) fn share(&mut self, bytes: Bytes, parts: usize) -> u32 {
        let shared = Shared { bytes, sharers: Vec::with_capacity(parts), users: 1, needed: 0 };
        self.memory.insert(Memory::Shared(Box::new(shared)))
    }

    /// Called when all parts that share this memory have been inserted or refused. Returns the memory if none needs it.
    pub(super) fn shared(&mut self, memory: u32) -> Option<Bytes> {
        self.release(memory, 0)
    }

    /// Removes a user of memory. Returns the memory if it is no longer needed.
    fn release(&mut self, at: u32, len: u16) -> Option<Bytes> {
        if let Memory::Shared(shared) = &mut self.memory[at] {
            shared.users -= 1;
            shared.needed -= usize::from(len);
            if shared.users > 0 {
                return shared.compact(&mut self.parts, at);
            }
        }
        Some(match self.memory.remove(at) {
            Memory::Own(bytes) => bytes.into(),
            Memory::Shared(shared) => shared.bytes,
        })
    }

    /// Removes a part, for export.
    pub(super) fn take(&mut self, at: u32, trace_id: TraceId) -> QueuedSpans {
        let Part { memory, count, first_scope, other_scopes, start, len, has_local_root, .. } = self.parts.remove(at);
        let (bytes, is_last) = match &mut self.memory[memory] {
            Memory::Own(bytes) => (std::mem::take(bytes).into(), true),
            Memory::Shared(shared) => {
                shared.users -= 1;
                shared.needed -= usize::from(len);
                (shared.bytes.slice(Shared::range(start, len)), shared.users == 0)
            }
        };
        if is_last {
            self.memory.remove(memory);
        }
        let other_scopes = other_scopes.map_or_else(Vec::new, |scopes| *scopes);
        QueuedSpans { trace_id, count, has_local_root, bytes, first_scope, other_scopes }
    }

    /// Removes a part that was evicted.
    pub(super) fn free(&mut self, at: u32) -> Freed {
        let Part { memory, len, other_scopes, .. } = self.parts.remove(at);
        (self.release(memory, len), other_scopes)
    }

    /// The number of spans in a part.
    pub(super) fn count(&self, at: u32) -> usize {
        self.parts[at].count as usize
    }

    pub(super) fn next(&self, at: u32) -> u32 {
        self.parts[at].next
    }

    pub(super) fn append(&mut self, at: u32, next: u32) {
        self.parts[at].next = next;
    }

    /// Returns the longest prefix of incoming spans with at most `max_spans` spans and `max_bytes` bytes.
    #[cold]
    pub(super) fn first(&self, spans: &Incoming, max_spans: usize, max_bytes: usize) -> Incoming {
        let bytes = match &spans.bytes {
            Held::Own(bytes) => bytes,
            Held::Shared { memory, start, len } => match &self.memory[*memory] {
                Memory::Shared(shared) => &shared.bytes[Shared::range(*start, *len)],
                Memory::Own(bytes) => bytes,
            },
        };
        spans.with(bytes).first(max_spans, max_bytes).map(Held::Own)
    }

    /// The number of parts.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.parts.iter().count()
    }

    /// The number of bytes of shared memory that are allocated, and that are needed.
    #[cfg(test)]
    pub(super) fn shared_bytes(&self) -> (usize, usize) {
        self.memory.iter().fold((0, 0), |(all, needed), memory| match memory {
            Memory::Shared(shared) => (all + shared.bytes.len(), needed + shared.needed),
            Memory::Own(_) => (all, needed),
        })
    }
}

// Smaller on 32-bit targets.
#[cfg(all(test, target_pointer_width = "64"))]
mod tests {
    use super::super::Trace;
    use super::*;

    #[test]
    fn slots_are_small() {
        assert_eq!([Arena::<Part>::SLOT_BYTES, Arena::<Memory>::SLOT_BYTES, Arena::<Trace>::SLOT_BYTES], [32, 24, 56]);
    }
}
