//! Names that only integrations and optional features record, and helpers for addresses.

use std::net::SocketAddr;

use opentelemetry::{KeyValue, StringValue, Value};

use crate::tags::value::within_bounds;

conventions! {
    // Source code.

    /// The name of the thread.
    THREAD_NAME = "thread.name";

    // Addresses.

    /// The logical server: a host name, an IP address or the path of a socket.
    SERVER_ADDRESS = "server.address";
    /// The port of the logical server.
    SERVER_PORT = "server.port";
    /// The client behind all proxies that are trusted.
    CLIENT_ADDRESS = "client.address";
    /// The IP address of the other end of the connection.
    NETWORK_PEER_ADDRESS = "network.peer.address";
    /// The port of the other end of the connection.
    NETWORK_PEER_PORT = "network.peer.port";
    /// The version of the protocol, such as `1.1` or `2` for HTTP.
    NETWORK_PROTOCOL_VERSION = "network.protocol.version";

    // HTTP.

    /// The method, or `_OTHER` if it is not a known one.
    HTTP_REQUEST_METHOD = "http.request.method";
    /// The method as it was sent, where `http.request.method` is `_OTHER`.
    HTTP_REQUEST_METHOD_ORIGINAL = "http.request.method_original";
    /// Which attempt to send the request again this is, from one.
    HTTP_REQUEST_RESEND_COUNT = "http.request.resend_count";
    /// Followed by a dot and the lower-case name of a request header: the values of that header.
    HTTP_REQUEST_HEADER = "http.request.header";
    /// Followed by a dot and the lower-case name of a response header: the values of that header.
    HTTP_RESPONSE_HEADER = "http.response.header";
    /// The status code of the response.
    HTTP_RESPONSE_STATUS_CODE = "http.response.status_code";
    /// The route template that the request matched, such as `/orders/{no}`.
    HTTP_ROUTE = "http.route";
    /// The absolute URL of a request that is sent, redacted.
    URL_FULL = "url.full";
    /// The path of a request that is served, redacted.
    URL_PATH = "url.path";
    /// The query of a request that is served, redacted.
    URL_QUERY = "url.query";
    /// `http` or `https`.
    URL_SCHEME = "url.scheme";
    /// The template that the path of a request that is sent was made from.
    URL_TEMPLATE = "url.template";
    /// The value of the header `User-Agent`.
    USER_AGENT_ORIGINAL = "user_agent.original";

    // RPC.

    /// `grpc`.
    RPC_SYSTEM_NAME = "rpc.system.name";
    /// The full method, such as `shop.Orders/Place`, or `_OTHER` if the server does not have it.
    RPC_METHOD = "rpc.method";
    /// The method as it was called, where `rpc.method` is `_OTHER`.
    RPC_METHOD_ORIGINAL = "rpc.method_original";
    /// The gRPC status, such as `NOT_FOUND`.
    RPC_RESPONSE_STATUS_CODE = "rpc.response.status_code";

    // Databases.

    /// The database system: `mysql`, `mariadb` or `redis`.
    DB_SYSTEM_NAME = "db.system.name";
    /// The database.
    DB_NAMESPACE = "db.namespace";
    /// The operation or command.
    DB_OPERATION_NAME = "db.operation.name";
    /// How many operations a batch has, from two.
    DB_OPERATION_BATCH_SIZE = "db.operation.batch.size";
    /// Operations and tables, of low cardinality.
    DB_QUERY_SUMMARY = "db.query.summary";
    /// The statement or command, sanitized.
    DB_QUERY_TEXT = "db.query.text";
    /// The stored procedure or script that is called.
    DB_STORED_PROCEDURE_NAME = "db.stored_procedure.name";
    /// How many rows were received.
    DB_RESPONSE_RETURNED_ROWS = "db.response.returned_rows";
    /// The status that the server reported, such as `1062` or `WRONGTYPE`.
    DB_RESPONSE_STATUS_CODE = "db.response.status_code";

    // Messaging.

    /// The messaging system, such as `kafka`.
    MESSAGING_SYSTEM = "messaging.system";
    /// The operation by the name that the messaging system has for it.
    MESSAGING_OPERATION_NAME = "messaging.operation.name";
    /// The class of the operation: `send`, `receive`, `process`, `create` or `settle`.
    MESSAGING_OPERATION_TYPE = "messaging.operation.type";
    /// The queue, topic, exchange or stream.
    MESSAGING_DESTINATION_NAME = "messaging.destination.name";
    /// The partition or queue of a topic.
    MESSAGING_DESTINATION_PARTITION_ID = "messaging.destination.partition.id";
    /// Whether the server made the name of the destination up.
    MESSAGING_DESTINATION_ANONYMOUS = "messaging.destination.anonymous";
    /// Whether the destination ceases to exist when nobody uses it any more.
    MESSAGING_DESTINATION_TEMPORARY = "messaging.destination.temporary";
    /// The consumer group.
    MESSAGING_CONSUMER_GROUP_NAME = "messaging.consumer.group.name";
    /// The id of the client.
    MESSAGING_CLIENT_ID = "messaging.client.id";
    /// The id of the message.
    MESSAGING_MESSAGE_ID = "messaging.message.id";
    /// The id that correlates messages, such as a request and its reply.
    MESSAGING_MESSAGE_CONVERSATION_ID = "messaging.message.conversation_id";
    /// The size of the message's body in bytes.
    MESSAGING_MESSAGE_BODY_SIZE = "messaging.message.body.size";

    /// Kafka: the key of the message.
    MESSAGING_KAFKA_MESSAGE_KEY = "messaging.kafka.message.key";
    /// Kafka: whether the message is a tombstone.
    MESSAGING_KAFKA_MESSAGE_TOMBSTONE = "messaging.kafka.message.tombstone";
    /// Kafka: the offset of the record in its partition.
    MESSAGING_KAFKA_OFFSET = "messaging.kafka.offset";

    /// RabbitMQ: the routing key.
    MESSAGING_RABBITMQ_DESTINATION_ROUTING_KEY = "messaging.rabbitmq.destination.routing_key";
    /// RabbitMQ: the delivery tag.
    MESSAGING_RABBITMQ_MESSAGE_DELIVERY_TAG = "messaging.rabbitmq.message.delivery_tag";

    /// RocketMQ: the level that stands for the delay of the message.
    MESSAGING_ROCKETMQ_MESSAGE_DELAY_TIME_LEVEL = "messaging.rocketmq.message.delay_time_level";
    /// RocketMQ: when the message is to be delivered, in milliseconds since the Unix epoch.
    MESSAGING_ROCKETMQ_MESSAGE_DELIVERY_TIMESTAMP = "messaging.rocketmq.message.delivery_timestamp";
    /// RocketMQ: the group within which messages are ordered.
    MESSAGING_ROCKETMQ_MESSAGE_GROUP = "messaging.rocketmq.message.group";
    /// RocketMQ: the keys of the message.
    MESSAGING_ROCKETMQ_MESSAGE_KEYS = "messaging.rocketmq.message.keys";
    /// RocketMQ: the tag of the message.
    MESSAGING_ROCKETMQ_MESSAGE_TAG = "messaging.rocketmq.message.tag";
    /// RocketMQ: the type of the message: `normal`, `fifo`, `delay` or `transaction`.
    MESSAGING_ROCKETMQ_MESSAGE_TYPE = "messaging.rocketmq.message.type";
    /// RocketMQ: the namespace.
    MESSAGING_ROCKETMQ_NAMESPACE = "messaging.rocketmq.namespace";

    // Resource.

    /// The name of the service.
    SERVICE_NAME = "service.name";
    /// The id of this instance of the service.
    SERVICE_INSTANCE_ID = "service.instance.id";
    /// The deployment environment, such as `production`.
    DEPLOYMENT_ENVIRONMENT_NAME = "deployment.environment.name";
    /// The name of the host.
    HOST_NAME = "host.name";
    /// The operating system.
    OS_TYPE = "os.type";
    /// The id of the process.
    PROCESS_PID = "process.pid";
    /// The name of the telemetry SDK.
    TELEMETRY_SDK_NAME = "telemetry.sdk.name";
    /// The language of the telemetry SDK.
    TELEMETRY_SDK_LANGUAGE = "telemetry.sdk.language";
    /// The version of the telemetry SDK.
    TELEMETRY_SDK_VERSION = "telemetry.sdk.version";
}

ours! {
    /// Whether the process shut down before the span ended.
    THROUGHLINE_UNFINISHED = "throughline.unfinished";
    /// Whether a detached job begins a trace on purpose.
    THROUGHLINE_JOB_ROOT = "throughline.job.root";
    /// Whether the parent was passed on by its identity, so that the span may begin after its parent has ended.
    THROUGHLINE_DETACHED = "throughline.detached";
    /// How many rows a statement changed.
    THROUGHLINE_DB_AFFECTED_ROWS = "throughline.db.affected_rows";
    /// How often an entry of a stream was delivered, this time included.
    THROUGHLINE_REDIS_DELIVERY_COUNT = "throughline.redis.delivery_count";
    /// Whether a message was delivered before.
    THROUGHLINE_MESSAGING_REDELIVERED = "throughline.messaging.redelivered";
    /// The offset of a message in its queue.
    THROUGHLINE_ROCKETMQ_QUEUE_OFFSET = "throughline.rocketmq.queue_offset";
    /// How often a message was delivered before.
    THROUGHLINE_ROCKETMQ_RECONSUME_TIMES = "throughline.rocketmq.reconsume_times";
    /// The broker's answer to a message, unless it is `SEND_OK`.
    THROUGHLINE_ROCKETMQ_SEND_STATUS = "throughline.rocketmq.send_status";
    /// How many log events one span can have.
    THROUGHLINE_LOG_LIMIT = "throughline.log.limit";
    /// Why traces or spans were lost, on the metrics that count them.
    THROUGHLINE_REASON = "throughline.reason";
}

/// [`SERVER_ADDRESS`], and [`SERVER_PORT`] if there is a port.
///
/// An IPv6 address may have the brackets that it has in a URI; they are not part of the attribute. A long
/// address is cut as a tag is. An empty one gives nothing.
///
/// ```
/// use throughline::semconv;
///
/// let server: Vec<_> = semconv::server("[::1]", Some(8080)).collect();
/// assert_eq!(server[0].value.as_str(), "::1");
/// assert_eq!(server[1].key.as_str(), semconv::SERVER_PORT);
/// ```
pub fn server(address: impl Into<StringValue>, port: Option<u16>) -> impl Iterator<Item = KeyValue> {
    let mut address = address.into();
    let bare = address.as_str().strip_prefix('[').and_then(|address| address.strip_suffix(']'));
    if let Some(bare) = bare {
        address = bare.to_owned().into();
    }
    let is_known = !address.as_str().is_empty();
    let address = is_known.then(|| KeyValue::new(SERVER_ADDRESS, within_bounds(Value::String(address))));
    let port = port.filter(|_| is_known).map(|port| KeyValue::new(SERVER_PORT, i64::from(port)));
    address.into_iter().chain(port)
}

/// [`NETWORK_PEER_ADDRESS`] and [`NETWORK_PEER_PORT`].
///
/// ```
/// use throughline::semconv;
///
/// let [address, port] = semconv::network_peer(([127, 0, 0, 1], 6379).into());
/// assert_eq!((address.value, port.value), ("127.0.0.1".into(), 6379.into()));
/// ```
pub fn network_peer(peer: SocketAddr) -> [KeyValue; 2] {
    [
        KeyValue::new(NETWORK_PEER_ADDRESS, peer.ip().to_string()),
        KeyValue::new(NETWORK_PEER_PORT, i64::from(peer.port())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_of(address: &'static str, port: Option<u16>) -> Vec<(String, String)> {
        server(address, port).map(|pair| (pair.key.to_string(), pair.value.to_string())).collect()
    }

    #[test]
    fn a_server_has_an_address_and_may_have_a_port() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            server_of("db.example", Some(3306)),
            [pair("server.address", "db.example"), pair("server.port", "3306")]
        );
        assert_eq!(server_of("[2001:db8::1]", None), [pair("server.address", "2001:db8::1")]);
        assert_eq!(server_of("", Some(80)), []);
        assert_eq!(server_of("[]", Some(80)), []);
    }
}
