//! A span for each task, on request.

use opentelemetry::trace::{Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use throughline::testing::{Capture, FinishedSpan};
use throughline::{Automatic, AutomaticTasks, ContextExt as _, Value, in_span, in_span_async, without_context};
use tokio::runtime::{Builder, LocalOptions, Runtime};
use tokio::sync::oneshot;

fn runtime(automatic: Automatic) -> (Runtime, AutomaticTasks) {
    let mut builder = Builder::new_current_thread();
    let tasks = automatic.install(&mut builder);
    (builder.enable_all().build().expect("a runtime"), tasks)
}

fn run(automatic: Automatic, work: impl Future<Output = ()>) -> Capture {
    let (runtime, tasks) = runtime(automatic);
    let capture = Capture::new();
    runtime.block_on(capture.run_async(work));
    drop(runtime);
    assert_eq!((tasks.count(), capture.open()), (0, 0));
    capture
}

fn line_of(span: &FinishedSpan) -> Option<&Value> {
    span.attribute("code.line.number")
}

#[test]
fn a_task_has_a_span_where_it_is_asked_for() {
    let mut line = 0;
    let work = in_span_async("request", async {
        line = i64::from(line!()) + 1;
        let task = tokio::spawn(async {
            in_span("first", || ());
            tokio::task::yield_now().await;
            in_span("second", || ());
            tokio::spawn(async { in_span("third", || ()) }).await.expect("no panic");
        });
        task.await.expect("no panic");
    });
    let capture = run(Automatic::new().spans(), work);
    capture.assert_tree(
        "
        request
        └── task
            ├── first
            ├── second
            └── task
                └── third
        ",
    );
    let tasks = capture.named("task");
    // The inner one ends first.
    let outer = &tasks[1];
    assert_eq!(line_of(outer), Some(&Value::I64(line)));
    assert!(
        matches!(outer.attribute("code.file.path"), Some(Value::String(file)) if file.as_str().ends_with("spans.rs"))
    );
    assert_eq!(outer.status, Status::Unset);
}

#[test]
fn without_it_there_is_none() {
    let work = in_span_async("request", async {
        tokio::spawn(async { in_span("work", || ()) }).await.expect("no panic");
    });
    run(Automatic::new(), work).assert_tree("request\n└── work");
}

/// It ends with the task, and does not extend the request.
#[test]
fn it_is_open_for_as_long_as_the_task() {
    let (runtime, tasks) = runtime(Automatic::new().spans());
    let capture = Capture::new();
    let (finish, finished) = oneshot::channel::<()>();
    let mut task = None;
    runtime.block_on(capture.run_async(in_span_async("request", async {
        task = Some(tokio::spawn(async { finished.await.expect("a sender") }));
    })));
    assert_eq!((capture.spans().len(), capture.open(), tasks.count()), (1, 1, 1));
    finish.send(()).expect("a receiver");
    runtime.block_on(task.expect("it was spawned")).expect("no panic");
    assert_eq!((capture.spans().len(), capture.open(), tasks.count()), (2, 0, 0));
    assert!(capture.span("task").is_child_of(&capture.span("request")));
}

/// Wherever it was: before its first poll, waiting, or spawned while the others are dropped.
#[test]
fn it_ends_with_the_runtime_of_a_task_that_has_not() {
    struct SpawnsInDrop;

    impl Drop for SpawnsInDrop {
        fn drop(&mut self) {
            drop(tokio::spawn(std::future::pending::<()>()));
        }
    }

    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let tasks = Automatic::new().spans().install(builder.worker_threads(1));
        let runtime = builder.build().expect("a runtime");
        let capture = Capture::new();
        let (start, started) = oneshot::channel();
        runtime.block_on(capture.run_async(in_span_async("request", async {
            tokio::spawn(async {
                let _spawns = SpawnsInDrop;
                start.send(()).expect("a receiver");
                std::future::pending::<()>().await;
            });
            started.await.expect("a sender");
            tokio::spawn(std::future::pending::<()>());
        })));
        assert_eq!((capture.open(), tasks.count()), (2, 2));
        let handle = runtime.handle().clone();
        drop(runtime);
        capture.run(|| in_span("late", || drop(handle.spawn(async {}))));
        assert_eq!((capture.open(), tasks.count(), tasks.missed()), (0, 0, 0), "{capture:?}");
        capture.assert_tree("request\n├── task\n└── task\nlate");
        for task in capture.named("task") {
            assert!(task.status == Status::Unset && !task.is_cancelled(), "{task:?}");
        }
    }
}

/// A task that is left out has no span.
#[test]
fn there_are_as_many_as_tasks_with_a_context() {
    const SPAWNED: usize = 100;
    // The second limit is divided, and reached by tasks that have a tag and no span.
    for (max, others) in [(2, 0), (1 << 16, (1 << 16) + (1 << 14))] {
        let (runtime, tasks) = runtime(Automatic::new().max_tasks(max).spans());
        let _entered = runtime.enter();
        let tagged = Context::new().with_tags([KeyValue::new("tenant_id", "acme")]).attach();
        for _ in 0..others {
            drop(tokio::spawn(std::future::pending::<()>()));
        }
        drop(tagged);
        let (count, missed) = (tasks.count(), tasks.missed());
        let capture = Capture::new();
        capture.run(|| {
            in_span("request", || {
                for _ in 0..SPAWNED {
                    drop(tokio::spawn(std::future::pending::<()>()));
                }
            });
        });
        assert!(tasks.missed() > missed);
        assert_eq!((capture.open(), capture.spans().len()), (tasks.count() - count, 1), "{}", capture.tree());
    }
}

/// The hooks do not tell how a task has ended.
#[test]
fn the_outcome_is_unknown() {
    let work = in_span_async("request", async {
        let aborted = tokio::spawn(std::future::pending::<()>());
        aborted.abort();
        assert!(aborted.await.expect_err("aborted").is_cancelled());
        let panics = tokio::spawn(async { panic!("expected") });
        assert!(panics.await.expect_err("it panicked").is_panic());
    });
    let capture = run(Automatic::new().spans(), work);
    capture.assert_tree("request\n├── task\n└── task");
    for task in capture.named("task") {
        assert!(task.status == Status::Unset && !task.is_cancelled() && !task.is_panicked(), "{task:?}");
    }
}

#[test]
fn there_is_none_outside_of_a_span() {
    let work = async {
        tokio::spawn(async { in_span("alone", || ()) }).await.expect("no panic");
        in_span_async("request", async {
            without_context(|| tokio::spawn(async {})).await.expect("no panic");
        })
        .await;
    };
    run(Automatic::new().spans(), work).assert_tree("alone\nrequest");
}

/// A detached job has a span already.
#[test]
fn jobs_get_no_other() {
    let work = in_span_async("request", async {
        throughline::span("job").spawn(async { in_span("work", || ()) }).await.expect("no panic");
        let mut set = tokio::task::JoinSet::new();
        throughline::JoinSetExt::spawn_traced(&mut set, async {});
        set.join_all().await;
    });
    let capture = run(Automatic::new().spans(), work);
    assert!(capture.named("task").is_empty(), "{}", capture.tree());
    assert_eq!(capture.spans().len(), 4);
}

/// Of a `LocalRuntime`, the hooks are called for local tasks, too.
#[test]
fn local_jobs_get_no_other() {
    let mut builder = Builder::new_current_thread();
    let tasks = Automatic::new().spans().install(&mut builder);
    let runtime = builder.build_local(LocalOptions::default()).expect("a runtime");
    let capture = Capture::new();
    runtime.block_on(capture.run_async(in_span_async("request", async {
        throughline::spawn_local(async { in_span("work", || ()) }).await.expect("no panic");
        let mut set = tokio::task::JoinSet::new();
        throughline::JoinSetExt::spawn_local_traced(&mut set, async {});
        set.join_all().await;
        tokio::task::spawn_local(async {}).await.expect("no panic");
    })));
    drop(runtime);
    assert_eq!((tasks.count(), capture.open()), (0, 0));
    assert_eq!((capture.named("task").len(), capture.spans().len()), (1, 5), "{}", capture.tree());
}

/// Where the trace is not sampled, tasks have its context as they would without spans.
#[test]
fn a_trace_that_is_not_sampled_has_no_spans() {
    let (runtime, _) = runtime(Automatic::new().spans());
    let capture = Capture::with_sampler(opentelemetry_sdk::trace::Sampler::AlwaysOff);
    let ids = |context: opentelemetry::Context| context.span().span_context().trace_id();
    let (outside, inside) = runtime.block_on(capture.run_async(in_span_async("request", async {
        let outside = ids(opentelemetry::Context::current());
        let inside = tokio::spawn(async move { ids(opentelemetry::Context::current()) }).await.expect("no panic");
        (outside, inside)
    })));
    assert_eq!((outside, capture.spans().len()), (inside, 0));
    assert_ne!(outside, opentelemetry::TraceId::INVALID);
}
