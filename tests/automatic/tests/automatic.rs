//! Tasks inherit the context of the code that spawns them, without holding it.
//!
//! Compiled with `--cfg tokio_unstable`: `.ci/run automatic`.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{Span, SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use throughline::{Automatic, AutomaticTasks, ContextExt as _, without_context};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tower::{Service as _, ServiceExt as _};

/// A span that tells when it is dropped.
struct Watched {
    context: SpanContext,
    dropped: Arc<AtomicBool>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

impl Span for Watched {
    fn add_event_with_timestamp<T: Into<Cow<'static, str>>>(&mut self, _: T, _: SystemTime, _: Vec<KeyValue>) {}
    fn span_context(&self) -> &SpanContext {
        &self.context
    }
    fn is_recording(&self) -> bool {
        true
    }
    fn set_attribute(&mut self, _: KeyValue) {}
    fn set_status(&mut self, _: Status) {}
    fn update_name<T: Into<Cow<'static, str>>>(&mut self, _: T) {}
    fn add_link(&mut self, _: SpanContext, _: Vec<KeyValue>) {}
    fn end_with_timestamp(&mut self, _: SystemTime) {}
}

/// A context with a span, tags and baggage, and whether the span was dropped.
fn request(id: u64) -> (Context, Arc<AtomicBool>) {
    let dropped = Arc::new(AtomicBool::new(false));
    let context =
        SpanContext::new(TraceId::from(7_u128), SpanId::from(id), TraceFlags::SAMPLED, false, TraceState::NONE);
    let context = Context::new().with_span(Watched { context, dropped: Arc::clone(&dropped) });
    let context = context.with_baggage([KeyValue::new("region", "eu")]);
    (context.with_tags([KeyValue::new("tenant_id", "acme")]), dropped)
}

/// What is current here: the span, the tenant and the region.
fn current() -> (u64, Option<String>, Option<String>) {
    let context = Context::current();
    let span = u64::from_be_bytes(context.span().span_context().span_id().to_bytes());
    let tenant = context.tags().iter().find(|tag| tag.key.as_str() == "tenant_id").map(|tag| tag.value.to_string());
    (span, tenant, context.baggage().get("region").map(ToString::to_string))
}

fn inherited(id: u64) -> (u64, Option<String>, Option<String>) {
    (id, Some("acme".to_owned()), Some("eu".to_owned()))
}

const NOTHING: (u64, Option<String>, Option<String>) = (0, None, None);

fn built(automatic: Automatic, builder: &mut Builder) -> (Runtime, AutomaticTasks) {
    let tasks = automatic.install(builder);
    (builder.enable_all().build().expect("a runtime"), tasks)
}

fn each(run: impl Fn(Runtime, AutomaticTasks)) {
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let (runtime, tasks) = built(Automatic::new(), builder.worker_threads(2));
        run(runtime, tasks);
    }
}

#[test]
fn a_task_inherits_what_is_current_where_it_is_spawned() {
    each(|runtime, tasks| {
        let seen = runtime.block_on(async {
            let attached = request(1).0.attach();
            let task = tokio::spawn(async {
                let mut seen = vec![current()];
                for _ in 0..3 {
                    tokio::task::yield_now().await;
                    seen.push(current());
                }
                // So do the tasks that it spawns.
                seen.push(tokio::spawn(async { current() }).await.expect("no panic"));
                seen
            });
            drop(attached);
            assert_eq!(current(), NOTHING);
            task.await.expect("no panic")
        });
        assert_eq!(seen, vec![inherited(1); 5]);
        drop(runtime);
        assert_eq!((tasks.count(), tasks.missed()), (0, 0));
    });
}

#[test]
fn tasks_do_not_mix() {
    each(|runtime, tasks| {
        runtime.block_on(async {
            let spawned: Vec<_> = (0..200_u64)
                .map(|id| {
                    let _attached = (id % 3 > 0).then(|| request(id).0.attach());
                    let expected = if id % 3 > 0 { inherited(id) } else { NOTHING };
                    tokio::spawn(async move {
                        for _ in 0..5 {
                            assert_eq!(current(), expected);
                            tokio::task::yield_now().await;
                        }
                    })
                })
                .collect();
            for task in spawned {
                task.await.expect("no panic");
            }
        });
        drop(runtime);
        assert_eq!(tasks.count(), 0);
    });
}

/// Without baggage, tasks of the same span share what they inherit.
#[test]
fn tasks_of_one_span_have_the_tags_that_are_current() {
    let span = |id: u64| {
        let span =
            SpanContext::new(TraceId::from(7_u128), SpanId::from(id), TraceFlags::SAMPLED, true, TraceState::NONE);
        Context::new().with_remote_span_context(span)
    };
    let tagged = |id: u64, tenant: &'static str| span(id).with_tags([KeyValue::new("tenant_id", tenant)]);
    each(|runtime, _tasks| {
        runtime.block_on(async {
            let contexts = [
                (span(1), (1, None)),
                (span(1), (1, None)),
                (tagged(1, "acme"), (1, Some("acme"))),
                (tagged(2, "acme"), (2, Some("acme"))),
                (tagged(2, "zenith"), (2, Some("zenith"))),
                (Context::new(), (0, None)),
                (span(1), (1, None)),
            ];
            for (context, (id, tenant)) in contexts {
                let attached = context.attach();
                let task = tokio::spawn(async { current() });
                drop(attached);
                assert_eq!(task.await.expect("no panic"), (id, tenant.map(str::to_owned), None));
            }
        });
    });
}

/// What they share depends on nothing but the span and the tags.
#[test]
fn tasks_of_one_span_have_the_baggage_that_is_current() {
    let span =
        SpanContext::new(TraceId::from(7_u128), SpanId::from(1_u64), TraceFlags::SAMPLED, true, TraceState::NONE);
    let plain = Context::new().with_remote_span_context(span);
    let with_region = |region: &'static str| plain.with_baggage([KeyValue::new("region", region)]);
    each(|runtime, _tasks| {
        runtime.block_on(async {
            for (context, id, region, is_suppressed) in [
                (plain.clone(), 1, None, false),
                (with_region("eu"), 1, Some("eu"), false),
                (with_region("us"), 1, Some("us"), false),
                (plain.clone(), 1, None, false),
                (plain.with_telemetry_suppressed(), 1, None, true),
                (plain.clone(), 1, None, false),
                // Without a span, there may be either.
                (Context::new().with_telemetry_suppressed(), 0, None, true),
                (Context::new().with_baggage([KeyValue::new("region", "eu")]), 0, Some("eu"), false),
                (Context::new(), 0, None, false),
            ] {
                let attached = context.attach();
                let task = tokio::spawn(async { (current(), Context::current().is_telemetry_suppressed()) });
                drop(attached);
                let expected = ((id, None, region.map(str::to_owned)), is_suppressed);
                assert_eq!(task.await.expect("no panic"), expected);
            }
        });
    });
}

#[test]
fn a_task_does_not_keep_the_span_open() {
    each(|runtime, tasks| {
        let (start, started) = oneshot::channel();
        let (finish, finished) = oneshot::channel::<()>();
        runtime.block_on(async {
            let (context, dropped) = request(1);
            let attached = context.attach();
            let task = tokio::spawn(async move {
                start.send(current()).expect("a receiver");
                finished.await.expect("a sender");
                current()
            });
            drop(attached);
            assert_eq!(started.await.expect("a sender"), inherited(1));
            assert!(dropped.load(Ordering::SeqCst));
            assert_eq!(tasks.count(), 1);
            finish.send(()).expect("a receiver");
            assert_eq!(task.await.expect("no panic"), inherited(1));
        });
    });
}

#[test]
fn a_task_that_is_aborted_or_panics_leaves_nothing_behind() {
    each(|runtime, tasks| {
        runtime.block_on(async {
            let attached = request(1).0.attach();
            let pending = tokio::spawn(std::future::pending::<()>());
            let panics = tokio::spawn(async {
                tokio::task::yield_now().await;
                panic!("expected");
            });
            drop(attached);
            pending.abort();
            assert!(pending.await.expect_err("aborted").is_cancelled());
            assert!(panics.await.expect_err("it panicked").is_panic());
            assert_eq!(tokio::spawn(async { current() }).await.expect("no panic"), NOTHING);
        });
        drop(runtime);
        assert_eq!(tasks.count(), 0);
    });
}

/// Tokio ends such a task before it tells that it was spawned.
#[test]
fn a_task_of_a_runtime_that_is_shut_down_leaves_nothing_behind() {
    /// Spawns a task where it is dropped, with the context of a request.
    struct SpawnsInDrop(tokio::runtime::Handle);

    impl Drop for SpawnsInDrop {
        fn drop(&mut self) {
            let _attached = request(2).0.attach();
            drop(self.0.spawn(std::future::pending::<()>()));
        }
    }

    impl SpawnsInDrop {
        async fn wait(self) {
            std::future::pending::<()>().await;
        }
    }

    each(|runtime, tasks| {
        let handle = runtime.handle().clone();
        let spawns = SpawnsInDrop(handle.clone());
        let attached = request(1).0.attach();
        drop(runtime.spawn(spawns.wait()));
        drop(attached);
        // Its first poll.
        runtime.block_on(tokio::task::yield_now());
        drop(runtime);
        assert_eq!(tasks.count(), 0);
        let _attached = request(3).0.attach();
        for _ in 0..3 {
            drop(handle.spawn(SpawnsInDrop(handle.clone()).wait()));
        }
        assert_eq!((tasks.count(), tasks.missed()), (0, 0));
    });
}

#[test]
fn a_task_opts_out() {
    let (runtime, tasks) = built(Automatic::new(), &mut Builder::new_current_thread());
    let seen = runtime.block_on(async {
        let attached = request(1).0.attach();
        let task = without_context(|| tokio::spawn(async { current() }));
        assert_eq!(current(), inherited(1));
        drop(attached);
        task.await.expect("no panic")
    });
    assert_eq!((seen, tasks.count()), (NOTHING, 0));

    let (runtime, _) = built(Automatic::new().except("tests/automatic.rs"), &mut Builder::new_current_thread());
    let seen = runtime.block_on(async {
        let attached = request(1).0.attach();
        let task = tokio::spawn(async { current() });
        drop(attached);
        task.await.expect("no panic")
    });
    assert_eq!(seen, NOTHING);
}

#[test]
fn there_is_a_limit() {
    let (runtime, tasks) = built(Automatic::new().max_tasks(2), &mut Builder::new_current_thread());
    // Tasks that have ended make room for others.
    for round in 1..=3 {
        let seen = runtime.block_on(async {
            let attached = request(1).0.attach();
            let spawned: Vec<_> = (0..3).map(|_| tokio::spawn(async { current() })).collect();
            drop(attached);
            let mut seen = Vec::new();
            for task in spawned {
                seen.push(task.await.expect("no panic"));
            }
            seen
        });
        assert_eq!(seen, [inherited(1), inherited(1), NOTHING]);
        assert_eq!((tasks.count(), tasks.missed()), (0, round));
    }
}

/// Each part of the table has its share of a high limit, so that it is not reached by all at the same time.
#[test]
fn a_high_limit_is_kept_in_parts() {
    const MAX: usize = 1 << 16;
    const TASKS: usize = MAX + MAX / 4;
    let (runtime, tasks) = built(Automatic::new().max_tasks(MAX), &mut Builder::new_current_thread());
    let _entered = runtime.enter();
    let attached = request(1).0.attach();
    for _ in 0..TASKS {
        drop(tokio::spawn(std::future::pending::<()>()));
    }
    drop(attached);
    let (count, missed) = (tasks.count(), usize::try_from(tasks.missed()).expect("it fits"));
    assert_eq!(count + missed, TASKS);
    assert!((MAX / 10 * 9..=MAX).contains(&count), "{count}");
    drop(runtime);
    assert_eq!(tasks.count(), 0);
}

/// `tower::buffer` calls the service in a task that it spawns, and knows of no context.
#[test]
fn a_task_of_a_library_inherits_too() {
    let seen_by_the_service = |automatic: Option<Automatic>| {
        let mut builder = Builder::new_current_thread();
        let _tasks = automatic.map(|automatic| automatic.install(&mut builder));
        let runtime = builder.enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let service = tower::service_fn(|()| {
                let seen = current();
                async { Ok::<_, std::convert::Infallible>(seen) }
            });
            let attached = request(1).0.attach();
            let mut buffer = tower::buffer::Buffer::new(service, 1);
            drop(attached);
            buffer.ready().await.expect("the worker runs").call(()).await.expect("an answer")
        })
    };
    assert_eq!(seen_by_the_service(None), NOTHING);
    assert_eq!(seen_by_the_service(Some(Automatic::new())), inherited(1));
}
