//! The registry of open spans, which is used to end them on shutdown and to warn about those that stay open.

use std::borrow::Cow;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};

/// How many slots are tried for a new span.
const TRIES: usize = 8;

static TABLE: OnceLock<Arc<Table>> = OnceLock::new();

/// A table of fixed size. A span for which no slot is found is not registered, and is counted.
#[derive(Debug)]
pub(crate) struct Table {
    slots: Box<[Mutex<Option<Entry>>]>,
    next: AtomicUsize,
    missed: AtomicU64,
    begun: Instant,
    /// Milliseconds since `begun`, updated by [`tick`](Self::tick): reading the clock for every span would dominate
    /// the cost of registering it.
    now: AtomicU64,
}

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
    pub(crate) fn new(size: usize) -> Self {
        Self {
            slots: (0..size).map(|_| Mutex::new(None)).collect(),
            next: AtomicUsize::new(0),
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

    fn add(
        self: &Arc<Self>,
        context: &Context,
        name: Cow<'static, str>,
        place: Option<&'static Location<'static>>,
    ) -> Option<Ticket> {
        for _ in 0..TRIES.min(self.slots.len()) {
            let at = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len();
            // A locked slot counts as taken.
            let Ok(mut free) = self.slots[at].try_lock() else { continue };
            if free.is_none() {
                let since = self.now.load(Ordering::Relaxed);
                *free = Some(Entry { context: context.clone(), name, place, since, reported: false });
                return Some(Ticket { table: Arc::clone(self), at });
            }
        }
        self.missed.fetch_add(1, Ordering::Relaxed);
        None
    }

    fn at(&self, at: usize) -> std::sync::MutexGuard<'_, Option<Entry>> {
        self.slots[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `look` for every open span with the time it has been open.
    pub(crate) fn each(&self, mut look: impl FnMut(&Entry, Duration)) {
        self.tick();
        let now = self.now.load(Ordering::Relaxed);
        for at in 0..self.slots.len() {
            if let Some(entry) = &*self.at(at) {
                look(entry, Duration::from_millis(now.saturating_sub(entry.since)));
            }
        }
    }

    /// Returns the spans that are older than `limit` and have not been returned before.
    pub(crate) fn overdue(&self, limit: Duration) -> Vec<(Overdue, Duration)> {
        let now = self.now.load(Ordering::Relaxed);
        let mut overdue = Vec::new();
        for at in 0..self.slots.len() {
            let mut place = self.at(at);
            let Some(entry) = place.as_mut().filter(|entry| !entry.reported) else { continue };
            let age = Duration::from_millis(now.saturating_sub(entry.since));
            if age >= limit {
                entry.reported = true;
                // Logged later, without the lock: logging may be slow, and must not keep the span from ending.
                overdue
                    .push((Overdue { identity: entry.identity(), name: entry.name.clone(), place: entry.place }, age));
            }
        }
        overdue
    }

    /// Removes all spans, each with the time it has been open.
    pub(crate) fn drain(&self) -> Vec<(Entry, Duration)> {
        self.tick();
        let now = self.now.load(Ordering::Relaxed);
        let age = |entry: &Entry| Duration::from_millis(now.saturating_sub(entry.since));
        let taken = (0..self.slots.len()).filter_map(|at| self.at(at).take());
        taken
            .map(|entry| {
                let age = age(&entry);
                (entry, age)
            })
            .collect()
    }

    /// How many spans could not be registered.
    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

/// A span's slot in the table.
#[derive(Debug)]
pub(crate) struct Ticket {
    table: Arc<Table>,
    at: usize,
}

impl Ticket {
    /// Frees the slot, unless the table was drained and another span is using it now.
    pub(crate) fn give_back(self, context: &Context) {
        let mut place = self.table.at(self.at);
        let own = context.span().span_context().span_id();
        let entry = place.take_if(|entry| entry.context.span().span_context().span_id() == own);
        drop(place);
        // Dropped without the lock, because dropping the context may run arbitrary destructors.
        drop(entry);
    }
}

/// Whether this process registers open spans.
#[inline]
pub(crate) fn is_listed() -> bool {
    TABLE.get().is_some()
}

/// Registers a span that has started.
pub(crate) fn list(
    context: &Context,
    name: Cow<'static, str>,
    place: Option<&'static Location<'static>>,
) -> Option<Ticket> {
    TABLE.get()?.add(context, name, place)
}

/// The table of this process; the first call determines its size.
pub(crate) fn table(size: usize) -> Arc<Table> {
    Arc::clone(TABLE.get_or_init(|| Arc::new(Table::new(size))))
}
