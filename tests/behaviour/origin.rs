//! User-defined message types as parents and links.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry::{Context, KeyValue};
use throughline::messaging::{Producer, Received};
use throughline::testing::{Capture, FinishedSpan};
use throughline::{Origin, Outcome, SpanKind, in_span, propagation, span, traced};

struct Message {
    subject: &'static str,
    number: i64,
    headers: HashMap<String, String>,
}

impl Origin for Message {
    fn origin(&self) -> Context {
        self.headers.origin()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        attributes.extend([
            KeyValue::new("messaging.system", "nats"),
            KeyValue::new("messaging.operation.name", "process"),
            KeyValue::new("messaging.operation.type", "process"),
            KeyValue::new("messaging.destination.name", self.subject),
            KeyValue::new("messaging.consumer.group.name", "billing"),
            KeyValue::new("messaging.message.body.size", 4),
            KeyValue::new("nats.sequence", self.number),
        ]);
    }

    fn is_message(&self) -> bool {
        true
    }
}

/// A message of which only the headers are left.
struct Described(HashMap<String, String>);

impl Origin for Described {
    fn origin(&self) -> Context {
        self.0.origin()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        attributes.push(KeyValue::new("messaging.system", "nats"));
    }
}

/// Sent in a span `send {number}`.
fn sent(subject: &'static str, number: i64) -> Message {
    let mut headers = HashMap::new();
    in_span(format!("send {number}"), || propagation::inject(&mut headers));
    Message { subject, number, headers }
}

/// A message from a producer that is not traced.
fn bare(subject: &'static str, number: i64) -> Message {
    Message { subject, number, headers: HashMap::new() }
}

/// The messaging attributes of a span, sorted.
fn told(span: &FinishedSpan) -> Vec<String> {
    told_by(&span.attributes)
}

fn told_by(attributes: &[KeyValue]) -> Vec<String> {
    let attributes = attributes.iter().filter(|it| !it.key.as_str().starts_with("code."));
    let mut lines: Vec<_> = attributes.map(|it| format!("{}={}", it.key, it.value)).collect();
    lines.sort();
    lines
}

const ONE: [&str; 7] = [
    "messaging.consumer.group.name=billing",
    "messaging.destination.name=orders",
    "messaging.message.body.size=4",
    "messaging.operation.name=process",
    "messaging.operation.type=process",
    "messaging.system=nats",
    "nats.sequence=7",
];

#[test]
fn one_message_is_the_parent_and_describes_the_span() {
    #[traced(kind = consumer, parent = message)]
    fn handle(message: &Message) {}

    let capture = Capture::new();
    capture.run(|| {
        let message = sent("orders", 7);
        handle(&message);
        span("block").kind(SpanKind::Consumer).parent(&message).run(|| {});
    });
    capture.assert_tree(
        "
        send 7
        ├── handle [consumer]
        └── block [consumer]
        ",
    );
    assert_eq!(told(&capture.span("handle")), ONE);
    assert_eq!(told(&capture.span("block")), ONE);
}

#[test]
fn a_batch_has_what_its_messages_have_in_common() {
    #[traced(kind = consumer, links = messages)]
    fn handle(messages: &[Message]) {}
    #[traced(kind = consumer, links = messages.iter().map(Some), tags("messaging.operation.name" = "settle"))]
    fn settle(messages: &[Message]) {}

    let capture = Capture::new();
    capture.run(|| {
        // A message without a context is counted, too.
        let messages = [sent("orders", 7), bare("orders", 8), sent("orders", 9)];
        handle(&messages);
        span("block").kind(SpanKind::Consumer).links(&messages).run(|| {});
        settle(&messages);
        let mixed = [bare("payments", 1), sent("orders", 2)].map(Arc::new);
        span("mixed").links(&mixed).run(|| {});
        span("single").links(&mixed[..1]).run(|| {});
    });
    let common = |count: i64, more: &[&str]| {
        let mut lines = vec![
            format!("messaging.batch.message_count={count}"),
            "messaging.consumer.group.name=billing".to_owned(),
            "messaging.operation.type=process".to_owned(),
            "messaging.system=nats".to_owned(),
        ];
        lines.extend(more.iter().map(|&line| line.to_owned()));
        lines.sort();
        lines
    };
    let orders = ["messaging.destination.name=orders", "messaging.operation.name=process"];
    for name in ["handle", "block"] {
        let batch = capture.span(name);
        assert_eq!(told(&batch), common(3, &orders), "{name}");
        assert_eq!(batch.links.links.len(), 2);
        assert!(batch.is_linked_to(&capture.span("send 7")) && batch.is_linked_to(&capture.span("send 9")));
        assert_eq!(told_by(&batch.links.links[0].attributes), ONE);
    }
    // The user's attributes take precedence over those of the messages.
    let settled = ["messaging.destination.name=orders", "messaging.operation.name=settle"];
    assert_eq!(told(&capture.span("settle")), common(3, &settled));
    assert_eq!(told(&capture.span("mixed")), common(2, &["messaging.operation.name=process"]));
    let single = ["messaging.destination.name=payments", "messaging.operation.name=process"];
    assert_eq!(told(&capture.span("single")), common(1, &single));
}

#[test]
fn an_unknown_destination_is_omitted() {
    let capture = Capture::new();
    capture.run(|| {
        Producer::new("nats", "").start().end(Outcome::ok);
        Producer::new("nats", "reply.17").target("").start().end(Outcome::ok);
    });
    let sent = capture.named("send");
    let destination = |span: &FinishedSpan| span.attribute("messaging.destination.name").map(ToString::to_string);
    assert_eq!(sent.iter().map(destination).collect::<Vec<_>>(), [None, Some("reply.17".to_owned())]);
    let mut attributes = Vec::new();
    Received::new(&mut attributes, "nats").destination("");
    assert!(attributes.iter().all(|attribute| attribute.key.as_str() != "messaging.destination.name"));
}

#[test]
fn only_origins_that_are_messages_are_counted() {
    let capture = Capture::new();
    capture.run(|| {
        let described = [7, 8].map(|number| Described(sent("orders", number).headers));
        span("link").link(&described[0]).run(|| {});
        span("links").links(&described).run(|| {});
        span("none").links([None::<Message>]).run(|| {});
    });
    for name in ["link", "links", "none"] {
        assert!(told(&capture.span(name)).is_empty(), "{name}");
    }
    for link in &capture.span("links").links.links {
        assert_eq!(told_by(&link.attributes), ["messaging.system=nats"]);
    }
}

/// Extracting the context may be traced itself.
struct Stored(HashMap<String, String>);

impl Origin for Stored {
    fn origin(&self) -> Context {
        in_span("load", || self.0.origin())
    }
}

#[test]
fn an_origin_may_open_spans() {
    #[traced(parent = stored)]
    fn parent(stored: &Stored) {}
    #[traced(link = stored)]
    fn link(stored: &Stored) {}

    let capture = Capture::new();
    capture.run(|| {
        let stored = Stored(sent("orders", 7).headers);
        parent(&stored);
        link(&stored);
        span("block").parent(&stored).run(|| {});
    });
    capture.assert_tree(
        "
        send 7
        ├── parent
        └── block
        load
        load
        link ~> send 7
        load
        ",
    );
}

#[tokio::test]
async fn a_block_takes_its_parent_wherever_it_is_run() {
    let capture = Capture::new();
    let message = capture.run(|| sent("orders", 7));
    // Created where spans go to another provider.
    let (here, job) = (span("here").parent(&message), span("job").parent(&message));
    capture.run(|| here.run(|| {}));
    capture.run(|| job.spawn(async {})).await.expect("no panic");
    capture.assert_tree(
        "
        send 7
        ├── here
        └── job
        ",
    );
    assert_eq!(capture.span("job").attribute("messaging.system"), Some(&"nats".into()));
}
