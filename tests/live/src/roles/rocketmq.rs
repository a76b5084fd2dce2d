//! RocketMQ.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use rocketmq_client_rust::{
    ClientResult, ClientRuntime, ClientRuntimeConfig, ConsumeConcurrentlyContext, ConsumeConcurrentlyStatus,
    DefaultLitePullConsumer, DefaultMQProducer, DefaultMQPushConsumer, MQPushConsumer as _, TelemetryHandle,
};
use rocketmq_model::common::consumer::consume_from_where::ConsumeFromWhere;
use rocketmq_model::common::message::message_ext::MessageExt;
use rocketmq_runtime::RuntimeOwner;
use throughline::{Snapshot, in_span, in_span_async, traced};
use throughline_rocketmq::Delivery;
use tokio::sync::{mpsc, watch};

use crate::{Arguments, ready};

pub(super) async fn play(role: &str, arguments: Arguments, stop: watch::Receiver<bool>) {
    let _ = stop;
    match role {
        "listen" => listen(&arguments).await,
        "poll" => poll(&arguments).await,
        _ => panic!("no role `rocketmq-{role}`"),
    }
}

/// Processes messages one by one in a listener, until there have been as many deliveries as the argument says. A
/// message with the tag `retry` is rejected the first time.
async fn listen(arguments: &Arguments) {
    let client = Client::new(arguments.get("namesrv"));
    let (group, snapshot) = (arguments.get("group").to_owned(), Snapshot::capture());
    let (delivered, mut deliveries) = mpsc::unbounded_channel();
    let mut consumer = DefaultMQPushConsumer::builder(Arc::clone(&client.runtime))
        .consumer_group(group.as_str())
        .name_server_addr(client.namesrv.as_str())
        .consume_from_where(ConsumeFromWhere::ConsumeFromFirstOffset)
        .build();
    consumer.subscribe(arguments.get("topic"), "*").await.expect("subscribed");
    consumer.register_message_listener_concurrently(
        move |messages: &[&MessageExt], _: &ConsumeConcurrentlyContext| -> ClientResult<ConsumeConcurrentlyStatus> {
            let later = snapshot
                .run(|| in_span("listen", || messages.iter().filter(|message| process(message, &group)).count() > 0));
            for _ in messages {
                delivered.send(()).expect("the role lives");
            }
            Ok(if later {
                ConsumeConcurrentlyStatus::ReconsumeLater
            } else {
                ConsumeConcurrentlyStatus::ConsumeSuccess
            })
        },
    );
    consumer.start().await.expect("started");
    ready("listens");
    for _ in 0..arguments.get("deliveries").parse().expect("a number") {
        deliveries.recv().await.expect("the consumer lives");
    }
    consumer.shutdown().await;
    client.stop().await;
}

/// Returns whether the message should be delivered again.
#[traced("process", kind = consumer, parent = Delivery::new(message).group(group), tags(body = text(message)))]
fn process(message: &MessageExt, group: &str) -> bool {
    let tenant = Context::current().baggage().get("tenant_id").map(ToString::to_string);
    throughline::span("work")
        .tag("tenant", tenant)
        .run(|| message.get_tags().is_some_and(|tag| tag.as_str() == "retry") && message.reconsume_times() == 0)
}

/// Polls until there are as many messages as the argument says, and processes them at once.
async fn poll(arguments: &Arguments) {
    let client = Client::new(arguments.get("namesrv"));
    let consumer = DefaultLitePullConsumer::builder(Arc::clone(&client.runtime))
        .consumer_group(arguments.get("group"))
        .name_server_addr(client.namesrv.as_str())
        .consume_from_where(ConsumeFromWhere::ConsumeFromFirstOffset)
        .build()
        .expect("valid");
    consumer.subscribe(arguments.get("topic")).await.expect("subscribed");
    consumer.start().await.expect("started");
    let wanted: usize = arguments.get("deliveries").parse().expect("a number");
    let polled = in_span_async("poll", async {
        let mut messages: Vec<Arc<MessageExt>> = Vec::new();
        while messages.len() < wanted {
            messages.extend(consumer.poll_with_timeout_zero_copy(1000).await);
        }
        process_all(&messages);
    });
    tokio::time::timeout(Duration::from_secs(60), polled).await.expect("the messages come in time");
    consumer.shutdown().await;
    client.stop().await;
}

#[traced("process all", kind = consumer, links = messages, tags(bodies = messages.iter().map(|message| text(message)).collect::<Vec<_>>()))]
fn process_all(messages: &[Arc<MessageExt>]) {}

fn text(message: &MessageExt) -> String {
    String::from_utf8_lossy(message.message_inner().body_slice()).into_owned()
}

/// The runtime that the producers and consumers of a process share.
pub struct Client {
    owner: RuntimeOwner,
    runtime: Arc<ClientRuntime>,
    namesrv: String,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("namesrv", &self.namesrv).finish_non_exhaustive()
    }
}

impl Client {
    /// Creates a client, without connecting.
    ///
    /// # Panics
    ///
    /// If the client's own runtime cannot be built.
    pub fn new(namesrv: &str) -> Self {
        let owner = RuntimeOwner::new().expect("a runtime");
        let scope = owner.root_context().component("client");
        // The default handle installs no subscriber.
        let runtime = ClientRuntime::try_new(scope, ClientRuntimeConfig::default(), TelemetryHandle::default());
        Self { owner, runtime: runtime.expect("a valid configuration"), namesrv: namesrv.to_owned() }
    }

    /// Returns the runtime, for builders of producers and consumers.
    pub fn runtime(&self) -> Arc<ClientRuntime> {
        Arc::clone(&self.runtime)
    }

    /// Starts a producer of the group `group`.
    ///
    /// # Panics
    ///
    /// If the name server does not answer.
    pub async fn producer(&self, group: &str) -> DefaultMQProducer {
        let mut producer = DefaultMQProducer::builder(self.runtime())
            .producer_group(group)
            .name_server_addr(self.namesrv.as_str())
            .build();
        producer.start().await.expect("started");
        producer
    }

    /// Creates a topic with one queue, so that messages keep their order.
    ///
    /// # Panics
    ///
    /// If the broker rejects it.
    pub async fn create_topic(producer: &mut DefaultMQProducer, topic: &str) {
        producer.create_topic("TBW102", topic, 1, HashMap::new()).await.expect("the topic is new");
    }

    /// Stops the runtime. Its producers and consumers must have been shut down.
    pub async fn stop(self) {
        self.runtime.shutdown().await;
        self.owner.shutdown_tasks().await;
        self.owner.shutdown_background();
    }
}
