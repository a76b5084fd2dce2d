//! Ten thousand concurrent requests, with jobs, threads, joins, cancellations and panics: every expected span exists
//! once, with the exact parent and tags.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use futures::FutureExt as _;
use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceContextExt as _};
use throughline::testing::{Capture, FinishedSpan};
use throughline::{JoinSetExt as _, Snapshot, Value, biz_tags, traced, traced_spawn};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet, yield_now};

const REQUESTS: u64 = 10_000;
const AT_ONCE: usize = 256;

/// The expected parent of each span, by name.
type Expected = HashMap<&'static str, &'static str>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Completes,
    Fails,
    Panics,
    /// Dropped after this number of polls.
    Cancelled(u32),
}

fn fate(order_no: u64, random: u64) -> Fate {
    match random % 10 {
        0 => Fate::Panics,
        1 => Fate::Fails,
        2 | 3 => Fate::Cancelled(1 + u32::try_from(order_no % 3).expect("it fits")),
        _ => Fate::Completes,
    }
}

/// A deterministic pseudorandom number generator (`SplitMix64`).
fn random(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[derive(Clone, Default)]
struct Jobs(Arc<Mutex<Vec<JoinHandle<u64>>>>);

#[traced(kind = server)]
#[biz_tags(tenant_id, order_no)]
async fn request(tenant_id: String, order_no: u64, fate: Fate, jobs: Jobs) -> Result<u64, String> {
    let sum = step(order_no).await;
    let (a, b) = futures::join!(left(order_no), right(order_no));
    {
        let mut jobs = jobs.0.lock().expect("no panic while it is locked");
        jobs.push(job(order_no));
        jobs.push(blocking_job(order_no));
    }
    let mut set = JoinSet::new();
    set.spawn_traced(in_set(order_no));
    let c = set.join_next().await.expect("one job").expect("no panic");
    match fate {
        Fate::Panics => panic!("order {order_no} is lost"),
        Fate::Fails => Err(format!("order {order_no} of {tenant_id}")),
        Fate::Completes | Fate::Cancelled(_) => Ok(sum + a + b + c),
    }
}

#[traced]
async fn step(n: u64) -> u64 {
    yield_now().await;
    leaf(n)
}

#[traced]
fn leaf(n: u64) -> u64 {
    n
}

#[traced]
async fn left(n: u64) -> u64 {
    yield_now().await;
    n
}

#[traced]
async fn right(n: u64) -> u64 {
    yield_now().await;
    yield_now().await;
    n
}

#[traced]
async fn in_set(n: u64) -> u64 {
    yield_now().await;
    n
}

#[traced_spawn]
async fn job(n: u64) -> u64 {
    yield_now().await;
    in_job(n)
}

#[traced]
fn in_job(n: u64) -> u64 {
    n
}

#[traced_spawn(blocking)]
fn blocking_job(n: u64) -> u64 {
    // One in a hundred continues on its own thread.
    if n % 100 == 0 {
        std::thread::spawn(Snapshot::capture().wrap(move || on_thread(n))).join().expect("no panic")
    } else {
        n
    }
}

#[traced]
fn on_thread(n: u64) -> u64 {
    n
}

/// Polls `future` at most `polls` times.
async fn up_to<F: Future>(polls: u32, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
        std::task::Poll::Pending if left == 1 => std::task::Poll::Ready(None),
        std::task::Poll::Pending => {
            left -= 1;
            std::task::Poll::Pending
        }
    })
    .await
}

#[test]
fn ten_thousand_requests() {
    let seed = std::env::var("THROUGHLINE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1u64);
    println!("THROUGHLINE_SEED={seed}");
    // Silences the thousand intended panics, so that an unintended one is visible.
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !panic.payload().downcast_ref::<String>().is_some_and(|message| message.starts_with("order ")) {
            loud(panic);
        }
    }));
    let capture = Capture::new();
    let jobs = Jobs::default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().expect("a runtime");
    let fates: Vec<Fate> = (0..REQUESTS).map(|no| fate(no, random(seed ^ no))).collect();

    let ends: Vec<Option<bool>> = runtime.block_on(async {
        let gate = Arc::new(Semaphore::new(AT_ONCE));
        let mut requests = Vec::new();
        for (no, fate) in (0..REQUESTS).zip(fates.iter().copied()) {
            let permit = Arc::clone(&gate).acquire_owned().await.expect("never closed");
            let run = capture.run_async(request(format!("tenant-{}", no % 7), no, fate, jobs.clone()));
            requests.push(tokio::spawn(async move {
                let polls = if let Fate::Cancelled(polls) = fate { polls } else { u32::MAX };
                let end = AssertUnwindSafe(up_to(polls, run)).catch_unwind().await;
                drop(permit);
                assert!(!Context::current().has_active_span(), "the task's current context has a span");
                end.ok().map(|done| done.is_some())
            }));
        }
        let ends =
            futures::future::join_all(requests).await.into_iter().map(|end| end.expect("panics are caught")).collect();
        let all = std::mem::take(&mut *jobs.0.lock().expect("no panic while it is locked"));
        for job in all {
            job.await.expect("no panic in a job");
        }
        // No worker thread has a current span left.
        for _ in 0..64 {
            assert!(!tokio::spawn(async { Context::current().has_active_span() }).await.expect("no panic"));
        }
        ends
    });
    drop(runtime);
    assert_eq!(capture.open(), 0, "spans are still open");
    check(&capture, &fates, &ends);
}

fn check(capture: &Capture, fates: &[Fate], ends: &[Option<bool>]) {
    let parents: Expected = [
        ("step", "request"),
        ("leaf", "step"),
        ("left", "request"),
        ("right", "request"),
        ("job", "request"),
        ("in_job", "job"),
        ("blocking_job", "request"),
        ("on_thread", "blocking_job"),
        ("in_set", "in_set_job"),
        ("in_set_job", "request"),
    ]
    .into();
    let spans = capture.spans();
    let by_id: HashMap<SpanId, _> = spans.iter().map(|span| (span.span_id(), span)).collect();
    assert_eq!(by_id.len(), spans.len(), "a span was exported twice");

    let mut of_order: HashMap<u64, HashMap<&str, u32>> = HashMap::new();
    let mut requests: HashMap<u64, &FinishedSpan> = HashMap::new();
    for span in &spans {
        let Some(Value::I64(order_no)) = span.attribute("order_no") else {
            panic!("`{}` has no order_no", span.name())
        };
        let order_no = u64::try_from(*order_no).expect("not negative");
        let tenant = span.attribute("tenant_id").map(ToString::to_string);
        assert_eq!(tenant, Some(format!("tenant-{}", order_no % 7)), "{}", span.name());
        let role = role(span, &by_id);
        if role == "request" {
            requests.insert(order_no, span);
        }
        *of_order.entry(order_no).or_default().entry(role).or_default() += 1;
        match parents.get(role) {
            None => assert_eq!(span.parent_id(), None, "a request is a root"),
            Some(expected) => {
                let parent =
                    span.parent_id().and_then(|id| by_id.get(&id)).unwrap_or_else(|| panic!("`{role}` is an orphan"));
                assert_eq!(self::role(parent, &by_id), *expected);
                assert_eq!(parent.trace_id(), span.trace_id());
                assert_eq!(
                    parent.attribute("order_no"),
                    span.attribute("order_no"),
                    "`{role}` has another order's parent"
                );
            }
        }
    }
    assert_eq!(of_order.len(), fates.len());

    for (no, fate) in fates.iter().enumerate() {
        let mut found = of_order.remove(&(no as u64)).expect("every order was found");
        assert!(found.values().all(|count| *count == 1), "order {no}: {found:?}");
        let request = requests[&(no as u64)];
        let whole = ends[no] != Some(false);
        assert_eq!(request.is_cancelled(), !whole, "order {no}");
        assert_eq!(request.is_panicked(), whole && *fate == Fate::Panics, "order {no}");
        assert_eq!(request.is_error(), whole && matches!(fate, Fate::Panics | Fate::Fails), "order {no}");
        if whole {
            let thread = found.remove("on_thread").is_some();
            assert_eq!(thread, no % 100 == 0);
            assert_eq!(found.len(), 10, "order {no}: {found:?}");
        }
    }
}

type ById<'a> = HashMap<SpanId, &'a FinishedSpan>;

/// The role of a span in [`Expected`]. The job of a `JoinSet` is named after the function that it runs.
fn role<'a>(span: &'a FinishedSpan, by_id: &ById<'_>) -> &'a str {
    let parent = span.parent_id().and_then(|id| by_id.get(&id));
    match (span.name(), parent.map(|parent| parent.name())) {
        ("in_set (spawned)", Some("request")) => "in_set_job",
        (name, _) => name,
    }
}
