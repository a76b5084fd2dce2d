//! Kafka.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::message::OwnedMessage;
use rdkafka::producer::FutureProducer;
use rdkafka::{Offset, TopicPartitionList};

fn config(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address);
    config
}

pub(super) async fn create_topic(address: &str, topic: &str) {
    let admin: AdminClient<DefaultClientContext> = config(address).create().expect("a configuration");
    let topic = NewTopic::new(topic, 1, TopicReplication::Fixed(1));
    let created = admin.create_topics([&topic], &AdminOptions::new()).await.expect("an answer");
    assert!(created.iter().all(Result::is_ok), "{created:?}");
}

pub(crate) struct Producer {
    pub(crate) client: FutureProducer,
    pub(crate) topic: String,
}

impl Producer {
    pub(super) fn connect(address: &str, topic: String) -> Self {
        Self { client: config(address).create().expect("a configuration"), topic }
    }
}

pub(crate) struct Consumer(StreamConsumer);

impl Consumer {
    pub(super) fn connect(address: &str, topic: &str) -> Self {
        let mut config = config(address);
        config.set("group.id", super::GROUP).set("enable.auto.commit", "false");
        let consumer: StreamConsumer = config.create().expect("a configuration");
        let mut partitions = TopicPartitionList::new();
        partitions.add_partition_offset(topic, 0, Offset::Beginning).expect("an offset");
        // Unlike `subscribe`, no waiting for a group to be formed.
        consumer.assign(&partitions).expect("the partition can be assigned");
        Self(consumer)
    }

    pub(super) async fn next(&self) -> OwnedMessage {
        self.0.recv().await.expect("a message").detach()
    }
}
