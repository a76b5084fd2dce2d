//! Stock, billing, shipping and analytics.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::TraceContextExt as _;
use tokio::time::{sleep, timeout};
use tracing::{Instrument as _, error, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::messages::{consume, extract, send};
use crate::brokers::{Consumer, Message, Producer};
use crate::facts::{Order, Step, say};
use crate::plan::fault;
use crate::service::{Quiesce, Seen, Service, Tracing};

/// How many messages each service handles at once, which is also its prefetch limit.
const WORKERS: u16 = 32;

/// How large a batch may become.
const BATCH: usize = 50;

struct Stock {
    bills: Producer,
    reserved: Seen,
}

pub(super) async fn stock(service: Service) {
    let bills = Producer::connect(&service.config, "bills").await;
    let stock = Arc::new(Stock { bills, reserved: Seen::default() });
    let orders = Consumer::connect(&service.config, "orders", WORKERS).await;
    let handle = |message: Message| {
        let stock = Arc::clone(&stock);
        async move {
            let step = Step::begin("stock.reserve", message.order(), "producer");
            consume!("stock.reserve", step, &message, reserve(&stock, step, &message, message.order()));
        }
    };
    service.consume(orders, Quiesce::new(WORKERS), handle).await;
}

async fn reserve(stock: &Stock, step: Step, message: &Message, order: Order) {
    if order.has(fault::REWIND) && !message.redelivered() && message.requeue().await {
        error!("not the first time");
        return step.failed();
    }
    // After a failed message, the later ones are delivered again, too.
    if stock.reserved.is_new(order) {
        return pass_on(&stock.bills, step, message).await;
    }
    message.acknowledge().await;
    step.done();
}

async fn pass_on(producer: &Producer, step: Step, message: &Message) {
    send(producer, &step, message.order()).await;
    message.acknowledge().await;
    step.done();
}

struct Billing {
    parcels: Producer,
    tracing: Tracing,
    quiesce: Quiesce,
}

pub(super) async fn billing(service: Service) {
    let parcels = Producer::connect(&service.config, "parcels").await;
    let quiesce = Quiesce::new(WORKERS);
    let billing = Arc::new(Billing { parcels, tracing: service.tracing.clone(), quiesce: quiesce.clone() });
    let bills = Consumer::connect(&service.config, "bills", WORKERS).await;
    let handle = |message: Message| {
        let billing = Arc::clone(&billing);
        async move {
            let step = Step::begin("billing.bill", message.order(), "producer");
            consume!("billing.bill", step, &message, bill(&billing, step, &message, message.order()));
        }
    };
    service.consume(bills, quiesce, handle).await;
}

async fn bill(billing: &Billing, step: Step, message: &Message, order: Order) {
    if order.has(fault::KILL) && !message.redelivered() && billing.quiesce.begin() {
        return die(billing, step, order).await;
    }
    if order.has(fault::SLOW) {
        sleep(Duration::from_millis(20)).await;
    }
    if order.has(fault::REDELIVER) && !message.redelivered() && message.requeue().await {
        error!("not the first time");
        return step.failed();
    }
    pass_on(&billing.parcels, step, message).await;
}

/// Waits until this is the only message in progress, and asks to be killed.
async fn die(billing: &Billing, step: Step, order: Order) {
    billing.quiesce.idle(1).await;
    billing.tracing.flush().await;
    step.killed();
    say(&format!("kill {}", order.request));
    sleep(Duration::from_secs(60)).await;
}

pub(super) async fn shipping(service: Service) {
    let archive = Arc::new(Producer::connect(&service.config, "archive").await);
    let parcels = Consumer::connect(&service.config, "parcels", WORKERS).await;
    let handle = |message: Message| {
        let archive = Arc::clone(&archive);
        async move {
            let step = Step::begin("shipping.ship", message.order(), "producer");
            consume!("shipping.ship", step, &message, ship(&archive, step, &message, message.order()));
        }
    };
    service.consume(parcels, Quiesce::new(WORKERS), handle).await;
}

async fn ship(archive: &Producer, step: Step, message: &Message, order: Order) {
    if order.has(fault::RECONSUME) && !message.redelivered() && message.requeue().await {
        error!("not the first time");
        return step.failed();
    }
    pass_on(archive, step, message).await;
}

pub(super) async fn analytics(service: Service) {
    let mut events = Consumer::connect(&service.config, "events", 500).await;
    say("ready");
    let stopped = service.stopped();
    tokio::pin!(stopped);
    loop {
        let mut batch = Vec::new();
        tokio::select! {
            message = events.next() => batch.push(message),
            () = &mut stopped => return,
        }
        while batch.len() < BATCH {
            let Ok(message) = timeout(Duration::from_millis(20), events.next()).await else { break };
            batch.push(message);
        }
        let step = Step::batch();
        let span = info_span!("analytics.count", otel.kind = "consumer", storm.step = step.tag());
        for message in &batch {
            span.add_link(extract(message).span().span_context().clone());
        }
        count(step, batch).instrument(span).await;
    }
}

async fn count(step: Step, messages: Vec<Message>) {
    let mut line = format!("batch {}", step.id);
    for message in &messages {
        let Order { request, cause, .. } = message.order();
        let _ = write!(line, " {request}:{cause}");
    }
    say(&line);
    for message in &messages {
        message.acknowledge().await;
    }
    step.done();
}
