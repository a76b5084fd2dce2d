//! The archive.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{Instrument as _, Span, info_span, instrument};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::insert;
use super::messages::{consume, context_in, headers_of};
use crate::brokers::{Consumer, Message};
use crate::facts::{Order, Step};
use crate::plan::Plan;
use crate::service::{Quiesce, Service};
use crate::store::Store;

/// How long after an order the reminder is due.
const DELAY: Duration = Duration::from_millis(20);

struct Archive {
    store: Store,
    index: mpsc::UnboundedSender<(Step, Order, Span)>,
    timers: mpsc::UnboundedSender<Timer>,
}

/// A reminder, with the trace that it continues.
struct Timer {
    due: Instant,
    step: Step,
    order: Order,
    headers: HashMap<String, String>,
}

pub(super) async fn play(service: Service) {
    let (index, indexed) = mpsc::unbounded_channel();
    let (timers, set) = mpsc::unbounded_channel();
    let archive = Arc::new(Archive { store: Store::connect(&service.config).await, index, timers });
    let running = [tokio::spawn(run_index(indexed)), tokio::spawn(run_timers(set))];
    let orders = Consumer::connect(&service.config, "archive", 64).await;
    let handle = |message: Message| {
        let archive = Arc::clone(&archive);
        async move {
            let step = Step::begin("archive.store", message.order(), "producer");
            consume!("archive.store", step, &message, store(archive, step, &message));
        }
    };
    service.consume(orders, Quiesce::new(64), handle).await;
    drop(archive);
    for task in running {
        task.await.expect("no panic");
    }
}

async fn store(archive: Arc<Archive>, step: Step, message: &Message) {
    let order = message.order();
    let work = write(Arc::clone(&archive), step.below("archive.write"), order);
    tokio::spawn(work.instrument(Span::current()));
    let _ = archive.index.send((step.below("archive.index"), order, Span::current()));
    let (due, headers) = (Instant::now() + DELAY, headers_of(&Span::current()));
    let _ = archive.timers.send(Timer { due, step: step.below("archive.remind"), order, headers });
    message.acknowledge().await;
    step.done();
}

#[instrument(
    name = "archive.write",
    skip_all,
    fields(storm.step = step.tag(), order_no = order.request, tenant_id = Plan::tenant(order.request))
)]
async fn write(archive: Arc<Archive>, step: Step, order: Order) {
    insert(&archive.store, &step, order.request).await;
    step.done();
}

/// An actor.
async fn run_index(mut indexed: mpsc::UnboundedReceiver<(Step, Order, Span)>) {
    while let Some((step, order, span)) = indexed.recv().await {
        span.in_scope(|| index(step, order));
    }
}

#[instrument(
    name = "archive.index",
    skip_all,
    fields(storm.step = step.tag(), order_no = order.request, tenant_id = Plan::tenant(order.request))
)]
fn index(step: Step, order: Order) {
    step.done();
}

/// All timers have the same delay, so they are due in order.
async fn run_timers(mut set: mpsc::UnboundedReceiver<Timer>) {
    while let Some(Timer { due, step, order, headers }) = set.recv().await {
        sleep_until(due).await;
        let span = info_span!(
            "archive.remind",
            storm.step = step.tag(),
            order_no = order.request,
            tenant_id = Plan::tenant(order.request)
        );
        let _ = span.set_parent(context_in(&headers));
        async { step.done() }.instrument(span).await;
    }
}
