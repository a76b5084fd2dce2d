//! Timers: an interval, a cron job and a delayed job, each with an appropriate trace.
//!
//! ```text
//! cargo run --example timers --features timers
//! ```
//!
//! Needs no server, and exits after a few seconds. Points of interest:
//!
//! * `refresh_prices` is called by an interval. With `#[traced(root)]`, each tick is its own trace, linked to the span
//!   that runs the interval; without `root`, all ticks would be part of one trace that never ends.
//! * `cleanup` is called by `tokio-cron-scheduler`, in a task without a current context. The `Snapshot` provides the
//!   one in which it was scheduled.
//! * `remind` runs later than the request that scheduled it, in the trace of that request. In between, its context was
//!   stored as three strings in a table row: a `Carrier`.

use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use throughline::console::Console;
use throughline::telemetry::TracerProvider;
use throughline::{Carrier, Snapshot, biz_tags, traced};
use tokio::sync::mpsc;
use tokio::time::{interval, sleep, timeout};
use tokio_cron_scheduler::{Job, JobScheduler};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let console = Console::stdout().hold();
    let provider = TracerProvider::builder().with_span_processor(console).build();
    throughline::install(&provider);

    service().await?;

    provider.shutdown()?;
    Ok(())
}

#[traced]
async fn service() -> Result<(), Box<dyn Error>> {
    // 1. An interval.
    let mut ticks = interval(Duration::from_millis(200));
    for _ in 0..2 {
        ticks.tick().await;
        refresh_prices().await;
    }

    // 2. A cron job, every second.
    let scheduled = Snapshot::capture();
    let (done, mut ran) = mpsc::channel(1);
    let job = Job::new_async("* * * * * *", move |_id, _scheduler| {
        let (scheduled, done) = (scheduled.clone(), done.clone());
        Box::pin(async move {
            scheduled.run_async(cleanup()).await;
            let _ = done.try_send(());
        })
    })?;
    let mut cron = JobScheduler::new().await?;
    cron.add(job).await?;
    cron.start().await?;
    timeout(Duration::from_secs(10), ran.recv()).await?;
    cron.shutdown().await?;

    // 3. A delayed job.
    let row = place_order("acme", 1001).await?;
    let worker = tokio::spawn(async move {
        sleep(Duration::from_millis(300)).await;
        let reminder: Reminder = serde_json::from_str(&row)?;
        remind(&reminder).await;
        Ok::<_, serde_json::Error>(())
    });
    worker.await??;
    Ok(())
}

/// One tick of the interval.
#[traced(root)]
async fn refresh_prices() {
    load_prices().await;
}

#[traced(tags(source = "warehouse"))]
async fn load_prices() {
    sleep(Duration::from_millis(5)).await;
}

/// One run of the cron job.
#[traced("nightly cleanup", root)]
async fn cleanup() {
    delete_old_carts().await;
}

#[traced]
async fn delete_old_carts() {
    sleep(Duration::from_millis(5)).await;
}

/// A row in a table of jobs.
#[derive(Debug, Serialize, Deserialize)]
struct Reminder {
    order_no: u64,
    trace: Carrier,
}

#[traced(root, kind = server)]
#[biz_tags(propagate(tenant_id), order_no)]
async fn place_order(tenant_id: &str, order_no: u64) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Reminder { order_no, trace: Carrier::capture() })
}

#[traced("send reminder", kind = consumer, parent = reminder.trace, tags(order_no = reminder.order_no))]
async fn remind(reminder: &Reminder) {
    sleep(Duration::from_millis(5)).await;
}
