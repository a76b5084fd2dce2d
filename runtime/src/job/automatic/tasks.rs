//! The tasks of a runtime that have inherited a context.

use std::cell::Cell;
use std::hash::{Hash as _, Hasher};
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering};

use opentelemetry::Context;
use tokio::runtime::TaskMeta;
use tokio::task::Id;

use super::Automatic;
use super::inherited::{Inherited, inherited, shared_context, shared_with};
use crate::atomic::AtomicU64;
use crate::context::current;
use crate::job::own;
use crate::table::{Held, Table};

/// Limits the table to 64 KiB.
const MAX_BITS: u32 = 10;

/// Limits of at least this size are divided among the buckets of the table.
const MIN_DIVIDED: usize = 1 << 16;

/// The minimum share of a bucket.
const MIN_SHARE: usize = 1 << 10;

thread_local! {
    /// The number of the last task that has ended on this thread; zero if there is none.
    static LAST_ENDED: Cell<u64> = const { Cell::new(0) };
}

/// The number of a task. Tokio's `Id` exposes it only through `Hash`.
#[inline]
fn number(id: Id) -> u64 {
    #[derive(Default)]
    struct Number(u64);
    impl Hasher for Number {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write_u64(&mut self, id: u64) {
            self.0 = id;
        }
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
            }
        }
    }
    let mut number = Number::default();
    id.hash(&mut number);
    number.finish()
}

/// The contexts of running tasks.
#[derive(Debug)]
pub(super) struct Tasks {
    settings: Automatic,
    table: Table<Inherited>,
    limit: Limit,
    missed: AtomicU64,
}

/// The limit on the number of tasks with a context.
#[derive(Debug)]
enum Limit {
    Global { max: usize, count: AtomicUsize },
    PerBucket(usize),
}

impl Tasks {
    pub(super) fn new(settings: Automatic) -> Self {
        let max = settings.max_tasks;
        let (bits, limit) = if max < MIN_DIVIDED {
            (MAX_BITS, Limit::Global { max, count: AtomicUsize::new(0) })
        } else {
            let bits = (max / MIN_SHARE).ilog2().min(MAX_BITS);
            (bits, Limit::PerBucket(max >> bits))
        };
        Self { settings, table: Table::new(bits, 0), limit, missed: AtomicU64::new(0) }
    }

    /// Returns the number of tasks that have an inherited context.
    pub(super) fn count(&self) -> usize {
        self.table.len()
    }

    /// Returns the number of tasks that inherited nothing because the limit was reached.
    pub(super) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    pub(super) fn spawn(&self, task: &TaskMeta<'_>) {
        if own::is_spawning() {
            return;
        }
        let number = number(task.id());
        // On a runtime that is shutting down, a task terminates before this hook is called.
        if LAST_ENDED.get() == number {
            return;
        }
        let Some((context, is_last)) = current::with(inherited) else { return };
        if self.is_excepted(task.spawned_at()) {
            return;
        }
        if !self.acquire() {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // Checked before the span is started, so that none is recorded for a task that inherits nothing.
        if self.settings.spans && self.hold(number).is_none() {
            return self.miss();
        }
        let inherited = if self.settings.spans {
            Inherited::spanned(context, task.spawned_at())
        } else {
            Inherited::Context(context)
        };
        let Some(mut held) = self.hold(number) else {
            self.miss();
            return inherited.end();
        };
        let previous = held.insert(inherited);
        debug_assert!(previous.is_none(), "task ids are unique among running tasks");
        if is_last && !self.settings.spans {
            shared_with(number);
        }
    }

    /// Acquires a slot of the global limit, if there is one. Returns `false` if it is used up.
    #[inline]
    fn acquire(&self) -> bool {
        let Limit::Global { max, count } = &self.limit else { return true };
        let is_acquired = count.fetch_add(1, Ordering::Relaxed) < *max;
        if !is_acquired {
            self.release();
        }
        is_acquired
    }

    /// Locks the bucket of a task, unless its share is used up.
    #[inline]
    fn hold(&self, number: u64) -> Option<Held<'_, Inherited>> {
        let is_full = |held: &Held<'_, _>| matches!(self.limit, Limit::PerBucket(max) if held.len() >= max);
        self.table.hold(number).filter(|held| !is_full(held))
    }

    /// Releases the slot of a task whose bucket is full, and counts the task as missed.
    #[cold]
    fn miss(&self) {
        self.release();
        self.missed.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    fn release(&self) {
        if let Limit::Global { count, .. } = &self.limit {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn is_excepted(&self, place: &'static Location<'static>) -> bool {
        self.settings.except.iter().any(|path| place.file().contains(path))
    }

    pub(super) fn context(&self, id: Id) -> Option<Context> {
        let number = number(id);
        // Most tasks are polled first on the thread that spawned them.
        if let Some(context) = shared_context(number) {
            return Some(context);
        }
        if !self.table.may_have(number) {
            return None;
        }
        self.table.hold(number)?.get().map(|inherited| inherited.context())
    }

    pub(super) fn end(&self, id: Id) {
        let number = number(id);
        LAST_ENDED.set(number);
        if !self.table.may_have(number) {
            return;
        }
        let ended = self.table.hold(number).and_then(|mut held| held.remove());
        if let Some(ended) = ended {
            self.release();
            ended.end();
        }
    }
}
