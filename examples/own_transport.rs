//! A messaging system without an integration, traced as well as Kafka: `cargo run --example own_transport`.

use std::{collections::VecDeque, error::Error};

use throughline::console::Console;
use throughline::messaging::{self, Producer, Received, TraceHeaders};
use throughline::telemetry::TracerProvider;
use throughline::{Context, KeyValue, Origin, Outcome, in_span, traced};
struct Message {
    topic: &'static str,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

#[derive(Default)]
struct Queue(VecDeque<Message>);

impl Queue {
    fn publish(&mut self, mut message: Message) {
        let span = Producer::new("postbox", message.topic)
            .operation("publish")
            .start_with(|tags| tags.extend([messaging::body_size(message.body.len())]));
        let trace = TraceHeaders::from_context(&span.context());
        message.headers.retain(|(name, _)| !trace.replaces(name));
        message.headers.extend(trace.into_iter().map(|(name, value)| (name, value.into_bytes())));
        span.run(|| self.0.push_back(message), |()| Outcome::ok());
    }
}

impl Origin for Message {
    fn origin(&self) -> Context {
        messaging::extract(self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())))
    }
    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        Received::new(attributes, "postbox").destination(self.topic).extend([messaging::body_size(self.body.len())]);
    }
    fn is_message(&self) -> bool {
        true
    }
}

#[traced("process orders", kind = consumer, parent = message)]
fn bill(message: &Message) {}

#[traced("count orders", kind = consumer, links = messages)]
fn count(messages: &[Message]) {}

fn main() -> Result<(), Box<dyn Error>> {
    let provider = TracerProvider::builder().with_span_processor(Console::stdout().hold()).build();
    throughline::install(&provider);
    let mut queue = Queue::default();
    let order = |body: &str| Message { topic: "orders", headers: Vec::new(), body: body.into() };
    let messages = in_span("shop", || {
        queue.publish(order("a keyboard"));
        queue.publish(order("a mouse"));
        queue.0.drain(..).inspect(bill).collect::<Vec<_>>()
    });
    count(&messages);
    Ok(provider.shutdown()?)
}
