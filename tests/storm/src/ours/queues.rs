//! Stock, billing and shipping, which pass each message on, and analytics, which counts them in batches.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use throughline::traced;
use tokio::time::{sleep, timeout};

use super::messages::send;
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
            let _ = reserve(&stock, step, &message, message.order()).await;
        }
    };
    service.consume(orders, Quiesce::new(WORKERS), handle).await;
}

#[traced("stock.reserve", kind = consumer, parent = message, tags("storm.step" = step.tag()))]
async fn reserve(stock: &Stock, step: Step, message: &Message, order: Order) -> Result<(), &'static str> {
    if order.has(fault::REWIND) && !message.redelivered() && message.requeue().await {
        step.failed();
        return Err("not the first time");
    }
    // After a failed message, the later ones are delivered again, too.
    if stock.reserved.is_new(order) {
        send(&stock.bills, &step, order).await;
    }
    message.acknowledge().await;
    step.done();
    Ok(())
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
            let _ = bill(&billing, step, &message, message.order()).await;
        }
    };
    service.consume(bills, quiesce, handle).await;
}

#[traced("billing.bill", kind = consumer, parent = message, tags("storm.step" = step.tag()))]
async fn bill(billing: &Billing, step: Step, message: &Message, order: Order) -> Result<(), &'static str> {
    if order.has(fault::KILL) && !message.redelivered() && billing.quiesce.begin() {
        die(billing, step, order).await;
        return Err("the storm has not killed this process");
    }
    if order.has(fault::SLOW) {
        sleep(Duration::from_millis(20)).await;
    }
    if order.has(fault::REDELIVER) && !message.redelivered() && message.requeue().await {
        step.failed();
        return Err("not the first time");
    }
    send(&billing.parcels, &step, order).await;
    message.acknowledge().await;
    step.done();
    Ok(())
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
            let _ = ship(&archive, step, &message, message.order()).await;
        }
    };
    service.consume(parcels, Quiesce::new(WORKERS), handle).await;
}

#[traced("shipping.ship", kind = consumer, parent = message, tags("storm.step" = step.tag()))]
async fn ship(archive: &Producer, step: Step, message: &Message, order: Order) -> Result<(), &'static str> {
    if order.has(fault::RECONSUME) && !message.redelivered() && message.requeue().await {
        step.failed();
        return Err("not the first time");
    }
    send(archive, &step, order).await;
    message.acknowledge().await;
    step.done();
    Ok(())
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
        count(step, batch).await;
    }
}

#[traced("analytics.count", kind = consumer, links = messages, tags("storm.step" = step.tag()))]
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
