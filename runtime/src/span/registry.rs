//! The registry of open spans, which is used to end them on shutdown and to warn about those that stay open.

use std::borrow::Cow;
use std::cell::RefCell;
use std::num::NonZeroU32;
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};

use crate::atomic::AtomicU64;
use crate::guard::reentrance::Busy;
use crate::tags::draft::copied;

static TABLE: OnceLock<Table> = OnceLock::new();

/// A table of fixed size. A span for which no slot is left is not registered, and is counted.
#[derive(Debug)]
pub(crate) struct Table {
    slots: Box<[Mutex<Option<Entry>>]>,
    /// The index of the first slot that was never used.
    unused: AtomicUsize,
    /// The free list: slots that were used, except for those that threads keep.
    free: Mutex<Vec<usize>>,
    /// The number of spans that found no slot.
    missed: AtomicU64,
    begun: Instant,
    /// Milliseconds since `begun`, updated by [`tick`](Self::tick): reading the clock for every span would dominate
    /// the cost of registering it.
    now: AtomicU64,
}

/// Free slots that a thread keeps for its next spans, so that threads do not contend for the free list.
#[derive(Default)]
struct Kept {
    slots: Vec<usize>,
    /// The number of slots that the thread has taken from the free list, up to [`MAX_KEPT`]. It keeps no more: threads
    /// that only end spans, such as those of a blocking pool, would otherwise end up with the whole table.
    max: usize,
}

impl Drop for Kept {
    fn drop(&mut self) {
        // A traced allocator would start spans here, and lock the free list again.
        let _busy = Busy::begin();
        if let Some(table) = TABLE.get() {
            table.free().append(&mut self.slots);
        }
    }
}

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept { slots: Vec::new(), max: 0 }) };
}

/// The maximum number of slots that a thread takes from the free list at once, and that it keeps. It takes no more than it
/// has taken before: thousands of threads with a few spans each would otherwise keep the whole table.
const TAKEN_AT_ONCE: usize = 16;
const MAX_KEPT: usize = 8 * TAKEN_AT_ONCE;

/// The minimum size of a table whose slots threads keep. In a smaller one, they might keep all of them.
const MIN_SIZE_TO_KEEP: usize = 1 << 12;

/// An open span.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) context: Context,
    pub(crate) name: Cow<'static, str>,
    pub(crate) place: Option<&'static Location<'static>>,
    since: u64,
    reported: bool,
}

/// A span that has been open for too long.
#[derive(Debug)]
pub(crate) struct Overdue {
    pub(crate) identity: SpanContext,
    pub(crate) name: Cow<'static, str>,
    pub(crate) place: Option<&'static Location<'static>>,
}

impl Entry {
    pub(crate) fn identity(&self) -> SpanContext {
        self.context.span().span_context().clone()
    }
}

impl Table {
    fn new(size: usize) -> Self {
        Self {
            slots: (0..size.min(u32::MAX as usize - 1)).map(|_| Mutex::new(None)).collect(),
            unused: AtomicUsize::new(0),
            free: Mutex::default(),
            missed: AtomicU64::new(0),
            begun: Instant::now(),
            now: AtomicU64::new(0),
        }
    }

    /// Updates the table's clock.
    pub(crate) fn tick(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.now.store(now, Ordering::Relaxed);
    }

    #[inline(always)]
    fn add(
        &self,
        context: &Context,
        name: Cow<'static, str>,
        place: Option<&'static Location<'static>>,
    ) -> Option<Ticket> {
        let Some(at) = self.take_slot() else {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let since = self.now.load(Ordering::Relaxed);
        *self.at(at) = Some(Entry { context: context.clone(), name, place, since, reported: false });
        Ticket::new(at)
    }

    #[inline]
    fn take_slot(&self) -> Option<usize> {
        let kept = KEPT.try_with(|kept| kept.borrow_mut().slots.pop()).ok().flatten();
        kept.or_else(|| self.take_shared_slots())
    }

    /// Refills the slots of this thread, and returns one of them.
    #[cold]
    fn take_shared_slots(&self) -> Option<usize> {
        let taken_before = KEPT.try_with(|kept| kept.borrow().max).unwrap_or_default();
        let wanted = if self.keeps() { taken_before.clamp(1, TAKEN_AT_ONCE) } else { 1 };
        let mut taken: Vec<usize> = {
            let mut free = self.free();
            let from = free.len().saturating_sub(wanted);
            free.drain(from..).collect()
        };
        if taken.is_empty() {
            let begin = self.unused.fetch_add(wanted, Ordering::Relaxed).min(self.slots.len());
            taken = (begin..self.slots.len().min(begin.saturating_add(wanted))).collect();
            if taken.is_empty() {
                // Keeps the counter near the end, so that it cannot overflow.
                self.unused.store(self.slots.len(), Ordering::Relaxed);
            }
        }
        let slot = taken.pop()?;
        let is_kept = KEPT.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            kept.max = MAX_KEPT.min(kept.max + taken.len() + 1);
            kept.slots.extend_from_slice(&taken);
        });
        if is_kept.is_err() {
            self.free().append(&mut taken);
        }
        Some(slot)
    }

    #[inline(always)]
    fn return_slot(&self, at: usize) {
        let is_kept = self.keeps()
            && KEPT.try_with(|kept| {
                let mut kept = kept.borrow_mut();
                let has_room = kept.slots.len() < kept.max;
                if has_room {
                    kept.slots.push(at);
                }
                has_room
            }) == Ok(true);
        if !is_kept {
            self.free().push(at);
        }
    }

    fn keeps(&self) -> bool {
        self.slots.len() >= MIN_SIZE_TO_KEEP
    }

    fn free(&self) -> MutexGuard<'_, Vec<usize>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline(always)]
    fn at(&self, at: usize) -> MutexGuard<'_, Option<Entry>> {
        self.slots[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The range of slots that have been used.
    fn used(&self) -> std::ops::Range<usize> {
        0..self.unused.load(Ordering::Relaxed).min(self.slots.len())
    }

    /// Calls `look` for every open span with the time it has been open.
    pub(crate) fn each(&self, mut look: impl FnMut(&Entry, Duration)) {
        self.tick();
        let now = self.now.load(Ordering::Relaxed);
        for at in self.used() {
            if let Some(entry) = &*self.at(at) {
                look(entry, Duration::from_millis(now.saturating_sub(entry.since)));
            }
        }
    }

    /// Returns the spans that are older than `limit` and have not been returned before.
    pub(crate) fn overdue(&self, limit: Duration) -> Vec<(Overdue, Duration)> {
        let now = self.now.load(Ordering::Relaxed);
        let mut overdue = Vec::new();
        for at in self.used() {
            let mut place = self.at(at);
            let Some(entry) = place.as_mut().filter(|entry| !entry.reported) else { continue };
            let age = Duration::from_millis(now.saturating_sub(entry.since));
            if age >= limit {
                entry.reported = true;
                // Logged by the caller, without the lock: logging may be slow, and must not block the end of the span.
                overdue
                    .push((Overdue { identity: entry.identity(), name: entry.name.clone(), place: entry.place }, age));
            }
        }
        overdue
    }

    /// Removes the spans for whose context `is_removed` returns `true`, each with the time it has been open.
    pub(crate) fn drain(&self, is_removed: impl Fn(&Context) -> bool) -> Vec<(Entry, Duration)> {
        self.tick();
        let now = self.now.load(Ordering::Relaxed);
        let mut removed = Vec::new();
        for at in self.used() {
            // Called without the lock, because it may lock the span.
            let Some(context) = self.at(at).as_ref().map(|entry| entry.context.clone()) else { continue };
            if is_removed(&context) {
                // Meanwhile, the span may have ended, and another one may be in its place.
                let is_same = |entry: &mut Entry| entry.identity() == *context.span().span_context();
                let Some(entry) = self.at(at).take_if(is_same) else { continue };
                let age = Duration::from_millis(now.saturating_sub(entry.since));
                removed.push((entry, age));
            }
        }
        removed
    }

    /// How many spans could not be registered.
    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

/// A span's slot in the table, counted from one. Small, because it is part of every stack frame and future with an open
/// span.
#[derive(Debug)]
pub(crate) struct Ticket(NonZeroU32);

impl Ticket {
    #[inline]
    fn new(at: usize) -> Option<Self> {
        NonZeroU32::new(u32::try_from(at + 1).ok()?).map(Self)
    }

    /// Replaces the context in the slot.
    pub(crate) fn replace(&self, context: &Context) {
        let Some(table) = TABLE.get() else { return };
        let mut place = table.at(self.0.get() as usize - 1);
        let previous = place.as_mut().map(|entry| std::mem::replace(&mut entry.context, context.clone()));
        // Dropped without the lock, because that may run arbitrary destructors.
        drop(place);
        drop(previous);
    }

    /// Frees the slot and moves its context to `context`, which was a clone of it or empty. If a shutdown has ended the
    /// span, the slot is empty, and `context` is unchanged. The context is not dropped with the lock held, because that
    /// may run arbitrary destructors.
    #[inline(always)]
    pub(crate) fn give_back(self, context: &mut Context) {
        let Some(table) = TABLE.get() else { return };
        let at = self.0.get() as usize - 1;
        let mut place = table.at(at);
        if let Some(entry) = &mut *place {
            std::mem::swap(&mut entry.context, context);
            *place = None;
        }
        drop(place);
        table.return_slot(at);
    }
}

/// Registers a span that has started, if this process registers open spans.
#[inline(always)]
#[expect(clippy::ptr_arg, reason = "keeps a borrowed name borrowed")]
pub(crate) fn list(
    context: &Context,
    name: &Cow<'static, str>,
    place: Option<&'static Location<'static>>,
) -> Option<Ticket> {
    TABLE.get()?.add(context, copied(name), place)
}

/// The table of this process; the first call determines its size.
pub(crate) fn table(size: usize) -> &'static Table {
    TABLE.get_or_init(|| Table::new(size))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// Removes the slots that this thread keeps: they are not those of the table of this process.
    fn forget_kept() -> usize {
        KEPT.with(|kept| std::mem::take(&mut kept.borrow_mut().slots).len())
    }

    #[test]
    fn threads_that_only_end_spans_do_not_keep_their_slots() {
        let table = Table::new(MIN_SIZE_TO_KEEP);
        // More spans than there are slots, but never more than 128 at a time. The threads might all be alive.
        for _ in 0..40 {
            let slots: Vec<_> = (0..MAX_KEPT).map(|_| table.take_slot().expect("a free slot")).collect();
            let end = || {
                for slot in &slots {
                    table.return_slot(*slot);
                }
                forget_kept()
            };
            assert_eq!(thread::scope(|scope| scope.spawn(end).join().expect("no panic")), 0);
        }
        forget_kept();
    }

    #[test]
    fn many_threads_with_few_spans_do_not_keep_the_whole_table() {
        let table = Table::new(MIN_SIZE_TO_KEEP);
        // Each uses two at a time, several times. The threads might all be alive.
        for _ in 0..MIN_SIZE_TO_KEEP / 4 {
            let spans = || {
                for _ in 0..3 {
                    let slots = [(); 2].map(|()| table.take_slot().expect("a free slot"));
                    for slot in slots {
                        table.return_slot(slot);
                    }
                }
                forget_kept()
            };
            assert_eq!(thread::scope(|scope| scope.spawn(spans).join().expect("no panic")), 2);
        }
    }

    #[test]
    fn a_thread_keeps_as_many_slots_as_it_has_needed() {
        let table = Table::new(MIN_SIZE_TO_KEEP);
        for (nested, kept) in [(1, 1), (20, 2 * TAKEN_AT_ONCE), (200, MAX_KEPT)] {
            let slots: Vec<_> = (0..nested).map(|_| table.take_slot().expect("a free slot")).collect();
            for slot in slots {
                table.return_slot(slot);
            }
            assert_eq!(KEPT.with(|kept| kept.borrow().slots.len()), kept);
        }
        forget_kept();
    }
}
