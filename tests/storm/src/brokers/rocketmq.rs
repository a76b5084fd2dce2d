//! RocketMQ.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use rocketmq_client_rust::{
    ClientRuntime, ClientRuntimeConfig, DefaultLitePullConsumer, DefaultMQProducer, TelemetryHandle,
};
use rocketmq_model::common::consumer::consume_from_where::ConsumeFromWhere;
use rocketmq_model::common::message::message_ext::MessageExt;
use rocketmq_runtime::RuntimeOwner;

/// What the client runs on.
struct Client {
    runtime: Arc<ClientRuntime>,
    _owner: RuntimeOwner,
}

impl Client {
    fn new() -> Self {
        let owner = RuntimeOwner::new().expect("a runtime");
        let scope = owner.root_context().component("client");
        // The default handle installs no subscriber.
        let runtime = ClientRuntime::try_new(scope, ClientRuntimeConfig::default(), TelemetryHandle::default());
        Self { runtime: runtime.expect("a valid configuration"), _owner: owner }
    }
}

pub(super) async fn create_topic(address: &str, topic: &str) {
    let mut producer = Producer::connect(address, topic.to_owned()).await;
    producer.client.create_topic("TBW102", topic, 1, HashMap::new()).await.expect("the topic is new");
    producer.client.shutdown().await;
}

pub(crate) struct Producer {
    pub(crate) client: DefaultMQProducer,
    pub(crate) topic: String,
    _runs_on: Client,
}

impl Producer {
    pub(super) async fn connect(address: &str, topic: String) -> Self {
        let client = Client::new();
        let mut producer = DefaultMQProducer::builder(Arc::clone(&client.runtime))
            .producer_group(format!("{topic}-producers"))
            .name_server_addr(address)
            .build();
        producer.start().await.expect("started");
        Self { client: producer, topic, _runs_on: client }
    }
}

pub(crate) struct Consumer {
    client: DefaultLitePullConsumer,
    polled: VecDeque<Arc<MessageExt>>,
    _runs_on: Client,
}

impl Consumer {
    pub(super) async fn connect(address: &str, topic: &str) -> Self {
        let client = Client::new();
        let consumer = DefaultLitePullConsumer::builder(Arc::clone(&client.runtime))
            // All consumers of a group have to have the same topics.
            .consumer_group(format!("{topic}-consumers"))
            .name_server_addr(address)
            .consume_from_where(ConsumeFromWhere::ConsumeFromFirstOffset)
            .build()
            .expect("valid");
        consumer.subscribe(topic).await.expect("subscribed");
        consumer.start().await.expect("started");
        Self { client: consumer, polled: VecDeque::new(), _runs_on: client }
    }

    pub(super) async fn next(&mut self) -> Arc<MessageExt> {
        loop {
            if let Some(message) = self.polled.pop_front() {
                return message;
            }
            self.polled.extend(self.client.poll_with_timeout_zero_copy(1000).await);
        }
    }
}
