//! Which spans are open, for those who have to end them or to ask why they do not.

use std::borrow::Cow;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};

/// How many places a span tries to find a free one.
const TRIES: usize = 8;

static TABLE: OnceLock<Arc<Table>> = OnceLock::new();

/// A table of a fixed size. A span that finds no place is not in it, and is counted.
#[derive(Debug)]
pub(crate) struct Table {
    places: Box<[Mutex<Option<Entry>>]>,
    next: AtomicUsize,
    missed: AtomicU64,
    begun: Instant,
    /// Milliseconds since `begun`, told by [`tick`](Self::tick): reading a clock for every span
    /// would cost more than all the rest.
    now: AtomicU64,
}

/// An open span.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) context: Context,
    pub(crate) name: Cow<'static, str>,
    pub(crate) place: Option<&'static Location<'static>>,
    since: u64,
    told: bool,
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
            places: (0..size).map(|_| Mutex::new(None)).collect(),
            next: AtomicUsize::new(0),
            missed: AtomicU64::new(0),
            begun: Instant::now(),
            now: AtomicU64::new(0),
        }
    }

    /// Moves the table's clock.
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
        for _ in 0..TRIES.min(self.places.len()) {
            let at = self.next.fetch_add(1, Ordering::Relaxed) % self.places.len();
            // A place that somebody looks at is as good as taken.
            let Ok(mut free) = self.places[at].try_lock() else { continue };
            if free.is_none() {
                let since = self.now.load(Ordering::Relaxed);
                *free = Some(Entry { context: context.clone(), name, place, since, told: false });
                return Some(Ticket { table: Arc::clone(self), at });
            }
        }
        self.missed.fetch_add(1, Ordering::Relaxed);
        None
    }

    fn at(&self, at: usize) -> std::sync::MutexGuard<'_, Option<Entry>> {
        self.places[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at every open span and how long it has been open, oldest places first.
    pub(crate) fn each(&self, mut look: impl FnMut(&Entry, Duration)) {
        self.tick();
        let now = self.now.load(Ordering::Relaxed);
        for at in 0..self.places.len() {
            if let Some(entry) = &*self.at(at) {
                look(entry, Duration::from_millis(now.saturating_sub(entry.since)));
            }
        }
    }

    /// Those that are older than `limit` and have not been told of.
    pub(crate) fn overdue(&self, limit: Duration) -> Vec<(Overdue, Duration)> {
        let now = self.now.load(Ordering::Relaxed);
        let mut overdue = Vec::new();
        for at in 0..self.places.len() {
            let mut place = self.at(at);
            let Some(entry) = place.as_mut().filter(|entry| !entry.told) else { continue };
            let age = Duration::from_millis(now.saturating_sub(entry.since));
            if age >= limit {
                entry.told = true;
                // Told of without the lock: a log may be slow, and the span must be free to end.
                overdue
                    .push((Overdue { identity: entry.identity(), name: entry.name.clone(), place: entry.place }, age));
            }
        }
        overdue
    }

    /// Takes all entries out, each with how long it has been open.
    pub(crate) fn drain(&self) -> Vec<(Entry, Duration)> {
        self.tick();
        let now = self.now.load(Ordering::Relaxed);
        let age = |entry: &Entry| Duration::from_millis(now.saturating_sub(entry.since));
        let taken = (0..self.places.len()).filter_map(|at| self.at(at).take());
        taken
            .map(|entry| {
                let age = age(&entry);
                (entry, age)
            })
            .collect()
    }

    /// How many spans found no place.
    pub(crate) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

/// A span's place in the table, until it is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    table: Arc<Table>,
    at: usize,
}

impl Ticket {
    /// Frees the place, unless the table was emptied and another span has it now.
    pub(crate) fn give_back(self, context: &Context) {
        let mut place = self.table.at(self.at);
        let own = context.span().span_context().span_id();
        let entry = place.take_if(|entry| entry.context.span().span_context().span_id() == own);
        drop(place);
        // Its context may be the last to hold something with a destructor: not under the lock.
        drop(entry);
    }
}

/// Whether spans are listed in this process.
#[inline]
pub(crate) fn is_listed() -> bool {
    TABLE.get().is_some()
}

/// Puts a span that has started into the table.
pub(crate) fn list(
    context: &Context,
    name: Cow<'static, str>,
    place: Option<&'static Location<'static>>,
) -> Option<Ticket> {
    TABLE.get()?.add(context, name, place)
}

/// The table of this process; the first call says how large it is.
pub(crate) fn table(size: usize) -> Arc<Table> {
    Arc::clone(TABLE.get_or_init(|| Arc::new(Table::new(size))))
}
