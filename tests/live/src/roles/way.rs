//! The path of one order, with a process for each stage:
//! HTTP → gRPC → Kafka → RabbitMQ → RocketMQ → Redis stream → detached job → MariaDB.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::post;
use futures::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, ConnectionProperties};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::{Offset, TopicPartitionList};
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamReadOptions, StreamReadReply};
use rocketmq_client_rust::{DefaultLitePullConsumer, DefaultMQProducer};
use rocketmq_model::common::consumer::consume_from_where::ConsumeFromWhere;
use rocketmq_model::common::message::message_ext::MessageExt;
use rocketmq_model::common::message::message_single::Message;
use throughline::propagation::{self, Propagator};
use throughline::{biz_tags, traced, traced_spawn};
use throughline_amqp::ChannelExt as _;
use throughline_grpc::{ClientLayer, ServerLayer as GrpcLayer};
use throughline_http::{RequestTag, ServerLayer};
use throughline_kafka::FutureProducerExt as _;
use throughline_redis::StreamCommandsExt as _;
use throughline_rocketmq::ProducerExt as _;
use throughline_sqlx::Database;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::{Channel as GrpcChannel, Endpoint, Server};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{Service, ServiceBuilder, service_fn};

use super::rocketmq::Client;
use crate::{Arguments, ready};

type Codec = ProstCodec<String, String>;

pub(super) async fn play(role: &str, arguments: Arguments, stop: watch::Receiver<bool>) {
    propagation::set(Propagator::default().baggage_as_tags(["tenant_id"]));
    match role {
        "http" => http(&arguments, stop).await,
        "grpc" => grpc(&arguments, stop).await,
        "kafka" => kafka(&arguments).await,
        "amqp" => amqp(&arguments).await,
        "rocketmq" => rocketmq(&arguments).await,
        "redis" => redis(&arguments).await,
        _ => panic!("no role `way-{role}`"),
    }
}

async fn listen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    ready(&listener.local_addr().expect("a bound listener has an address").to_string());
    listener
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The gateway: takes the tenant from a header, and calls the order service.
async fn http(arguments: &Arguments, stop: watch::Receiver<bool>) {
    let endpoint = Endpoint::from_shared(format!("http://{}", arguments.get("grpc"))).expect("an address");
    let channel = endpoint.connect().await.expect("the order service runs");
    let layer = ServerLayer::new().tag(RequestTag::new("tenant_id").header("x-tenant-id").propagate());
    let router = axum::Router::new()
        .route("/orders/{order_no}", post(accept))
        .layer(layer)
        .with_state((channel, endpoint.uri().clone()));
    axum::serve(listen().await, router).with_graceful_shutdown(stopped(stop)).await.expect("it serves");
}

async fn accept(
    State((channel, uri)): State<(GrpcChannel, http::Uri)>,
    Path(order_no): Path<String>,
) -> Result<String, String> {
    let channel = ServiceBuilder::new().layer(ClientLayer::new().server(&uri)).service(channel);
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| error.to_string())?;
    let path = http::uri::PathAndQuery::from_static("/shop.Orders/Place");
    let placed = client.unary(Request::new(order_no), path, Codec::default()).await;
    placed.map(Response::into_inner).map_err(|status| status.to_string())
}

/// The order service: each order goes to Kafka.
async fn grpc(arguments: &Arguments, stop: watch::Receiver<bool>) {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", arguments.get("brokers")).create().expect("a configuration");
    let orders = Orders { producer, topic: arguments.get("topic").into() };
    let incoming = TcpListenerStream::new(listen().await);
    let server = Server::builder().layer(GrpcLayer::new()).add_service(orders);
    server.serve_with_incoming_shutdown(incoming, stopped(stop)).await.expect("the server ends well");
}

/// `rpc Place(StringValue) returns (StringValue)` of `shop.Orders`.
#[derive(Clone)]
struct Orders {
    producer: FutureProducer,
    topic: Arc<str>,
}

impl NamedService for Orders {
    const NAME: &'static str = "shop.Orders";
}

impl Service<http::Request<Body>> for Orders {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let place = service_fn(move |request: Request<String>| {
                let this = this.clone();
                async move { this.place(request.into_inner()).await }
            });
            Ok(tonic::server::Grpc::new(Codec::default()).unary(place, request).await)
        })
    }
}

impl Orders {
    async fn place(&self, order_no: String) -> Result<Response<String>, Status> {
        let record = FutureRecord::<(), _>::to(&self.topic).payload(&order_no).partition(0);
        let sent = self.producer.send_traced(record, Duration::from_secs(20)).await;
        sent.map_err(|(error, _)| Status::unavailable(error.to_string()))?;
        Ok(Response::new(format!("placed {order_no}")))
    }
}

/// Stock: from Kafka to RabbitMQ.
async fn kafka(arguments: &Arguments) {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", arguments.get("brokers"))
        .set("group.id", "stock")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a configuration");
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(arguments.get("topic"), 0, Offset::Beginning).expect("an offset");
    consumer.assign(&partitions).expect("the partition can be assigned");
    let (connection, channel) = rabbit(arguments).await;
    ready("");
    let message = consumer.recv().await.expect("a message");
    reserve(&message, &channel, arguments.get("queue")).await;
    connection.close(200, "done".into()).await.expect("the connection closes");
}

async fn rabbit(arguments: &Arguments) -> (lapin::Connection, Channel) {
    let connection = lapin::Connection::connect(arguments.get("amqp"), ConnectionProperties::default());
    let connection = connection.await.expect("the broker answers");
    let channel = connection.create_channel().await.expect("a channel");
    (connection, channel)
}

#[traced(kind = consumer, parent = throughline_kafka::Delivery::new(message).group("stock"))]
async fn reserve(message: &BorrowedMessage<'_>, channel: &Channel, queue: &str) {
    let order_no = message.payload().expect("an order number");
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let sent = channel.basic_publish_traced("".into(), queue.into(), options, order_no, properties);
    sent.await.expect("sent").await.expect("no confirmation was requested");
}

/// Billing: from RabbitMQ to RocketMQ.
async fn amqp(arguments: &Arguments) {
    let client = Client::new(arguments.get("namesrv"));
    let mut producer = client.producer(arguments.get("group")).await;
    let (connection, channel) = rabbit(arguments).await;
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let queue = arguments.get("queue");
    let mut consumer = channel.basic_consume(queue.into(), "".into(), options, none).await.expect("a consumer");
    ready("");
    let delivery = consumer.next().await.expect("the consumer goes on").expect("a message");
    bill(&delivery, queue, &producer, arguments.get("topic")).await;
    producer.shutdown().await;
    client.stop().await;
    connection.close(200, "done".into()).await.expect("the connection closes");
}

#[traced(kind = consumer, parent = throughline_amqp::Delivery::new(delivery).queue(queue))]
async fn bill(delivery: &Delivery, queue: &str, producer: &DefaultMQProducer, topic: &str) {
    let message = Message::builder().topic(topic).body_slice(&delivery.data).build_unchecked();
    Box::pin(producer.send_traced(message)).await.expect("sent");
    delivery.ack(BasicAckOptions::default()).await.expect("acknowledged");
}

/// Shipping: from RocketMQ to a Redis stream.
async fn rocketmq(arguments: &Arguments) {
    let client = Client::new(arguments.get("namesrv"));
    let consumer = DefaultLitePullConsumer::builder(client.runtime())
        .consumer_group(arguments.get("group"))
        .name_server_addr(arguments.get("namesrv"))
        .consume_from_where(ConsumeFromWhere::ConsumeFromFirstOffset)
        .build()
        .expect("valid");
    consumer.subscribe(arguments.get("topic")).await.expect("subscribed");
    consumer.start().await.expect("started");
    let mut stream = redis_connection(arguments).await;
    ready("");
    let polled = async {
        loop {
            if let Some(message) = consumer.poll_with_timeout_zero_copy(1000).await.into_iter().next() {
                return message;
            }
        }
    };
    let message = tokio::time::timeout(Duration::from_secs(60), polled).await.expect("the message comes in time");
    ship(&message, arguments.get("group"), &mut stream, arguments.get("stream")).await;
    consumer.shutdown().await;
    client.stop().await;
}

async fn redis_connection(arguments: &Arguments) -> MultiplexedConnection {
    let client = ::redis::Client::open(arguments.get("redis")).expect("an address");
    // A blocking read must not time out.
    let patient = ::redis::AsyncConnectionConfig::new().set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&patient).await.expect("redis runs")
}

#[traced(kind = consumer, parent = throughline_rocketmq::Delivery::new(message).group(group))]
async fn ship(message: &MessageExt, group: &str, connection: &mut MultiplexedConnection, stream: &str) {
    let order_no = String::from_utf8_lossy(message.message_inner().body_slice()).into_owned();
    let _: String = connection.xadd_traced(stream, "*", &[("order_no", order_no)]).await.expect("added");
}

/// Archive: from the Redis stream, in a job of its own, to the database.
async fn redis(arguments: &Arguments) {
    let pool = sqlx::MySqlPool::connect(arguments.get("mysql")).await.expect("the server runs");
    let mut connection = redis_connection(arguments).await;
    ready("");
    let options = StreamReadOptions::default().block(60_000).count(1);
    let reply: StreamReadReply =
        connection.xread_options(&[arguments.get("stream")], &["0"], &options).await.expect("an answer");
    let entry = throughline_redis::Delivery::all(&reply.keys[0]).next().expect("an entry");
    archive(entry, Database::new(pool).mariadb(), arguments.get("table")).await;
}

#[traced(kind = consumer, parent = entry)]
async fn archive(entry: throughline_redis::Delivery<'_>, database: Database, table: &str) {
    let order_no: String = entry.entry().get("order_no").expect("an order number");
    // The entry is processed, but the job may not have ended.
    store(database, table.to_owned(), order_no);
}

#[traced_spawn]
#[biz_tags(order_no)]
async fn store(database: Database, table: String, order_no: String) {
    let insert = sqlx::AssertSqlSafe(format!("INSERT INTO {table} (order_no) VALUES (?)"));
    let stored = sqlx::query(insert).bind(order_no).execute(&database).await.expect("stored");
    assert_eq!(stored.rows_affected(), 1);
}
