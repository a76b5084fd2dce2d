//! Kafka.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::message::{Message as _, OwnedMessage};
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

/// Where a consumer is in its partition, which has no gaps.
struct Position {
    /// The offset of the next message, once there was one.
    next: Mutex<Option<i64>>,
    /// The offset of the first message that was never delivered.
    fresh: AtomicI64,
    /// Where a consumer that replaces this one begins: all earlier messages are processed.
    processed: Mutex<Processed>,
    /// Held while the consumer seeks.
    turn: tokio::sync::Mutex<()>,
}

/// The processed messages: all before `from`, and those in `beyond`, which were processed out of order.
#[derive(Default)]
struct Processed {
    from: Option<i64>,
    beyond: BTreeSet<i64>,
    committed: i64,
}

/// How many messages are processed between two commits.
const COMMIT_EVERY: i64 = 32;

impl Processed {
    /// Adds a message. Returns the offset to commit, if a commit is due.
    fn with(&mut self, offset: i64) -> Option<i64> {
        let mut from = self.from?;
        self.beyond.insert(offset);
        while self.beyond.remove(&from) {
            from += 1;
        }
        self.from = Some(from);
        // Some were processed again after a rewind.
        self.beyond = self.beyond.split_off(&from);
        (from - self.committed >= COMMIT_EVERY).then(|| {
            self.committed = from;
            from
        })
    }
}

pub(crate) struct Received {
    pub(crate) message: OwnedMessage,
    pub(crate) redelivered: bool,
    from: Consumer,
}

impl Received {
    pub(super) fn acknowledge(&self) {
        let commit = self.from.position.processed.lock().expect("no holder panics").with(self.message.offset());
        if let Some(offset) = commit {
            let mut offsets = TopicPartitionList::new();
            let added = offsets.add_partition_offset(self.message.topic(), 0, Offset::Offset(offset));
            added.expect("a valid offset");
            self.from.client.commit(&offsets, CommitMode::Async).expect("the commit is queued");
        }
    }

    /// Seeks back to this message: it and all later ones are delivered again.
    pub(super) async fn rewind(&self) {
        let (offset, position) = (self.message.offset(), &self.from.position);
        let _turn = position.turn.lock().await;
        {
            let mut next = position.next.lock().expect("no holder panics");
            if next.is_none_or(|next| next <= offset) {
                // An earlier message has failed, too.
                return;
            }
            *next = Some(offset);
        }
        let (client, topic) = (Arc::clone(&self.from.client), self.message.topic().to_owned());
        let sought = move || client.seek(&topic, 0, Offset::Offset(offset), Duration::from_secs(30));
        tokio::task::spawn_blocking(sought).await.expect("no panic").expect("the partition is assigned");
    }
}

#[derive(Clone)]
pub(crate) struct Consumer {
    client: Arc<StreamConsumer>,
    position: Arc<Position>,
}

impl Consumer {
    /// Begins at the start of the topic, or at the committed offset of the group if `again`.
    pub(super) fn connect(address: &str, topic: &str, again: bool) -> Self {
        let mut config = config(address);
        config.set("group.id", super::GROUP).set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
        let consumer: StreamConsumer = config.create().expect("a configuration");
        let mut partitions = TopicPartitionList::new();
        let begin = if again { Offset::Stored } else { Offset::Beginning };
        partitions.add_partition_offset(topic, 0, begin).expect("an offset");
        // Unlike `subscribe`, no waiting for a group to be formed.
        consumer.assign(&partitions).expect("the partition can be assigned");
        let position = Position {
            next: Mutex::new(None),
            fresh: AtomicI64::new(0),
            processed: Mutex::default(),
            turn: tokio::sync::Mutex::new(()),
        };
        Self { client: Arc::new(consumer), position: Arc::new(position) }
    }

    pub(super) async fn next(&self) -> Received {
        loop {
            let message = self.client.recv().await.expect("a message").detach();
            let offset = message.offset();
            {
                let mut next = self.position.next.lock().expect("no holder panics");
                if next.is_some_and(|next| next != offset) {
                    // It was in flight when the consumer sought back, and is delivered again.
                    continue;
                }
                *next = Some(offset + 1);
                self.position.processed.lock().expect("no holder panics").from.get_or_insert(offset);
            }
            let redelivered = self.position.fresh.fetch_max(offset + 1, Ordering::Relaxed) > offset;
            return Received { message, redelivered, from: self.clone() };
        }
    }
}
