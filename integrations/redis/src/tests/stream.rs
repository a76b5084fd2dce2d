//! The entries of streams: the context that they carry, and the attributes of a delivery.

use std::collections::HashMap;

use opentelemetry::trace::TraceContextExt as _;
use redis::streams::{StreamId, StreamKey};
use throughline::Origin;

use super::*;

fn entry(fields: &[(&str, &[u8])]) -> StreamId {
    let map: HashMap<_, _> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), Value::BulkString(value.to_vec()))).collect();
    StreamId { id: "5-1".into(), map, ..StreamId::default() }
}

/// The fields of the `XADD` that was sent last.
fn fields_of(sent: &[u8]) -> Vec<String> {
    let sent = String::from_utf8_lossy(sent);
    sent.split("\r\n").filter(|line| !line.starts_with(['$', '*'])).map(str::to_owned).collect()
}

#[test]
fn an_entry_carries_the_context_of_its_producer() {
    let capture = Capture::new();
    let mut connection = traced(Canned::new([Ok(Value::BulkString(b"5-1".to_vec()))]));
    let id: String = now(capture.run_async(async { connection.xadd_traced("orders", "*", &[("no", "1")]).await }))
        .expect("an answer");
    assert_eq!(id, "5-1");
    let sent = fields_of(&connection.get_ref().sent[0]);
    assert_eq!(sent[..5], ["XADD", "orders", "no", "1", "traceparent"], "{sent:?}");

    let received = entry(&[("traceparent", sent[5].as_bytes())]);
    capture.run(|| {
        let delivery = Delivery::new("orders", &received).group("billing").deliveries(2);
        throughline::span("process").kind(SpanKind::Consumer).parent(&delivery).run(|| ());
    });
    capture.assert_tree(
        "
        send orders [producer]
        ├── XADD [client]
        └── process [consumer]
        ",
    );
    assert_eq!(
        attributes(&capture, "send orders"),
        [
            "messaging.destination.name=orders",
            "messaging.message.id=5-1",
            "messaging.operation.name=send",
            "messaging.operation.type=send",
            "messaging.system=redis"
        ]
    );
}

#[test]
fn an_entry_that_is_passed_on_has_one_context() {
    let old = "00-11111111111111111111111111111111-2222222222222222-01";
    let fields = [
        ("no", "1"),
        ("traceparent", old),
        ("Baggage", "user=ada"),
        ("note", "traceparent"),
        ("tracestate", "old=1"),
        ("traceparent", old),
    ];
    let capture = Capture::new();
    let mut connection = traced(Canned::new([Ok(Value::Nil)]));
    let options = redis::streams::StreamAddOptions::default()
        .nomkstream()
        .trim(redis::streams::StreamTrimStrategy::maxlen(redis::streams::StreamTrimmingMode::Approx, 10));
    let added = connection.xadd_options_traced("traceparent", "*", &fields[..], &options);
    let _: Option<String> = now(capture.run_async(added)).expect("an answer");
    let sent = fields_of(&connection.get_ref().sent[0]);
    let parent = capture.span("send traceparent");
    let parent = format!("00-{}-{}-01", parent.trace_id(), parent.span_id());
    let before = ["XADD", "traceparent", "NOMKSTREAM", "MAXLEN", "~", "10", "no", "1", "note", "traceparent"];
    assert_eq!(sent, [&before[..], &["traceparent", &parent, ""]].concat());

    // Nothing is removed if nothing replaces it.
    let mut plain = redis::cmd("XADD").arg("s").arg("*").arg(&fields[..]).set_no_response(true).take();
    let packed = plain.get_packed_command();
    inject(&mut plain);
    assert_eq!(plain.get_packed_command(), packed);
    capture.run(|| throughline::in_span("request", || inject(&mut plain)));
    assert_eq!((plain.args_iter().len(), plain.is_no_response()), (9, true));
}

#[test]
fn an_entry_without_fields_stays_one() {
    let arguments = |line: &str| line.split(' ').fold(Cmd::new(), |mut cmd, word| cmd.arg(word).take());
    let added = |line: &str| {
        let mut add = arguments(line);
        let before = add.args_iter().len();
        Capture::new().run(|| throughline::in_span("request", || inject(&mut add)));
        add.args_iter().len() - before
    };
    // The server refuses these, and must continue to.
    for line in [
        "XADD s *",
        "xadd s 5-1",
        "XADD maxlen *",
        "XADD s NOMKSTREAM MAXLEN ~ 10 LIMIT 5 *",
        "XADD s minid = 5-1 ACKED *",
        "XADD s IDMP maxlen iid MAXLEN 10 *",
        "XADD s IDMPAUTO pid *",
    ] {
        assert_eq!(added(line), 0, "{line}");
    }
    for line in
        ["XADD s * no 1", "XADD s NOMKSTREAM MAXLEN ~ 10 LIMIT 5 * no 1", "XADD s IDMP p i * no 1", "FCALL add 0"]
    {
        assert_eq!(added(line), 2, "{line}");
    }
}

fn described<M>(origin: &impl Origin<M>) -> Vec<String> {
    let mut attributes = Vec::new();
    origin.describe(&mut attributes);
    attributes.iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect()
}

#[test]
fn a_delivery_describes_itself() {
    let plain = entry(&[]);
    let all = StreamKey { key: "orders".into(), ids: vec![plain.clone()] };
    let delivery = Delivery::all(&all).next().expect("there is one");
    let common = [
        "messaging.system=redis",
        "messaging.operation.name=process",
        "messaging.operation.type=process",
        "messaging.destination.name=orders",
        "messaging.message.id=5-1",
    ];
    assert_eq!(described(&delivery), common);
    let with = |more: &[&'static str]| [&common[..], more].concat();
    let redelivered = "throughline.messaging.redelivered=true";
    assert_eq!(
        described(&delivery.group("g").deliveries(1)),
        with(&["messaging.consumer.group.name=g", "throughline.redis.delivery_count=1"])
    );
    assert_eq!(described(&delivery.claimed()), with(&[redelivered]));
    assert_eq!(described(&delivery.deliveries(3)), with(&[redelivered, "throughline.redis.delivery_count=3"]));
    let claimed = StreamId { delivered_count: Some(1), ..plain.clone() };
    assert_eq!(
        described(&Delivery::new("orders", &claimed)),
        with(&[redelivered, "throughline.redis.delivery_count=2"])
    );
    let fresh = StreamId { delivered_count: Some(0), ..plain.clone() };
    assert_eq!(described(&Delivery::new("orders", &fresh)), common);
    assert_eq!(described(&plain), [common[0], common[1], common[2], common[4]]);
}

#[test]
fn an_invalid_context_is_ignored() {
    const PARENT: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let is_valid = |fields: &[(&str, &[u8])]| entry(fields).origin().span().span_context().is_valid();
    assert!(is_valid(&[("traceparent", PARENT)]));
    assert!(is_valid(&[("TraceParent", PARENT)]));
    assert!(!is_valid(&[]));
    assert!(!is_valid(&[("traceparent", b"")]));
    assert!(!is_valid(&[("traceparent", b"\xff\xfe")]));
    assert!(!is_valid(&[("traceparent", PARENT), ("Traceparent", PARENT)]), "it is ambiguous");
    let mut number = entry(&[]);
    number.map.insert("traceparent".into(), Value::Int(1));
    assert!(!number.origin().span().span_context().is_valid());
}

#[test]
fn without_a_context_nothing_is_injected() {
    let mut add = redis::cmd("XADD");
    let before = add.get_packed_command();
    inject(&mut add);
    assert_eq!(add.get_packed_command(), before);
    assert!(fields().is_empty());
    let capture = Capture::new();
    capture.run(|| throughline::in_span("request", || inject(&mut add)));
    assert_eq!(add.args_iter().len(), 3);
}

#[test]
fn entries_are_parents_and_links() {
    #[throughline::traced(kind = consumer, parent = entry)]
    fn handle(entry: &StreamId) {}

    #[throughline::traced(kind = consumer, links = entries)]
    fn handle_all(entries: &[StreamId]) {}

    let capture = Capture::new();
    let mut add = redis::cmd("XADD");
    capture.run(|| throughline::in_span("place", || inject_context(&throughline::current_context(), &mut add)));
    let Some(redis::Arg::Simple(parent)) = add.args_iter().nth(2) else { panic!("no context") };
    let entry = entry(&[("traceparent", parent)]);
    capture.run(|| {
        handle(&entry);
        handle_all(std::slice::from_ref(&entry));
    });
    capture.assert_tree("place\n└── handle [consumer]\nhandle_all [consumer] ~> place");
}
