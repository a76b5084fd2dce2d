//! Commands and streams of Redis.

use std::sync::atomic::{AtomicU32, Ordering};

use futures::FutureExt as _;
use opentelemetry::Value;
use opentelemetry::baggage::BaggageExt as _;
use redis::aio::MultiplexedConnection;
use redis::streams::StreamRangeReply;
use redis::{AsyncCommands as _, Client, RedisResult};
use throughline::testing::{Capture, FinishedSpan};
use throughline::{Origin as _, biz_tags, in_span, in_span_async, traced_spawn};
use throughline_live::{Peer, SpanLine, server};
use throughline_redis::{StreamCommandsExt as _, TracedConnection, inject, traced};

const PEER: &str = env!("CARGO_BIN_EXE_peer");

/// A key of this run and no other.
fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("throughline:{}:{}:{what}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn url(address: &str) -> String {
    format!("redis://{address}/2")
}

async fn connect(address: &str) -> TracedConnection<MultiplexedConnection> {
    let client = Client::open(url(address)).expect("an address");
    let connection = client.get_multiplexed_async_connection().await.expect("redis runs");
    traced(connection).client(&client)
}

fn attribute(span: &FinishedSpan, key: &str) -> Option<String> {
    span.attribute(key).map(ToString::to_string)
}

#[tokio::test]
async fn every_command_is_a_span_below_the_current_one() {
    let Some(address) = server("redis") else { return };
    let mut connection = connect(&address).await;
    let key = unique("stock");
    let capture = Capture::new();
    let request = in_span_async("request", async {
        let _: () = connection.set(&key, "secret").await.expect("an answer");
        let value: String = connection.get(&key).await.expect("an answer");
        assert_eq!(value, "secret");
        let left: i64 = redis::cmd("DEL").arg(&key).query_async(&mut connection).await.expect("an answer");
        assert_eq!(left, 1);
    });
    capture.run_async(request).await;
    capture.assert_tree("request\n├── SET [client]\n├── GET [client]\n└── DEL [client]");

    let span = capture.span("SET");
    let (host, port) = address.split_once(':').expect("host and port");
    for (name, expected) in [
        ("db.system.name", "redis"),
        ("db.operation.name", "SET"),
        ("db.namespace", "2"),
        ("db.query.text", &format!("SET {key} ?")),
        ("server.address", host),
        ("server.port", port),
    ] {
        assert_eq!(attribute(&span, name).as_deref(), Some(expected), "{name}");
    }
    assert_eq!(span.attribute("server.port"), Some(&Value::I64(port.parse().expect("a number"))));
    assert!(!format!("{:?}", capture.spans()).contains("secret"));
}

#[tokio::test]
async fn a_command_of_a_detached_job_is_in_its_trace() {
    #[traced_spawn]
    async fn job(mut connection: TracedConnection<MultiplexedConnection>, key: String) {
        let _: i64 = connection.incr(&key, 1).await.expect("an answer");
    }

    let Some(address) = server("redis") else { return };
    let connection = connect(&address).await;
    let key = unique("job");
    let capture = Capture::new();
    let job = capture.run(|| in_span("request", || job(connection, key)));
    job.await.expect("no panic");
    capture.assert_tree("request\n└── job\n    └── INCRBY [client]");
}

#[tokio::test]
async fn pipelines_and_transactions_are_one_span() {
    let Some(address) = server("redis") else { return };
    let mut connection = connect(&address).await;
    let (a, b) = (unique("a"), unique("b"));
    let capture = Capture::new();
    let work = async {
        let (left, right): (i64, i64) =
            redis::pipe().atomic().incr(&a, 3).incr(&b, 4).query_async(&mut connection).await.expect("an answer");
        assert_eq!((left, right), (3, 4));
        let (value, gone): (i64, i64) =
            redis::pipe().get(&a).del(&b).query_async(&mut connection).await.expect("an answer");
        assert_eq!((value, gone), (3, 1));
    };
    capture.run_async(in_span_async("request", work)).await;
    capture.assert_tree("request\n├── MULTI INCRBY [client]\n└── PIPELINE [client]");
    let (multi, pipeline) = (capture.span("MULTI INCRBY"), capture.span("PIPELINE"));
    assert_eq!(multi.attribute("db.operation.batch.size"), Some(&Value::I64(2)));
    assert_eq!(attribute(&multi, "db.query.text"), Some(format!("INCRBY {a} ?; INCRBY {b} ?")));
    assert_eq!(attribute(&pipeline, "db.operation.name").as_deref(), Some("PIPELINE"));
    assert_eq!(attribute(&pipeline, "db.query.text"), Some(format!("GET {a}; DEL {b}")));
}

#[tokio::test]
async fn errors_have_their_code() {
    let Some(address) = server("redis") else { return };
    let mut connection = connect(&address).await;
    let key = unique("text");
    let capture = Capture::new();
    let work = async {
        let _: () = connection.set(&key, "x").await.expect("an answer");
        let wrong: RedisResult<i64> = connection.lpush(&key, "secret").await;
        assert_eq!(wrong.expect_err("a string is no list").code(), Some("WRONGTYPE"));
        let unknown: RedisResult<i64> = redis::cmd("NOSUCH").arg("secret").query_async(&mut connection).await;
        assert_eq!(unknown.expect_err("no such command").code(), Some("ERR"));
        let partly: RedisResult<(i64, i64)> =
            redis::pipe().strlen(&key).incr(&key, 1).query_async(&mut connection).await;
        assert!(partly.is_err());
    };
    capture.run_async(work).await;
    for (name, code) in [("LPUSH", "WRONGTYPE"), ("NOSUCH", "ERR"), ("PIPELINE", "ERR")] {
        let span = capture.span(name);
        assert!(span.is_error(), "{name}");
        assert_eq!(attribute(&span, "db.response.status_code").as_deref(), Some(code), "{name}");
        assert_eq!(attribute(&span, "error.type").as_deref(), Some(code), "{name}");
    }
    assert!(!capture.span("SET").is_error());
    assert!(!format!("{:?}", capture.spans()).contains("secret"));
}

#[tokio::test]
async fn a_dropped_command_is_cancelled() {
    let Some(address) = server("redis") else { return };
    let mut connection = connect(&address).await;
    let list = unique("empty");
    let capture = Capture::new();
    let request = in_span_async("request", async {
        // Nothing is ever pushed: the command waits until it is dropped.
        let waiting = connection.blpop::<_, Option<(String, String)>>(&list, 0.0);
        assert!(waiting.now_or_never().is_none());
    });
    capture.run_async(request).await;
    capture.assert_tree("request\n└── BLPOP [client] !cancelled");
}

/// A stream of this run, with a group that reads it from the start.
async fn stream(connection: &mut TracedConnection<MultiplexedConnection>) -> String {
    let stream = unique("orders");
    let _: () = connection.get_mut().xgroup_create_mkstream(&stream, "billing", "0").await.expect("an answer");
    stream
}

fn line(span: &FinishedSpan) -> SpanLine {
    SpanLine::from(span)
}

fn named<'a>(spans: &'a [SpanLine], name: &str) -> &'a SpanLine {
    let mut found = spans.iter().filter(|span| span.name == name);
    let span = found.next().unwrap_or_else(|| panic!("no span `{name}`: {spans:#?}"));
    assert!(found.next().is_none(), "more than one `{name}`: {spans:#?}");
    span
}

#[biz_tags(propagate(tenant_id))]
#[throughline::traced]
async fn place_order(
    tenant_id: &str,
    connection: &mut TracedConnection<MultiplexedConnection>,
    stream: &str,
) -> String {
    let fields = [("order_no", "1001"), ("last", "yes")];
    connection.xadd_traced(stream, "*", &fields).await.expect("an answer")
}

#[tokio::test]
async fn an_entry_continues_the_trace_in_another_process() {
    let Some(address) = server("redis") else { return };
    let mut connection = connect(&address).await;
    let stream = stream(&mut connection).await;
    let peer = Peer::start(PEER, "redis-consume", &[("url", &url(&address)), ("stream", &stream)]);

    let capture = Capture::new();
    let id = capture.run_async(place_order("acme & co", &mut connection, &stream)).await;
    let spans = peer.spans();

    let name = format!("send {stream}");
    capture.assert_tree(&format!("place_order\n└── {name} [producer]\n    └── XADD [client]"));
    let sent = line(&capture.span(&name));
    let process = named(&spans, "process");
    assert!(process.is_child_of(&sent), "{process:#?}");
    assert_eq!(process.kind, "consumer");
    assert!(process.links.is_empty(), "nothing was current in the other process");
    for (span, operation) in [(&sent, "send"), (process, "process")] {
        for (key, expected) in [
            ("messaging.system", "redis"),
            ("messaging.operation.name", operation),
            ("messaging.operation.type", operation),
            ("messaging.destination.name", &stream),
            ("messaging.message.id", &id),
        ] {
            assert_eq!(span.attribute(key), Some(expected), "{key}");
        }
    }
    assert_eq!(process.attribute("messaging.consumer.group.name"), Some("billing"));
    assert_eq!(process.attribute("throughline.messaging.redelivered"), None);
    assert_eq!(process.attribute("baggage seen"), Some("acme & co"));

    // Commands of the handler, and of the job that it leaves behind.
    assert!(named(&spans, "XACK").is_child_of(process));
    let receipt = named(&spans, "receipt");
    assert!(receipt.is_child_of(process));
    let print = named(&spans, "print");
    assert!(print.is_child_of(receipt));
    assert!(named(&spans, "INCRBY").is_child_of(print));
}

#[tokio::test]
async fn an_entry_without_context_is_an_entry_span() {
    let Some(address) = server("redis") else { return };
    let mut connection = connect(&address).await;
    let stream = stream(&mut connection).await;
    let plain = connection.get_mut();
    let _: String = plain.xadd(&stream, "*", &[("traceparent", "nonsense")]).await.expect("an answer");
    let _: String = plain.xadd(&stream, "*", &[("last", "yes")]).await.expect("an answer");
    let spans = Peer::start(PEER, "redis-consume", &[("url", &url(&address)), ("stream", &stream)]).spans();
    let processed: Vec<_> = spans.iter().filter(|span| span.name == "process").collect();
    assert_eq!(processed.len(), 2);
    assert_ne!(processed[0].trace_id, processed[1].trace_id);
    for span in processed {
        assert_eq!(span.parent_id, None);
        assert_eq!(span.status, "unset");
        assert_eq!(span.attribute("messaging.destination.name"), Some(&*stream));
    }
}

#[tokio::test]
async fn baggage_and_fields_are_in_the_entry() {
    let Some(address) = server("redis") else { return };
    let mut connection = connect(&address).await;
    let stream = stream(&mut connection).await;
    let capture = Capture::new();
    capture.run_async(place_order("acme & co", &mut connection, &stream)).await;
    let reply: StreamRangeReply = connection.get_mut().xrange_all(&stream).await.expect("an answer");
    let context = reply.ids[0].origin();
    assert_eq!(context.baggage().get("tenant_id").map(ToString::to_string).as_deref(), Some("acme & co"));
    assert_eq!(reply.ids[0].get::<String>("order_no").as_deref(), Some("1001"));
}

#[tokio::test]
async fn an_entry_without_fields_is_refused() {
    let Some(address) = server("redis") else { return };
    let mut connection = connect(&address).await;
    let stream = unique("orders");
    let none: &[(&str, &str)] = &[];
    let capture = Capture::new();
    let added: RedisResult<String> =
        capture.run_async(async { connection.xadd_traced(&stream, "*", none).await }).await;
    assert_eq!(added.expect_err("without fields").code(), Some("ERR"));
    assert!(capture.span(&format!("send {stream}")).is_error());
    assert!(!connection.get_mut().exists::<_, bool>(&stream).await.expect("an answer"));
}

#[tokio::test]
async fn a_batch_links_its_entries() {
    let Some(address) = server("redis") else { return };
    let mut connection = connect(&address).await;
    let stream = stream(&mut connection).await;
    let capture = Capture::new();
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(capture.run_async(place_order("acme", &mut connection, &stream)).await);
    }
    // Added in a transaction, without a span of its own.
    let add = async {
        let mut add = redis::cmd("XADD").arg(&stream).arg("*").arg("order_no").arg(3).take();
        inject(&mut add);
        redis::pipe().atomic().add_command(add).query_async::<(String,)>(&mut connection).await
    };
    let (id,) = capture.run_async(in_span_async("outbox", add)).await.expect("an answer");
    ids.push(id);
    let _: String = connection.get_mut().xadd(&stream, "*", &[("order_no", "4")]).await.expect("an answer");

    let url = url(&address);
    let spans = Peer::start(PEER, "redis-batch", &[("url", &url), ("stream", &stream), ("count", "4")]).spans();
    let batch = named(&spans, "process batch");
    assert_eq!(batch.parent_id, None);
    assert_eq!(batch.attribute("messaging.batch.message_count"), Some("4"));
    assert_eq!(batch.attribute("messaging.system"), Some("redis"));
    assert_eq!(batch.attribute("messaging.destination.name"), Some(&*stream));
    assert_eq!(batch.attribute("messaging.consumer.group.name"), Some("billing"));
    assert_eq!(batch.links.len(), 3, "the fourth has no context");
    let senders = capture.named(&format!("send {stream}"));
    let sources = senders.iter().map(line).chain([line(&capture.span("outbox"))]);
    for ((source, link), id) in sources.zip(&batch.links).zip(&ids) {
        assert_eq!((&link.trace_id, &link.span_id), (&source.trace_id, &source.span_id));
        assert_eq!(link.attributes.get("messaging.message.id"), Some(id));
        assert_eq!(link.attributes.get("messaging.destination.name"), Some(&stream));
        assert_eq!(link.attributes.get("messaging.consumer.group.name").map(String::as_str), Some("billing"));
    }
}

#[tokio::test]
async fn an_entry_that_is_claimed_from_a_dead_consumer_is_marked() {
    let Some(address) = server("redis") else { return };
    let mut connection = connect(&address).await;
    let stream = stream(&mut connection).await;
    let capture = Capture::new();
    capture.run_async(place_order("acme", &mut connection, &stream)).await;

    let url = url(&address);
    let arguments = [("url", &*url), ("stream", &*stream)];
    assert!(Peer::start(PEER, "redis-crash", &arguments).spans().is_empty());
    let spans = Peer::start(PEER, "redis-claim", &arguments).spans();
    let again = named(&spans, "process again");
    assert!(again.is_child_of(&line(&capture.span(&format!("send {stream}")))));
    assert_eq!(again.attribute("throughline.messaging.redelivered"), Some("true"));
    assert_eq!(again.attribute("throughline.redis.delivery_count"), Some("2"));
    assert_eq!(again.attribute("messaging.consumer.group.name"), Some("billing"));
}
