//! Names that only integrations and optional features record, and helpers for addresses.

use std::net::SocketAddr;

use opentelemetry::{KeyValue, StringValue, Value};

use crate::tags::value::within_bounds;

conventions! {
    // Source code.

    /// The name of the thread.
    THREAD_NAME = "thread.name";

    // Addresses.

    /// The logical server address: a host name, an IP address or the path of a Unix socket.
    SERVER_ADDRESS = "server.address";
    /// The logical server port.
    SERVER_PORT = "server.port";
    /// The client address, behind all trusted proxies.
    CLIENT_ADDRESS = "client.address";
    /// The IP address of the peer of the network connection.
    NETWORK_PEER_ADDRESS = "network.peer.address";
    /// The port of the peer of the network connection.
    NETWORK_PEER_PORT = "network.peer.port";
    /// The version of the protocol, such as `1.1` or `2` for HTTP.
    NETWORK_PROTOCOL_VERSION = "network.protocol.version";

    // HTTP.

    /// The request method, or `_OTHER` for an unknown method.
    HTTP_REQUEST_METHOD = "http.request.method";
    /// The original method, if `http.request.method` is `_OTHER`.
    HTTP_REQUEST_METHOD_ORIGINAL = "http.request.method_original";
    /// The ordinal number of the resend attempt, starting at 1.
    HTTP_REQUEST_RESEND_COUNT = "http.request.resend_count";
    /// The prefix of attributes for request headers: it is followed by a dot and the lower-case header name.
    HTTP_REQUEST_HEADER = "http.request.header";
    /// The prefix of attributes for response headers: it is followed by a dot and the lower-case header name.
    HTTP_RESPONSE_HEADER = "http.response.header";
    /// The response status code.
    HTTP_RESPONSE_STATUS_CODE = "http.response.status_code";
    /// The matched route template, such as `/orders/{no}`.
    HTTP_ROUTE = "http.route";
    /// The absolute URL of an outgoing request, redacted.
    URL_FULL = "url.full";
    /// The path of an incoming request, redacted.
    URL_PATH = "url.path";
    /// The query of an incoming request, redacted.
    URL_QUERY = "url.query";
    /// The URL scheme: `http` or `https`.
    URL_SCHEME = "url.scheme";
    /// The path template of an outgoing request, such as `/orders/{no}`.
    URL_TEMPLATE = "url.template";
    /// The value of the `User-Agent` header.
    USER_AGENT_ORIGINAL = "user_agent.original";

    // RPC.

    /// The RPC system: `grpc`.
    RPC_SYSTEM_NAME = "rpc.system.name";
    /// The fully qualified method, such as `shop.Orders/Place`, or `_OTHER` for an unknown method.
    RPC_METHOD = "rpc.method";
    /// The original method, if `rpc.method` is `_OTHER`.
    RPC_METHOD_ORIGINAL = "rpc.method_original";
    /// The gRPC status code, such as `NOT_FOUND`.
    RPC_RESPONSE_STATUS_CODE = "rpc.response.status_code";

    // Databases.

    /// The database system: `mysql`, `mariadb` or `redis`.
    DB_SYSTEM_NAME = "db.system.name";
    /// The database name, or the index of a Redis database.
    DB_NAMESPACE = "db.namespace";
    /// The name of the operation or command.
    DB_OPERATION_NAME = "db.operation.name";
    /// The number of operations in a batch, if there are at least two.
    DB_OPERATION_BATCH_SIZE = "db.operation.batch.size";
    /// A summary of the query with low cardinality: operations and tables.
    DB_QUERY_SUMMARY = "db.query.summary";
    /// The statement or command, sanitized.
    DB_QUERY_TEXT = "db.query.text";
    /// The name of the stored procedure or script.
    DB_STORED_PROCEDURE_NAME = "db.stored_procedure.name";
    /// The number of rows received.
    DB_RESPONSE_RETURNED_ROWS = "db.response.returned_rows";
    /// The error code of the database server, such as `1062` or `WRONGTYPE`.
    DB_RESPONSE_STATUS_CODE = "db.response.status_code";

    // Messaging.

    /// The messaging system, such as `kafka`.
    MESSAGING_SYSTEM = "messaging.system";
    /// The messaging system's name for the operation.
    MESSAGING_OPERATION_NAME = "messaging.operation.name";
    /// The type of the operation: `send`, `receive`, `process`, `create` or `settle`.
    MESSAGING_OPERATION_TYPE = "messaging.operation.type";
    /// The name of the queue, topic, exchange or stream.
    MESSAGING_DESTINATION_NAME = "messaging.destination.name";
    /// The partition of a topic, or the queue number in RocketMQ.
    MESSAGING_DESTINATION_PARTITION_ID = "messaging.destination.partition.id";
    /// Whether the broker generated the name of the destination.
    MESSAGING_DESTINATION_ANONYMOUS = "messaging.destination.anonymous";
    /// Whether the destination is deleted when it is no longer used.
    MESSAGING_DESTINATION_TEMPORARY = "messaging.destination.temporary";
    /// The name of the consumer group.
    MESSAGING_CONSUMER_GROUP_NAME = "messaging.consumer.group.name";
    /// The client ID.
    MESSAGING_CLIENT_ID = "messaging.client.id";
    /// The message ID.
    MESSAGING_MESSAGE_ID = "messaging.message.id";
    /// The correlation ID of messages that belong together, such as a request and its reply.
    MESSAGING_MESSAGE_CONVERSATION_ID = "messaging.message.conversation_id";
    /// The size of the message body in bytes.
    MESSAGING_MESSAGE_BODY_SIZE = "messaging.message.body.size";

    /// Kafka: the message key.
    MESSAGING_KAFKA_MESSAGE_KEY = "messaging.kafka.message.key";
    /// Kafka: whether the message is a tombstone.
    MESSAGING_KAFKA_MESSAGE_TOMBSTONE = "messaging.kafka.message.tombstone";
    /// Kafka: the offset of the record in its partition.
    MESSAGING_KAFKA_OFFSET = "messaging.kafka.offset";

    /// RabbitMQ: the routing key.
    MESSAGING_RABBITMQ_DESTINATION_ROUTING_KEY = "messaging.rabbitmq.destination.routing_key";
    /// RabbitMQ: the delivery tag.
    MESSAGING_RABBITMQ_MESSAGE_DELIVERY_TAG = "messaging.rabbitmq.message.delivery_tag";

    /// RocketMQ: the delay level of the message.
    MESSAGING_ROCKETMQ_MESSAGE_DELAY_TIME_LEVEL = "messaging.rocketmq.message.delay_time_level";
    /// RocketMQ: the delivery time of the message, in milliseconds since the Unix epoch.
    MESSAGING_ROCKETMQ_MESSAGE_DELIVERY_TIMESTAMP = "messaging.rocketmq.message.delivery_timestamp";
    /// RocketMQ: the message group, within which messages are ordered.
    MESSAGING_ROCKETMQ_MESSAGE_GROUP = "messaging.rocketmq.message.group";
    /// RocketMQ: the message keys.
    MESSAGING_ROCKETMQ_MESSAGE_KEYS = "messaging.rocketmq.message.keys";
    /// RocketMQ: the message tag.
    MESSAGING_ROCKETMQ_MESSAGE_TAG = "messaging.rocketmq.message.tag";
    /// RocketMQ: the message type: `normal`, `fifo`, `delay` or `transaction`.
    MESSAGING_ROCKETMQ_MESSAGE_TYPE = "messaging.rocketmq.message.type";
    /// RocketMQ: the namespace.
    MESSAGING_ROCKETMQ_NAMESPACE = "messaging.rocketmq.namespace";

    // Resource.

    /// The name of the service.
    SERVICE_NAME = "service.name";
    /// The ID of the service instance.
    SERVICE_INSTANCE_ID = "service.instance.id";
    /// The deployment environment, such as `production`.
    DEPLOYMENT_ENVIRONMENT_NAME = "deployment.environment.name";
    /// The ID of the container that the process runs in.
    CONTAINER_ID = "container.id";
    /// The processor architecture.
    HOST_ARCH = "host.arch";
    /// The host name.
    HOST_NAME = "host.name";
    /// The operating system type.
    OS_TYPE = "os.type";
    /// The process ID.
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
    /// Whether a detached job was spawned as the root of a new trace.
    THROUGHLINE_JOB_ROOT = "throughline.job.root";
    /// Whether the value that was given as the parent has no span context, so that only the current span is linked.
    THROUGHLINE_PARENT_MISSING = "throughline.parent.missing";
    /// Whether only the span context of the parent was passed on, so that the span may start after its parent has
    /// ended.
    THROUGHLINE_DETACHED = "throughline.detached";
    /// The number of rows changed by a statement.
    THROUGHLINE_DB_AFFECTED_ROWS = "throughline.db.affected_rows";
    /// The number of deliveries of a stream entry, including this one.
    THROUGHLINE_REDIS_DELIVERY_COUNT = "throughline.redis.delivery_count";
    /// Whether a message is a redelivery.
    THROUGHLINE_MESSAGING_REDELIVERED = "throughline.messaging.redelivered";
    /// The names of the headers of the context that a message was sent without, because it would have been too large.
    THROUGHLINE_MESSAGING_DROPPED_HEADERS = "throughline.messaging.dropped_headers";
    /// RabbitMQ: how often a message was rejected before, and returned through a dead-letter exchange.
    THROUGHLINE_RABBITMQ_REJECTIONS = "throughline.rabbitmq.rejections";
    /// RocketMQ: the offset of a message in its queue.
    THROUGHLINE_ROCKETMQ_QUEUE_OFFSET = "throughline.rocketmq.queue_offset";
    /// RocketMQ: the number of previous deliveries of a message.
    THROUGHLINE_ROCKETMQ_RECONSUME_TIMES = "throughline.rocketmq.reconsume_times";
    /// RocketMQ: the send status returned by the broker, unless it is `SEND_OK`.
    THROUGHLINE_ROCKETMQ_SEND_STATUS = "throughline.rocketmq.send_status";
    /// RocketMQ: the result of the local transaction of a transactional message.
    THROUGHLINE_ROCKETMQ_TRANSACTION_STATE = "throughline.rocketmq.transaction_state";
    /// The maximum number of log events per span.
    THROUGHLINE_LOG_LIMIT = "throughline.log.limit";
    /// The reason for a loss, on the metrics that count lost traces and spans.
    THROUGHLINE_REASON = "throughline.reason";
}

/// Returns the attribute [`SERVER_ADDRESS`], followed by [`SERVER_PORT`] if there is a port.
///
/// The brackets around an IPv6 address, as in a URI, are removed. A long address is truncated to
/// [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES). If the address is empty, no attributes are returned.
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

/// Returns the attributes [`NETWORK_PEER_ADDRESS`] and [`NETWORK_PEER_PORT`].
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
