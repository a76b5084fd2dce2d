//! The location of each trace, by its ID.

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use foldhash::quality::RandomState;

use super::arena::MAX_INDEX;
use super::lists::Id;

/// The number of maps. When one grows, only its own entries are moved.
const SHARDS: usize = 1 << 8;

/// The location of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Queued, with its index in the arena of traces.
    Queued(u32),
    /// Exported at least in part, and not queued, with its position among the remembered traces.
    Exported(u32),
    /// Evicted, with its position among the remembered traces.
    Evicted(u32),
}

/// A [`Place`] in 32 bits, two of which are the discriminant.
#[derive(Debug, Clone, Copy)]
struct Packed(u32);

impl From<Place> for Packed {
    fn from(place: Place) -> Self {
        Self(match place {
            Place::Queued(at) => at,
            Place::Exported(at) => at | 1 << 30,
            Place::Evicted(at) => at | 2 << 30,
        })
    }
}

impl From<Packed> for Place {
    fn from(Packed(bits): Packed) -> Self {
        let at = bits & (MAX_INDEX - 1);
        match bits >> 30 {
            0 => Self::Queued(at),
            1 => Self::Exported(at),
            _ => Self::Evicted(at),
        }
    }
}

/// A map with a randomly keyed hash, because callers may choose trace IDs (`HashDoS`).
#[derive(Debug)]
pub(super) struct Places {
    random: RandomState,
    shards: Vec<HashMap<Id, Packed, RandomState>>,
}

impl Default for Places {
    fn default() -> Self {
        let random = RandomState::default();
        let shards = (0..SHARDS).map(|_| HashMap::with_hasher(random.clone())).collect();
        Self { random, shards }
    }
}

impl Places {
    /// Chooses the shard by the middle bits of the hash, because a map uses the lowest and the highest ones.
    fn shard(&self, trace: Id) -> usize {
        usize::from(self.random.hash_one(trace).to_le_bytes()[4])
    }

    pub(super) fn get(&self, trace: Id) -> Option<Place> {
        self.shards[self.shard(trace)].get(&trace).copied().map(Place::from)
    }

    pub(super) fn insert(&mut self, trace: Id, place: Place) {
        let shard = self.shard(trace);
        self.shards[shard].insert(trace, place.into());
    }

    pub(super) fn remove(&mut self, trace: Id) {
        let shard = self.shard(trace);
        self.shards[shard].remove(&trace);
    }

    /// The maximum number of entries that are moved when a map grows.
    #[cfg(test)]
    pub(super) fn largest(&self) -> usize {
        self.shards.iter().map(HashMap::len).max().unwrap_or_default()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(HashMap::len).sum()
    }
}
