//! Where a trace is, by its id.

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use foldhash::quality::RandomState;
use opentelemetry::trace::TraceId;

/// How many maps there are. When one of them grows, it moves only its own entries.
const SHARDS: usize = 1 << 8;

/// What is known of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is queued: an index into the arena of traces.
    Queued(u32),
    /// Nothing of it is queued, and something was exported: where it is remembered.
    Exported(u32),
    /// It was evicted: where it is remembered.
    Evicted(u32),
}

/// A map with a random key, because a trace id may be chosen by a caller.
#[derive(Debug)]
pub(super) struct Places {
    random: RandomState,
    shards: Vec<HashMap<TraceId, Place, RandomState>>,
}

impl Default for Places {
    fn default() -> Self {
        let random = RandomState::default();
        let shards = (0..SHARDS).map(|_| HashMap::with_hasher(random.clone())).collect();
        Self { random, shards }
    }
}

impl Places {
    /// A map uses the lowest and the highest bits of the hash, so the shard is chosen by others.
    fn shard(&self, trace: TraceId) -> usize {
        usize::from(self.random.hash_one(trace).to_le_bytes()[4])
    }

    pub(super) fn get(&self, trace: TraceId) -> Option<Place> {
        self.shards[self.shard(trace)].get(&trace).copied()
    }

    pub(super) fn insert(&mut self, trace: TraceId, place: Place) {
        let shard = self.shard(trace);
        self.shards[shard].insert(trace, place);
    }

    pub(super) fn remove(&mut self, trace: TraceId) {
        let shard = self.shard(trace);
        self.shards[shard].remove(&trace);
    }

    /// The most entries that are moved when a map grows.
    #[cfg(test)]
    pub(super) fn largest(&self) -> usize {
        self.shards.iter().map(HashMap::len).max().unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(HashMap::len).sum()
    }
}
