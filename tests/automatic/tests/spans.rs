//! A span for each task, on request.

use opentelemetry::trace::{Status, TraceContextExt as _};
use throughline::testing::{Capture, FinishedSpan};
use throughline::{Automatic, AutomaticTasks, Value, in_span, in_span_async, without_context};
use tokio::runtime::{Builder, Runtime};
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
