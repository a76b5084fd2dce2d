//! RocketMQ.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use rocketmq_client_rust::{
    ClientResult, ClientRuntime, ClientRuntimeConfig, ConsumeConcurrentlyContext, ConsumeConcurrentlyStatus,
    DefaultMQProducer, DefaultMQPushConsumer, MQPushConsumer as _, TelemetryHandle,
};
use rocketmq_model::common::consumer::consume_from_where::ConsumeFromWhere;
use rocketmq_model::common::message::message_ext::MessageExt;
use rocketmq_runtime::{RuntimeConfig, RuntimeOwner};
use tokio::sync::{Mutex, mpsc};

/// The runtime of a client.
struct Client {
    runtime: Arc<ClientRuntime>,
    _owner: RuntimeOwner,
}

impl Client {
    /// `listeners` may be called concurrently. The default is two per processor, and a message in excess is delivered
    /// again ten seconds later.
    fn new(listeners: usize) -> Self {
        let mut config =
            RuntimeConfig::default().with_max_blocking_threads(4 * listeners.max(8)).expect("a valid limit");
        let lane = &mut config.blocking_lane_policies.metadata_io;
        lane.max_concurrency = lane.max_concurrency.max(2 * listeners);
        let owner = RuntimeOwner::plan(config).expect("a valid configuration").build().expect("a runtime");
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
        let client = Client::new(0);
        let mut producer = DefaultMQProducer::builder(Arc::clone(&client.runtime))
            .producer_group(format!("{topic}-producers"))
            .name_server_addr(address)
            .build();
        producer.start().await.expect("started");
        Self { client: producer, topic, _runs_on: client }
    }
}

pub(crate) struct Received {
    pub(crate) message: Arc<MessageExt>,
    /// Completes the call of the listener.
    handled: SyncSender<()>,
    from: Arc<Mutex<DefaultMQPushConsumer>>,
}

/// How long the broker waits before it delivers a message again: a second, the shortest of its levels.
const DELAY_LEVEL: i32 = 1;

impl Received {
    pub(super) fn acknowledge(&self) {
        let _ = self.handled.send(());
    }

    /// Like a listener that returns `ReconsumeLater`, which would delay the message by ten seconds.
    pub(super) async fn send_back(&self) {
        let mut consumer = self.from.lock().await;
        let message = MessageExt::clone(&self.message);
        let back = Box::pin(consumer.send_message_back_to_origin_broker(message, DELAY_LEVEL));
        back.await.expect("the broker takes it back");
        self.acknowledge();
    }
}

pub(crate) struct Consumer {
    received: mpsc::UnboundedReceiver<(Arc<MessageExt>, SyncSender<()>)>,
    client: Arc<Mutex<DefaultMQPushConsumer>>,
    _runs_on: Client,
}

impl Consumer {
    pub(super) async fn connect(address: &str, topic: &str, prefetch: u16) -> Self {
        let client = Client::new(prefetch.into());
        let mut consumer = DefaultMQPushConsumer::builder(Arc::clone(&client.runtime))
            // All consumers of a group have to have the same topics.
            .consumer_group(format!("{topic}-consumers"))
            .name_server_addr(address)
            .consume_from_where(ConsumeFromWhere::ConsumeFromFirstOffset)
            .consume_thread_min(prefetch.into())
            .consume_thread_max(prefetch.into())
            .build();
        consumer.subscribe(topic, "*").await.expect("subscribed");
        let (deliver, received) = mpsc::unbounded_channel();
        consumer.register_message_listener_concurrently(
            move |messages: &[&MessageExt],
                  _: &ConsumeConcurrentlyContext|
                  -> ClientResult<ConsumeConcurrentlyStatus> {
                for message in messages {
                    let (handled, is_handled) = sync_channel(1);
                    let delivered = deliver.send((Arc::new(MessageExt::clone(message)), handled));
                    if delivered.is_err() || is_handled.recv().is_err() {
                        return Ok(ConsumeConcurrentlyStatus::ReconsumeLater);
                    }
                }
                Ok(ConsumeConcurrentlyStatus::ConsumeSuccess)
            },
        );
        consumer.start().await.expect("started");
        Self { received, client: Arc::new(Mutex::new(consumer)), _runs_on: client }
    }

    pub(super) async fn next(&mut self) -> Received {
        let (message, handled) = self.received.recv().await.expect("the listener is registered");
        Received { message, handled, from: Arc::clone(&self.client) }
    }
}
