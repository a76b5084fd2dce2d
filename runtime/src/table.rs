//! A concurrent map keyed by numbers that are assigned elsewhere: the IDs of spans and of tasks.
//!
//! A hash map with a fixed number of buckets, each with its own lock and inline room for one value. A bucket rarely has
//! more than one, so a lookup usually takes the lock and one comparison, and nothing is allocated.
//!
//! No application code may be called while a bucket is held, because a thread that holds a lock of the application may
//! need the same bucket.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::mem;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::atomic::AtomicU64;

/// Fibonacci hashing: consecutive numbers are spread far apart.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

type Map<T> = HashMap<u64, T, BuildHasherDefault<NumberHasher>>;

#[derive(Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, number: u64) {
        // The hash map uses the lowest bits, which the numbers of one bucket may share, and the highest.
        self.0 = number.wrapping_mul(SPREAD).rotate_left(26);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }
}

/// The values whose numbers hash to the same bucket.
struct Bucket<T> {
    /// The number of `first`.
    number: u64,
    first: Option<T>,
    more: Option<Box<Map<T>>>,
}

/// Aligned to avoid false sharing.
#[repr(align(64))]
struct Locked<T> {
    /// The number of the only value, [`NONE`] or [`MANY`]. Written while the bucket is held.
    only: AtomicU64,
    bucket: Mutex<Bucket<T>>,
}

const NONE: u64 = 0;
const MANY: u64 = u64::MAX;

/// A map from numbers to values.
pub(crate) struct Table<T> {
    buckets: Box<[Locked<T>]>,
    shift: u32,
    /// The number of high bits of a number that are ignored for choosing its bucket.
    ignored: u32,
}

thread_local! {
    /// Whether this thread holds a bucket. A traced allocator may be called while a bucket grows, and must not try to
    /// lock it again.
    static HOLDS: Cell<bool> = const { Cell::new(false) };
}

/// A locked bucket, for access to the value of `number`.
pub(crate) struct Held<'a, T> {
    bucket: MutexGuard<'a, Bucket<T>>,
    only: &'a AtomicU64,
    number: u64,
}

impl<T> Drop for Held<'_, T> {
    #[inline]
    fn drop(&mut self) {
        HOLDS.set(false);
    }
}

impl<T> Table<T> {
    /// Creates a table with 2 to the power of `bits` buckets, at least two.
    pub(crate) fn new(bits: u32, ignored: u32) -> Self {
        let empty = || Mutex::new(Bucket { number: NONE, first: None, more: None });
        let bucket = || Locked { only: AtomicU64::new(NONE), bucket: empty() };
        Self { buckets: (0..1_u64 << bits).map(|_| bucket()).collect(), shift: u64::BITS - bits, ignored }
    }

    #[inline]
    fn bucket(&self, number: u64) -> &Locked<T> {
        let hash = (number << self.ignored).wrapping_mul(SPREAD) >> self.shift;
        &self.buckets[usize::try_from(hash).unwrap_or_default()]
    }

    /// Whether there may be a value for this number, without waiting for the lock of the bucket. Insertions that
    /// happened before the caller learned the number are visible.
    #[inline]
    #[cfg(any(test, all(feature = "tokio", tokio_unstable)))]
    pub(crate) fn may_have(&self, number: u64) -> bool {
        let only = self.bucket(number).only.load(Ordering::Relaxed);
        only == number || only == MANY
    }

    /// Returns the number of values.
    #[cfg(all(feature = "tokio", tokio_unstable))]
    pub(crate) fn len(&self) -> usize {
        let locked =
            self.buckets.iter().map(|Locked { bucket, .. }| bucket.lock().unwrap_or_else(PoisonError::into_inner));
        locked.map(|bucket| bucket.len()).sum()
    }

    /// Locks the bucket of a number. Returns `None` if this thread already holds a bucket.
    #[inline]
    pub(crate) fn hold(&self, number: u64) -> Option<Held<'_, T>> {
        let Locked { only, bucket } = self.bucket(number);
        if HOLDS.replace(true) {
            return None;
        }
        Some(Held { bucket: bucket.lock().unwrap_or_else(PoisonError::into_inner), only, number })
    }

    /// Removes and returns all values.
    #[cfg(any(test, feature = "tracing"))]
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.buckets.iter_mut().flat_map(|Locked { bucket, .. }| {
            let bucket = bucket.get_mut().unwrap_or_else(PoisonError::into_inner);
            let more = mem::take(&mut bucket.more);
            bucket.first.take().into_iter().chain(more.into_iter().flat_map(|more| more.into_values()))
        })
    }
}

#[cfg(all(feature = "tokio", tokio_unstable))]
impl<T> Bucket<T> {
    #[inline]
    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.as_ref().map_or(0, |more| more.len())
    }
}

impl<T> Held<'_, T> {
    /// Returns the number of values in the bucket.
    #[inline]
    #[cfg(all(feature = "tokio", tokio_unstable))]
    pub(crate) fn len(&self) -> usize {
        self.bucket.len()
    }

    #[inline]
    pub(crate) fn get(&mut self) -> Option<&mut T> {
        let bucket = &mut *self.bucket;
        if bucket.number == self.number && bucket.first.is_some() {
            return bucket.first.as_mut();
        }
        bucket.more.as_mut()?.get_mut(&self.number)
    }

    /// Inserts a value, and returns the previous one.
    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> Option<T> {
        if let Some(known) = self.get() {
            return Some(mem::replace(known, value));
        }
        let bucket = &mut *self.bucket;
        if bucket.first.is_none() {
            bucket.number = self.number;
            bucket.first = Some(value);
            let is_only = bucket.more.as_ref().is_none_or(|more| more.is_empty());
            self.only.store(if is_only { self.number } else { MANY }, Ordering::Relaxed);
            return None;
        }
        self.only.store(MANY, Ordering::Relaxed);
        bucket.more.get_or_insert_default().insert(self.number, value)
    }

    #[inline]
    pub(crate) fn remove(&mut self) -> Option<T> {
        let bucket = &mut *self.bucket;
        let removed = if bucket.number == self.number && bucket.first.is_some() {
            bucket.first.take()
        } else {
            bucket.more.as_mut()?.remove(&self.number)
        };
        let only = match &bucket.more {
            Some(more) if !more.is_empty() => MANY,
            _ if bucket.first.is_some() => bucket.number,
            _ => NONE,
        };
        self.only.store(only, Ordering::Relaxed);
        removed
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_among_others_in_their_bucket() {
        let mut table = Table::new(1, 0);
        let insert = |number, value| table.hold(number).expect("no other bucket is held").insert(value);
        for number in 0..100 {
            assert_eq!(insert(number, number), None);
        }
        assert_eq!(insert(7, 700), Some(7));
        assert!((0..100).all(|number| table.may_have(number)));
        let get = |number| table.hold(number).expect("no other bucket is held").get().copied();
        let remove = |number| table.hold(number).expect("no other bucket is held").remove();
        // Removes both inline values and others.
        for number in (0..100).step_by(2) {
            assert_eq!((remove(number), remove(number), get(number)), (Some(number), None, None));
        }
        assert_eq!(insert(100, 100), None);
        assert_eq!((get(7), get(9), get(100), get(101)), (Some(700), Some(9), Some(100), None));
        let mut left: Vec<_> = table.drain().collect();
        left.sort_unstable();
        assert_eq!(left.len(), 51);
        assert_eq!((left[0], left[50]), (1, 700));
    }

    #[test]
    fn may_have_is_true_for_remaining_values_and_false_for_empty_buckets() {
        let remove = |table: &Table<_>, number| table.hold(number).expect("no other bucket is held").remove();
        // With two buckets, at least two of three numbers share one.
        for (left, removed) in [(1, [2, 3]), (2, [1, 3]), (2, [3, 1]), (3, [2, 1]), (3, [1, 2]), (1, [3, 2])] {
            let table = Table::new(1, 0);
            for number in 1..=3 {
                assert_eq!(table.hold(number).expect("no other bucket is held").insert(number), None);
                assert!((1..=number).all(|number| table.may_have(number)));
            }
            for number in removed {
                assert_eq!(remove(&table, number), Some(number));
                assert!(table.may_have(left), "{left} after {number}");
            }
            assert_eq!(remove(&table, left), Some(left));
            assert!((1..=3).all(|number| !table.may_have(number)));
        }
    }

    #[test]
    fn a_thread_that_holds_a_bucket_does_not_deadlock_with_itself() {
        let table = Table::new(1, 0);
        let held = table.hold(1).expect("no other bucket is held");
        assert!(table.hold(1).is_none() && table.hold(2).is_none());
        drop(held);
        assert_eq!(table.hold(1).expect("no other bucket is held").insert(()), None);
    }
}
