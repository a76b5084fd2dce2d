//! Context propagation into tasks spawned by code that cannot be changed, with Tokio's task hooks.

use std::cell::{Cell, RefCell};
use std::hash::{Hash as _, Hasher};
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use tokio::runtime::{Builder, TaskMeta};
use tokio::task::Id;

use crate::context::current::{self, Attached};
use crate::context::data::Data;
use crate::context::snapshot::Snapshot;
use crate::guard::panics::caught;
use crate::job::own;
use crate::span::builder::SpanBuilder;
use crate::span::handle::Span;
use crate::span::outcome::Outcome;
use crate::table::{Held, Table};

#[doc = include_str!("../../doc/automatic.md")]
#[derive(Debug, Clone)]
#[must_use = "has no effect until it is installed on a runtime's builder"]
pub struct Automatic {
    except: Vec<String>,
    max_tasks: usize,
    spans: bool,
}

impl Automatic {
    /// Creates a configuration that propagates to all tasks, with a limit of 1,048,576 tasks at the same time and
    /// without spans.
    pub fn new() -> Self {
        Self { except: Vec::new(), max_tasks: 1 << 20, spans: false }
    }

    /// Excludes tasks that are spawned in source files whose path contains `path`, such as `/hyper-util-` for that
    /// crate, or `src/pool.rs`.
    ///
    /// The path is that of the call to `spawn`, or of the call to a `#[track_caller]` function around it. Can be called
    /// more than once.
    pub fn except(mut self, path: impl Into<String>) -> Self {
        self.except.push(path.into());
        self
    }

    /// Sets how many tasks may have an inherited context at the same time. Further tasks inherit none and are counted
    /// by [`missed`](AutomaticTasks::missed).
    ///
    /// To avoid contention on a single counter, a limit of 65,536 or more is divided among shards of at least 1,024
    /// tasks. A shard may be full when about nine tenths of the total are in use.
    pub fn max_tasks(mut self, max: usize) -> Self {
        self.max_tasks = max;
        self
    }

    /// Starts a span for each task that is spawned in a span. It is a child of that span, is named `task`, and has the
    /// location of the call to `spawn` as `code.file.path` and `code.line.number`. It starts when the task is spawned
    /// and ends when the task completes, is aborted or panics. The hooks do not distinguish these, so the span status
    /// is never set.
    ///
    /// Throughline's own detached jobs have their own spans and get no additional one.
    pub fn spans(mut self) -> Self {
        self.spans = true;
        self
    }

    /// Sets the task hooks on `builder`, and returns a handle for metrics.
    pub fn install(self, builder: &mut Builder) -> AutomaticTasks {
        let tasks = Arc::new(Tasks::new(self));
        let (spawned, polled, ended) = (Arc::clone(&tasks), Arc::clone(&tasks), Arc::clone(&tasks));
        builder
            .on_task_spawn(move |task| spawned.spawn(task))
            .on_before_task_poll(move |task| enter(task.id(), polled.context(task.id())))
            .on_after_task_poll(|task| exit(task.id()))
            .on_task_terminate(move |task| ended.end(task.id()));
        AutomaticTasks(tasks)
    }
}

impl Default for Automatic {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs `f` with an empty current context, so that tasks it spawns inherit nothing through [`Automatic`] propagation.
///
/// For workers that serve all requests and live as long as the process. A span that `f` itself starts is a root span.
pub fn without_context<R>(f: impl FnOnce() -> R) -> R {
    let _attached = current::attach(Context::new());
    f()
}

/// A handle to the tasks of a runtime with [`Automatic`] propagation.
///
/// Cloning is cheap; all clones refer to the same runtime.
#[derive(Debug, Clone)]
pub struct AutomaticTasks(Arc<Tasks>);

impl AutomaticTasks {
    /// Returns the number of tasks that currently have an inherited context.
    ///
    /// This locks up to a thousand shards, one after the other. Call it for metrics, not for each task.
    pub fn count(&self) -> usize {
        self.0.table.len()
    }

    /// Returns the number of tasks that inherited no context because the [limit](Automatic::max_tasks) was reached.
    pub fn missed(&self) -> u64 {
        self.0.missed.load(Ordering::Relaxed)
    }
}

/// Limits the table to 64 KiB.
const MAX_BITS: u32 = 10;

/// From this limit on, the limit is divided among the buckets of the table, with a share of at least [`MIN_SHARE`]
/// each.
const MIN_DIVIDED: usize = 1 << 16;
const MIN_SHARE: usize = 1 << 10;

/// The number of a task, which is only accessible through its hash.
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

/// The inheritance of a task.
#[derive(Debug)]
enum Inherited {
    Context(Context),
    /// A span of its own, which is open until the task ends.
    Spanned(Box<Span>),
}

impl Inherited {
    /// Starts a span for the task that is being spawned at this place.
    fn spanned(context: Context, place: &'static Location<'static>) -> Self {
        if !context.span().span_context().is_valid() {
            return Self::Context(context);
        }
        // Samplers and span processors of the application's are called, whose panics must not reach the library.
        match caught(|| SpanBuilder::new("task").placed(place).detached().start()) {
            Some(span) if !span.is_none() => Self::Spanned(Box::new(span)),
            _ => Self::Context(context),
        }
    }

    /// Releases the inheritance of a task that has ended. Not called under a lock, and catches panics, because
    /// extensions may have destructors.
    #[inline]
    fn end(self) {
        let _ = caught(|| {
            if let Self::Spanned(mut span) = self {
                span.end(Outcome::default);
            }
        });
    }

    fn context(&self) -> Context {
        match self {
            Self::Context(context) => context.clone(),
            Self::Spanned(span) => span.context(),
        }
    }
}

/// The contexts of running tasks.
#[derive(Debug)]
struct Tasks {
    settings: Automatic,
    table: Table<Inherited>,
    limit: Limit,
    missed: AtomicU64,
}

/// The limit of tasks with a context.
#[derive(Debug)]
enum Limit {
    Together { max: usize, count: AtomicUsize },
    InEachBucket(usize),
}

impl Tasks {
    fn new(settings: Automatic) -> Self {
        let max = settings.max_tasks;
        let (bits, limit) = if max < MIN_DIVIDED {
            (MAX_BITS, Limit::Together { max, count: AtomicUsize::new(0) })
        } else {
            let bits = (max / MIN_SHARE).ilog2().min(MAX_BITS);
            (bits, Limit::InEachBucket(max >> bits))
        };
        Self { settings, table: Table::new(bits, 0), limit, missed: AtomicU64::new(0) }
    }

    fn spawn(&self, task: &TaskMeta<'_>) {
        if own::is_spawning() {
            return;
        }
        let number = number(task.id());
        // On a runtime that is shut down, a task ends before this hook is called.
        if LAST_ENDED.get() == number {
            return;
        }
        let Some((context, is_last)) = current::with(inherited) else { return };
        if self.is_excepted(task.spawned_at()) {
            return;
        }
        if !self.has_room() {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // Before a span is started, so that none is recorded in vain.
        if self.settings.spans && self.hold(number).is_none() {
            return self.misses();
        }
        let inherited = if self.settings.spans {
            Inherited::spanned(context, task.spawned_at())
        } else {
            Inherited::Context(context)
        };
        let Some(mut held) = self.hold(number) else {
            self.misses();
            return inherited.end();
        };
        let previous = held.insert(inherited);
        debug_assert!(previous.is_none(), "ids of tasks that have not ended are unique");
        if is_last && !self.settings.spans {
            LAST_TASK.set(number);
        }
    }

    /// Counts a task, unless there are too many.
    #[inline]
    fn has_room(&self) -> bool {
        let Limit::Together { max, count } = &self.limit else { return true };
        let has_room = count.fetch_add(1, Ordering::Relaxed) < *max;
        if !has_room {
            self.leaves();
        }
        has_room
    }

    /// Locks the bucket of a task, unless its share is used up.
    #[inline]
    fn hold(&self, number: u64) -> Option<Held<'_, Inherited>> {
        let is_full = |held: &Held<'_, _>| matches!(self.limit, Limit::InEachBucket(max) if held.len() >= max);
        self.table.hold(number).filter(|held| !is_full(held))
    }

    /// Undoes the count of a task for which there is no room, and counts it as missed.
    #[cold]
    fn misses(&self) {
        self.leaves();
        self.missed.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    fn leaves(&self) {
        if let Limit::Together { count, .. } = &self.limit {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn is_excepted(&self, place: &'static Location<'static>) -> bool {
        self.settings.except.iter().any(|path| place.file().contains(path))
    }

    fn context(&self, id: Id) -> Option<Context> {
        let number = number(id);
        // Most tasks are polled first on the thread that spawned them.
        if LAST_TASK.get() == number {
            let known = LAST.try_with(|last| last.borrow().as_ref().map(|last| last.context.clone()));
            if let Ok(Some(context)) = known {
                return Some(context);
            }
        }
        if !self.table.may_have(number) {
            return None;
        }
        self.table.hold(number)?.get().map(|inherited| inherited.context())
    }

    fn end(&self, id: Id) {
        let number = number(id);
        LAST_ENDED.set(number);
        if !self.table.may_have(number) {
            return;
        }
        let ended = self.table.hold(number).and_then(|mut held| held.remove());
        if let Some(ended) = ended {
            self.leaves();
            ended.end();
        }
    }
}

/// Returns the context that a task inherits, which does not hold the span itself, and whether it is the one in
/// [`LAST`]. `None` if there is nothing to inherit.
fn inherited(current: &Context) -> Option<(Context, bool)> {
    let (span, data) = (current.span(), Data::of(current));
    let identity = span.span_context();
    if !identity.is_valid() && data.is_none() && !current.is_telemetry_suppressed() && current.baggage().is_empty() {
        return None;
    }
    // What else there is belongs to the span, or is nothing. Data with a provider must not be held for longer.
    let may_be_shared = identity.is_valid()
        && !current.is_telemetry_suppressed()
        && current.baggage().is_empty()
        && data.is_none_or(|data| data.is_only_tags());
    if !may_be_shared {
        return Snapshot::from_context(current).unless_empty().map(|snapshot| (snapshot.to_context(), false));
    }
    let known = LAST.try_with(|last| last.borrow().as_ref().and_then(|last| last.of(identity, data))).ok().flatten();
    if let Some(known) = known {
        return Some((known, true));
    }
    let context = Snapshot::from_context(current).to_context();
    let last = Last { identity: identity.clone(), data: data.map(Arc::clone), context: context.clone() };
    LAST_TASK.set(0);
    let before = LAST.try_with(|known| known.replace(Some(last)));
    let is_last = before.is_ok();
    drop(before);
    Some((context, is_last))
}

/// The inheritance of the task that was last spawned on this thread.
struct Last {
    identity: SpanContext,
    data: Option<Arc<Data>>,
    context: Context,
}

impl Last {
    /// Returns the context, if it was made from the same span context and data.
    fn of(&self, identity: &SpanContext, data: Option<&Arc<Data>>) -> Option<Context> {
        let has_same_data = match (&self.data, data) {
            (Some(known), Some(data)) => Arc::ptr_eq(known, data),
            (None, None) => true,
            _ => false,
        };
        (has_same_data && self.identity == *identity).then(|| self.context.clone())
    }
}

thread_local! {
    /// The last inheritance, so that the tasks that a span spawns share a context.
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };

    /// The number of the last task that was spawned with it; zero if there is none.
    static LAST_TASK: Cell<u64> = const { Cell::new(0) };

    /// The number of the last task that has ended on this thread; zero if there is none.
    static LAST_ENDED: Cell<u64> = const { Cell::new(0) };

    /// The contexts that the polls on this thread have attached, with their tasks. There may be several, because a task
    /// may run another runtime.
    static POLLS: RefCell<Vec<(Id, Attached)>> = const { RefCell::new(Vec::new()) };
}

#[inline]
fn enter(task: Id, context: Option<Context>) {
    // Most tasks of a process may have none.
    let Some(context) = context else { return };
    let polled = (task, current::attach(context));
    let _ = POLLS.try_with(|polls| polls.borrow_mut().push(polled));
}

#[inline]
fn exit(task: Id) {
    let polled = POLLS.try_with(|polls| {
        let mut polls = polls.borrow_mut();
        if polls.last().is_some_and(|(polled, _)| *polled == task) { polls.pop() } else { None }
    });
    // Outside of the borrow: the context may be the last owner of values with destructors.
    if let Ok(Some((_, attached))) = polled {
        let _ = caught(|| drop(attached));
    }
}
