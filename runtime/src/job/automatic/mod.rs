//! Context propagation into tasks spawned by code that cannot be changed, with Tokio's task hooks.

mod inherited;
mod poll;
mod tasks;

use std::sync::Arc;

use opentelemetry::Context;
use tokio::runtime::Builder;

use self::tasks::Tasks;
use crate::context::current;

#[doc = include_str!("../../../doc/automatic.md")]
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
            .on_before_task_poll(move |task| poll::enter(task.id(), polled.context(task.id())))
            .on_after_task_poll(|task| poll::exit(task.id()))
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
        self.0.count()
    }

    /// Returns the number of tasks that inherited no context because the [limit](Automatic::max_tasks) was reached.
    pub fn missed(&self) -> u64 {
        self.0.missed()
    }
}
