//! RabbitMQ.

use futures::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};

async fn connect(address: &str) -> (Connection, Channel) {
    let url = format!("amqp://{address}");
    let connection = Connection::connect(&url, ConnectionProperties::default()).await.expect("the broker answers");
    let channel = connection.create_channel().await.expect("a channel");
    (connection, channel)
}

pub(super) async fn declare(address: &str, queue: &str) {
    let (connection, channel) = connect(address).await;
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, FieldTable::default()).await.expect("the queue is new");
    connection.close(200, "done".into()).await.expect("the connection closes");
}

pub(crate) struct Producer {
    pub(crate) channel: Channel,
    pub(crate) queue: String,
    _connection: Connection,
}

impl Producer {
    pub(super) async fn connect(address: &str, queue: String) -> Self {
        let (connection, channel) = connect(address).await;
        Self { channel, queue, _connection: connection }
    }
}

pub(crate) struct Received {
    pub(crate) delivery: Delivery,
    pub(crate) queue: String,
}

impl Received {
    pub(super) async fn acknowledge(&self) {
        self.delivery.ack(BasicAckOptions::default()).await.expect("acknowledged");
    }

    pub(super) async fn requeue(&self) {
        let again = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
        self.delivery.nack(again).await.expect("requeued");
    }
}

pub(crate) struct Consumer {
    deliveries: lapin::Consumer,
    queue: String,
    _connection: Connection,
}

impl Consumer {
    pub(super) async fn connect(address: &str, queue: String, prefetch: u16) -> Self {
        let (connection, channel) = connect(address).await;
        channel.basic_qos(prefetch, BasicQosOptions::default()).await.expect("an answer");
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(queue.as_str().into(), "".into(), options, none).await;
        Self { deliveries: consumer.expect("a consumer"), queue, _connection: connection }
    }

    pub(super) async fn next(&mut self) -> Received {
        let delivery = self.deliveries.next().await.expect("the consumer goes on").expect("a message");
        Received { delivery, queue: self.queue.clone() }
    }
}
