//! The archive: a job for the database, an actor behind a channel, and a timer.

use std::sync::Arc;
use std::time::Duration;

use throughline::{Carried, Carrier, traced, traced_spawn};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::insert;
use crate::brokers::{Consumer, Message};
use crate::facts::Step;
use crate::service::{Quiesce, Service};
use crate::store::Store;

/// How long after an order the reminder is due.
const DELAY: Duration = Duration::from_millis(20);

struct Archive {
    store: Store,
    index: mpsc::UnboundedSender<Carried<Step>>,
    timers: mpsc::UnboundedSender<Timer>,
}

/// A reminder, with the trace that it continues.
struct Timer {
    due: Instant,
    step: Step,
    trace: Carrier,
}

pub(super) async fn play(service: Service) {
    let (index, indexed) = mpsc::unbounded_channel();
    let (timers, set) = mpsc::unbounded_channel();
    let archive = Arc::new(Archive { store: Store::connect(&service.config).await, index, timers });
    let running = [tokio::spawn(run_index(indexed)), tokio::spawn(run_timers(set))];
    let orders = Consumer::connect(&service.config, "archive", 64).await;
    let handle = |message: Message| {
        let archive = Arc::clone(&archive);
        async move { store(archive, Step::begin("archive.store", message.order(), "producer"), &message).await }
    };
    service.consume(orders, Quiesce::new(64), handle).await;
    throughline::jobs::wait(Duration::from_secs(30)).await.expect("the jobs end");
    drop(archive);
    for task in running {
        task.await.expect("no panic");
    }
}

#[traced("archive.store", kind = consumer, parent = message, tags("storm.step" = step.tag()))]
async fn store(archive: Arc<Archive>, step: Step, message: &Message) {
    write(Arc::clone(&archive), step.below("archive.write"), message.order().request);
    let _ = archive.index.send(Carried::new(step.below("archive.index")));
    let (due, trace) = (Instant::now() + DELAY, Carrier::capture());
    let _ = archive.timers.send(Timer { due, step: step.below("archive.remind"), trace });
    message.acknowledge().await;
    step.done();
}

#[traced_spawn("archive.write", tags("storm.step" = step.tag()))]
async fn write(archive: Arc<Archive>, step: Step, request: u64) {
    insert(&archive.store, &step, request).await;
    step.done();
}

/// An actor.
async fn run_index(mut indexed: mpsc::UnboundedReceiver<Carried<Step>>) {
    while let Some(step) = indexed.recv().await {
        index(step);
    }
}

#[traced("archive.index", parent = step, tags("storm.step" = step.tag()))]
fn index(step: Carried<Step>) {
    step.into_inner().done();
}

/// All timers have the same delay, so they are due in order.
async fn run_timers(mut set: mpsc::UnboundedReceiver<Timer>) {
    while let Some(Timer { due, step, trace }) = set.recv().await {
        sleep_until(due).await;
        remind(step, trace).await;
    }
}

#[traced("archive.remind", parent = trace, tags("storm.step" = step.tag()))]
async fn remind(step: Step, trace: Carrier) {
    drop(trace);
    step.done();
}
