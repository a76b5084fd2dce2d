//! What `docs/gate/clippy.toml` advises, and code that our attributes make. Clippy says nothing about it, except
//! where the advice is to expect that.
#![allow(dead_code, reason = "the calls are linted, never made")]

use std::thread;

use throughline::{JoinSetExt as _, Snapshot, TryJoinSetExt as _, biz_tags, traced, traced_spawn};
use throughline_reqwest::{ClientExt as _, RequestBuilderExt as _};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::task::{JoinMap, LocalPoolHandle, TaskTracker};

async fn job() {}
fn work() {}

/// The attributes, in each mode that starts a task or a thread.
mod attributes {
    use super::*;

    #[traced(kind = server)]
    #[biz_tags(tenant_id)]
    async fn request(tenant_id: String) {
        task().await.unwrap();
    }

    #[traced_spawn]
    async fn task() {}

    #[traced_spawn(link)]
    async fn linked() -> Result<(), String> {
        Err(String::new())
    }

    #[traced_spawn(local)]
    async fn local() {}

    #[traced_spawn(blocking)]
    fn blocking() {}

    #[traced_spawn(thread)]
    fn named_thread() {}

    #[traced_spawn(on = handle)]
    async fn task_on(handle: Handle) {}

    #[traced_spawn(blocking, on = handle)]
    fn blocking_on(handle: Handle) {}
}

/// Functions in place of functions.
fn functions(handle: &Handle) {
    let _ = throughline::spawn(job());
    let _ = throughline::try_spawn(async { Ok::<_, String>(()) });
    let _ = throughline::spawn_blocking(work);
    let _ = throughline::spawn_local(job());
    let _ = throughline::spawn_thread(work);
    throughline::rayon::spawn(work);
    throughline::rayon::join(work, work);
    let _ = throughline::span("name").spawn(job());
    let _ = throughline::span("name").spawn_on(handle, job());
    let _ = throughline::span("name").spawn_blocking(work);
    let _entered = handle.enter();
    let _ = throughline::spawn_blocking(work);
}

/// Methods in place of methods.
async fn methods(mut set: JoinSet<()>, mut fallible: JoinSet<Result<(), String>>, handle: &Handle) {
    set.spawn_traced(job());
    set.spawn_on_traced(job(), handle);
    set.spawn_local_traced(job());
    set.spawn_blocking_traced(work);
    fallible.try_spawn_traced(async { Ok(()) });
}

async fn requests(client: &reqwest::Client, request: reqwest::Request) {
    let _ = client.get("http://localhost").send_traced().await;
    let _ = client.execute_traced(request).await;
}

fn tracked(tracker: &TaskTracker, handle: &Handle) {
    let _ = throughline::spawn(tracker.track_future(job()));
    let _ = throughline::spawn_local(tracker.track_future(job()));
    let _ = throughline::span("name").spawn_on(handle, tracker.track_future(job()));
    let token = tracker.token();
    let _ = throughline::spawn_blocking(move || drop(token));
}

/// The calls that have no replacement, with what carries the trace.
#[expect(clippy::disallowed_methods, reason = "with a snapshot")]
fn carried(mut map: JoinMap<u8, ()>, pool: &LocalPoolHandle) {
    map.spawn(1, Snapshot::capture().run_async(job()));
    map.spawn_blocking(2, Snapshot::capture().wrap(work));
    let snapshot = Snapshot::capture();
    let _ = pool.spawn_pinned(move || snapshot.run_async(job()));
    thread::scope(|scope| {
        let _ = scope.spawn(Snapshot::capture().wrap(work));
    });
    let snapshot = Snapshot::capture();
    rayon::scope(|scope| scope.spawn(|_| snapshot.run(work)));
}
