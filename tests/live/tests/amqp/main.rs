//! RabbitMQ.

mod deliveries;
mod processes;
mod publishing;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicRejectOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, ErrorKind, ExchangeKind,
};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Sampler;
use throughline::propagation::{self, Propagator};
use throughline::testing::{Capture, FinishedSpan};
use throughline::{Origin as _, biz_tags, in_span_async, traced};
use throughline_amqp::{self as amqp, ChannelExt as _};
use throughline_live::{Peer, SpanLine, server};

/// A connection with an unshared queue, and an exchange that is bound to it.
struct Broker {
    address: String,
    connection: Connection,
    channel: Channel,
    exchange: String,
    queue: String,
}

const KEY: &str = "order.placed";

impl Broker {
    async fn connect() -> Option<Self> {
        let address = format!("amqp://{}/%2f", server("rabbitmq")?);
        let connection = Connection::connect(&address, ConnectionProperties::default()).await;
        let connection = connection.expect("the broker answers");
        let channel = connection.create_channel().await.expect("a channel");
        let (exchange, queue) = (unique("orders"), unique("billing"));
        let none = FieldTable::default;
        let options = ExchangeDeclareOptions { auto_delete: true, ..ExchangeDeclareOptions::default() };
        let declared = channel.exchange_declare(short(&exchange), ExchangeKind::Topic, options, none());
        declared.await.expect("the exchange is declared");
        // Deleted when unused for a minute; with `exclusive`, the peer could not use it.
        let mut expires = FieldTable::default();
        expires.insert("x-expires".into(), AMQPValue::LongInt(60_000));
        let declared = channel.queue_declare(short(&queue), QueueDeclareOptions::default(), expires);
        declared.await.expect("the queue is declared");
        let bound =
            channel.queue_bind(short(&queue), short(&exchange), KEY.into(), QueueBindOptions::default(), none());
        bound.await.expect("the queue is bound");
        Some(Self { address, connection, channel, exchange, queue })
    }

    /// Publishes through the exchange.
    async fn publish(&self, payload: &str, properties: BasicProperties) {
        let sent = self.channel.basic_publish_traced(
            short(&self.exchange),
            KEY.into(),
            BasicPublishOptions::default(),
            payload.as_bytes(),
            properties,
        );
        assert_eq!(sent.await.expect("sent").await.expect("no confirmation was requested"), Confirmation::NotRequested);
    }

    async fn consumer(&self) -> Consumer {
        let (options, none) =
            (BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() }, FieldTable::default());
        self.channel.basic_consume(short(&self.queue), "".into(), options, none).await.expect("a consumer")
    }

    fn peer(&self, role: &str, count: &str) -> Peer {
        let arguments = [("address", self.address.as_str()), ("queue", &self.queue), ("count", count)];
        Peer::start(env!("CARGO_BIN_EXE_peer"), role, &arguments)
    }
}

fn unique(name: &str) -> String {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    format!("{name}-{}-{}", std::process::id(), NAMES.fetch_add(1, Ordering::Relaxed))
}

fn short(name: &str) -> ShortString {
    name.into()
}

async fn next(consumer: &mut Consumer) -> Delivery {
    let next = tokio::time::timeout(Duration::from_secs(20), consumer.next());
    next.await.expect("a message in time").expect("the consumer goes on").expect("a message")
}

/// All attributes except those of the source code.
fn attributes(all: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    all.iter().map(|(key, value)| (key.as_str(), value.as_str())).filter(|(key, _)| !key.starts_with("code.")).collect()
}

fn expected<'a>(pairs: &[(&'a str, &'a str)]) -> BTreeMap<&'a str, &'a str> {
    pairs.iter().copied().collect()
}

/// The spans of this name, none of which has an attribute twice.
fn lines(capture: &Capture, name: &str) -> Vec<SpanLine> {
    let line = |span: &FinishedSpan| {
        let line = SpanLine::from(span);
        assert_eq!(line.attributes.len(), span.attributes.len(), "{:?}", span.attributes);
        line
    };
    capture.named(name).iter().map(line).collect()
}

#[traced("request", kind = server)]
#[biz_tags(propagate(tenant_id))]
async fn request<R>(tenant_id: &str, work: impl Future<Output = R>) -> R {
    work.await
}

fn tenant() -> Option<String> {
    Context::current().baggage().get("tenant_id").map(ToString::to_string)
}

fn current_span() -> SpanContext {
    Context::current().span().span_context().clone()
}

#[traced(kind = consumer, parent = delivery)]
fn receive(delivery: &Delivery) -> (SpanContext, Option<String>) {
    (current_span(), tenant())
}
