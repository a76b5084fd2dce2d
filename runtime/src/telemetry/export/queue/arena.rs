//! An arena that grows in chunks, because it grows under a lock on an application thread.

use std::ops::{Index, IndexMut};

/// The sentinel for "no slot".
pub(super) const NONE: u32 = u32::MAX;

/// The exclusive upper bound of indices.
pub(super) const MAX_INDEX: u32 = 1 << 30;

/// The number of values that are allocated at once.
const CHUNK: usize = 1 << 10;

/// Values with stable indices. Unlike a vector, it does not move all of them when it grows.
#[derive(Debug)]
pub(super) struct Arena<T> {
    chunks: Vec<Vec<Slot<T>>>,
    /// The head of the free list.
    free: u32,
}

#[derive(Debug)]
enum Slot<T> {
    Used(T),
    /// The next free slot.
    Free(u32),
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), free: NONE }
    }
}

impl<T> Arena<T> {
    /// The size of a slot.
    #[cfg(test)]
    pub(super) const SLOT_BYTES: usize = size_of::<Slot<T>>();

    /// The value in a slot, unless the slot is free.
    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        match self.slot(at) {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten().filter_map(|slot| if let Slot::Used(value) = slot { Some(value) } else { None })
    }

    fn slot(&mut self, at: u32) -> &mut Slot<T> {
        let at = at as usize;
        &mut self.chunks[at / CHUNK][at % CHUNK]
    }

    pub(super) fn insert(&mut self, value: T) -> u32 {
        let free = self.free;
        if free != NONE {
            if let Slot::Free(next) = std::mem::replace(self.slot(free), Slot::Used(value)) {
                self.free = next;
            }
            return free;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let full = (self.chunks.len() - 1) * CHUNK;
        let chunk = self.chunks.last_mut().expect("there is at least one chunk");
        chunk.push(Slot::Used(value));
        let at = u32::try_from(full + chunk.len() - 1).ok().filter(|at| *at < MAX_INDEX);
        at.expect("memory runs out before indices")
    }

    pub(super) fn remove(&mut self, at: u32) -> T {
        let free = self.free;
        let Slot::Used(value) = std::mem::replace(self.slot(at), Slot::Free(free)) else { unreachable!("{FREE}") };
        self.free = at;
        value
    }
}

const FREE: &str = "index used after its value was removed";

impl<T> Index<u32> for Arena<T> {
    type Output = T;

    fn index(&self, at: u32) -> &T {
        let at = at as usize;
        let Slot::Used(value) = &self.chunks[at / CHUNK][at % CHUNK] else { unreachable!("{FREE}") };
        value
    }
}

impl<T> IndexMut<u32> for Arena<T> {
    fn index_mut(&mut self, at: u32) -> &mut T {
        let Slot::Used(value) = self.slot(at) else { unreachable!("{FREE}") };
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_stable_and_slots_are_reused() {
        let mut arena = Arena::default();
        let indices: Vec<_> = (0..3 * CHUNK).map(|value| arena.insert(value)).collect();
        for (value, at) in indices.iter().enumerate().step_by(2) {
            assert_eq!(arena.remove(*at), value);
        }
        for value in 0..3 * CHUNK / 2 {
            arena.insert(10 * CHUNK + value);
        }
        assert_eq!(arena.chunks.len(), 3);
        assert!(indices.iter().enumerate().skip(1).step_by(2).all(|(value, at)| arena[*at] == value));
    }
}
