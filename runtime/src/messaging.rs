//! Producer spans, received messages and headers, for any messaging system.
//!
//! The integrations for Kafka, RabbitMQ, RocketMQ and Redis streams use this module, and other messaging systems can be
//! traced in the same way. Names and attributes follow the semantic conventions for [messaging spans]. Three steps are
//! needed:
//!
//! - **Send** in the span of a [`Producer`], and add the [`TraceHeaders`] of its context to the message.
//! - **Receive** with [`extract`]: implement [`Origin`](crate::Origin) for the message type, so that it can be used in
//!   `#[traced(parent = message)]` or, for a batch, `links = messages`.
//! - **Describe** the received message with [`Received`], in [`Origin::describe`](crate::Origin::describe).
//!
//! ```
//! use throughline::messaging::{self, Producer, Received, TraceHeaders};
//! use throughline::{Context, KeyValue, Origin, Outcome, traced};
//!
//! struct Message {
//!     subject: String,
//!     headers: Vec<(String, Vec<u8>)>,
//!     body: Vec<u8>,
//! }
//!
//! fn publish(mut message: Message) -> Message {
//!     let span = Producer::new("nats", &message.subject)
//!         .operation("publish")
//!         .start_with(|tags| tags.extend([messaging::body_size(message.body.len())]));
//!     let trace = TraceHeaders::from_context(&span.context());
//!     message.headers.retain(|(name, _)| !trace.replaces(name));
//!     message.headers.extend(trace.into_iter().map(|(name, value)| (name, value.into_bytes())));
//!     span.run(|| message /* to the server */, |_| Outcome::ok())
//! }
//!
//! impl Origin for Message {
//!     fn origin(&self) -> Context {
//!         messaging::extract(self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())))
//!     }
//!
//!     fn describe(&self, attributes: &mut Vec<KeyValue>) {
//!         Received::new(attributes, "nats")
//!             .destination(&self.subject)
//!             .extend([messaging::body_size(self.body.len())]);
//!     }
//!
//!     fn is_message(&self) -> bool {
//!         true
//!     }
//! }
//!
//! #[traced("process orders", kind = consumer, parent = message)]
//! fn handle(message: &Message) {}
//!
//! # let capture = throughline::testing::Capture::new();
//! # capture.run(|| {
//! let order = Message { subject: "orders".into(), headers: Vec::new(), body: b"1001".to_vec() };
//! handle(&publish(order));
//! # });
//! # capture.assert_tree_with(
//! #     &["messaging.operation.type", "messaging.message.body.size"],
//! #     "
//! #     publish orders [producer] messaging.operation.type=send messaging.message.body.size=4
//! #     └── process orders [consumer] messaging.operation.type=process messaging.message.body.size=4
//! #     ",
//! # );
//! ```
//!
//! [messaging spans]: https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanKind, TraceContextExt as _};
use opentelemetry::{Array, Context, Key, KeyValue, StringValue, Value};

use crate::propagation::{self, Pairs, PairsMut, Propagator};
use crate::semconv;
use crate::span::builder::SpanBuilder;
use crate::span::handle::Span;
use crate::tags::set::Tags;
use crate::text::header_value;

/// Configures the producer span for sending a message or a batch.
///
/// The span has the kind `producer`, the name `{operation} {destination}` and the attributes `messaging.system`,
/// `messaging.operation.name`, `messaging.operation.type` (`send`) and `messaging.destination.name`.
///
/// ```
/// use throughline::Outcome;
/// use throughline::messaging::Producer;
/// use throughline::semconv::MESSAGING_MESSAGE_ID;
///
/// # fn publish() -> std::io::Result<u64> { Ok(7) }
/// let span = Producer::new("nats", "orders.1001").operation("publish").target("orders.{no}").start();
/// // `span.context()` is the context for the headers.
/// let sent = span.run(publish, |sent| match sent {
///     Ok(id) => Outcome::ok().attribute(MESSAGING_MESSAGE_ID, id.to_string()),
///     Err(error) => Outcome::exception("io", error),
/// });
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "a span begins when it is started"]
pub struct Producer<'a> {
    system: &'static str,
    operation: &'static str,
    destination: &'a str,
    target: &'a str,
    cancel_off: bool,
}

impl<'a> Producer<'a> {
    /// Creates a producer for `system`, such as `kafka`, that sends to `destination`: a topic, queue, exchange or
    /// stream. The operation is `send`. An empty destination is omitted.
    pub const fn new(system: &'static str, destination: &'a str) -> Self {
        Self { system, operation: "send", destination, target: destination, cancel_off: false }
    }

    /// Sets the system's name for the operation, such as `publish`.
    pub const fn operation(mut self, name: &'static str) -> Self {
        self.operation = name;
        self
    }

    /// Replaces the destination in the span name, if destination names have a high cardinality: a template such as
    /// `orders.{no}`, or `(temporary)`. The attribute is unchanged.
    pub const fn target(mut self, template: &'a str) -> Self {
        self.target = template;
        self
    }

    /// Does not mark the span `throughline.cancelled` if it is dropped before it has ended, like
    /// [`SpanBuilder::cancel_off`]: for results that do not have to be awaited.
    pub const fn cancel_off(mut self) -> Self {
        self.cancel_off = true;
        self
    }

    /// Starts the span, as a child of the current one. Inject [`Span::context`] into the message, even if the span is
    /// not recorded.
    pub fn start(self) -> Span {
        self.start_with(|_| {})
    }

    /// Starts the span with further attributes. `fill` is not called if the span is not recorded, as with
    /// [`SpanBuilder::start_with`].
    pub fn start_with(self, fill: impl FnOnce(&mut Tags)) -> Span {
        let Self { system, operation, destination, target, cancel_off } = self;
        let name = if target.is_empty() { operation.into() } else { Cow::Owned(format!("{operation} {target}")) };
        let span = SpanBuilder::new(name).kind(SpanKind::Producer);
        let span = if cancel_off { span.cancel_off() } else { span };
        span.start_with(|tags| {
            tags.attribute(semconv::MESSAGING_SYSTEM, system);
            tags.attribute(semconv::MESSAGING_OPERATION_NAME, operation);
            tags.attribute(semconv::MESSAGING_OPERATION_TYPE, "send");
            if !destination.is_empty() {
                tags.attribute(semconv::MESSAGING_DESTINATION_NAME, destination.to_owned());
            }
            fill(tags);
        })
    }
}

/// Describes a received message, in [`Origin::describe`](crate::Origin::describe).
///
/// The attributes are set on the consumer's span with `parent = message`, and on the link with `links = messages`.
///
/// ```
/// use throughline::KeyValue;
/// use throughline::messaging::Received;
/// use throughline::semconv::{MESSAGING_CONSUMER_GROUP_NAME, MESSAGING_MESSAGE_ID};
///
/// fn describe(attributes: &mut Vec<KeyValue>) {
///     Received::new(attributes, "nats")
///         .destination("orders")
///         .attribute(MESSAGING_MESSAGE_ID, "7")
///         .attribute(MESSAGING_CONSUMER_GROUP_NAME, "billing")
///         .redelivered();
/// }
/// # let mut attributes = Vec::new();
/// # describe(&mut attributes);
/// # assert_eq!(attributes.len(), 7);
/// ```
#[derive(Debug)]
pub struct Received<'a>(&'a mut Vec<KeyValue>);

impl<'a> Received<'a> {
    /// Adds the attributes of processing a message of `system`: `messaging.system`, `messaging.operation.name` and
    /// `messaging.operation.type`.
    pub fn new(attributes: &'a mut Vec<KeyValue>, system: &'static str) -> Self {
        let mut this = Self(attributes);
        this.attribute(semconv::MESSAGING_SYSTEM, system)
            .attribute(semconv::MESSAGING_OPERATION_NAME, "process")
            .attribute(semconv::MESSAGING_OPERATION_TYPE, "process");
        this
    }

    /// Adds the destination of the message: `messaging.destination.name`. An empty name is omitted.
    pub fn destination(&mut self, name: &str) -> &mut Self {
        if name.is_empty() {
            return self;
        }
        self.attribute(semconv::MESSAGING_DESTINATION_NAME, name.to_owned())
    }

    /// Adds an attribute. Text from the message is not truncated; see [`crate::text::ellipsize`].
    pub fn attribute(&mut self, key: impl Into<Key>, value: impl Into<Value>) -> &mut Self {
        self.0.push(KeyValue::new(key, value));
        self
    }

    /// Adds attributes.
    pub fn extend(&mut self, attributes: impl IntoIterator<Item = KeyValue>) -> &mut Self {
        self.0.extend(attributes);
        self
    }

    /// Marks a message that was delivered before: `throughline.messaging.redelivered`.
    pub fn redelivered(&mut self) -> &mut Self {
        self.attribute(semconv::THROUGHLINE_MESSAGING_REDELIVERED, true)
    }
}

/// Returns the attribute `messaging.message.body.size`, in bytes.
pub fn body_size(bytes: usize) -> KeyValue {
    KeyValue::new(semconv::MESSAGING_MESSAGE_BODY_SIZE, i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// The maximum number of trace context headers that are read.
const MAX_HEADERS: usize = 256;

/// Extracts the context from the headers of a message with the process's [`Propagator`], for
/// [`Origin::origin`](crate::Origin::origin).
///
/// Names are case-insensitive and may repeat; values may be any bytes. This never fails: headers that are invalid,
/// ambiguous or not UTF-8 result in a context without a span context, so that the consumer's span starts a new trace.
/// It makes one pass over the headers, and keeps at most 256 of them.
///
/// ```
/// use throughline::messaging;
///
/// let headers = [("Traceparent", &b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"[..])];
/// let context = messaging::extract(headers);
/// # use opentelemetry::trace::TraceContextExt;
/// # assert!(context.span().span_context().is_sampled());
/// ```
pub fn extract<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Context {
    let propagator = propagation::get();
    let found: Vec<_> = headers
        .into_iter()
        .filter(|(name, _)| is_field(&propagator, name))
        .map(|(name, value)| (name, header_value(value)))
        .take(MAX_HEADERS)
        .collect();
    propagator.extract(&Pairs(&found))
}

fn is_field(propagator: &Propagator, name: &str) -> bool {
    propagator.fields().any(|field| field.eq_ignore_ascii_case(name))
}

/// The headers that propagate a context in a message, in the formats of the process's [`Propagator`].
///
/// A message that is forwarded or resent may already have such headers. Remove those for which
/// [`replaces`](Self::replaces) returns `true`, then add these. Without a context there is nothing to add or remove,
/// and the message is unchanged.
///
/// ```
/// use std::collections::BTreeMap;
/// use throughline::messaging::TraceHeaders;
///
/// fn inject(headers: &mut BTreeMap<String, String>) {
///     let trace = TraceHeaders::from_context(&throughline::current_context());
///     headers.retain(|name, _| !trace.replaces(name));
///     headers.extend(trace);
/// }
/// # let mut headers = BTreeMap::new();
/// # throughline::in_span("send", || inject(&mut headers));
/// ```
#[derive(Debug)]
pub struct TraceHeaders {
    propagator: Arc<Propagator>,
    pairs: Vec<(String, String)>,
    has_identity: bool,
}

impl TraceHeaders {
    /// Returns the headers for `context`: [`Span::context`], for a message that is sent in a span.
    pub fn from_context(context: &Context) -> Self {
        Self::written_by(propagation::get(), context)
    }

    fn written_by(propagator: Arc<Propagator>, context: &Context) -> Self {
        let mut pairs = Vec::new();
        propagator.inject_into_message(context, &mut PairsMut(&mut pairs));
        Self { propagator, pairs, has_identity: context.span().span_context().is_valid() }
    }

    /// Returns `true` if there are no headers to add.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Returns `true` if an existing header with this name must be removed. Names are case-insensitive.
    ///
    /// This applies to every header of the previous context, even if it is not replaced by another one: the
    /// `tracestate` of one trace is invalid in another.
    pub fn replaces(&self, name: &str) -> bool {
        let written = |(field, _): &(String, String)| field.eq_ignore_ascii_case(name);
        self.pairs.iter().any(written) || (self.has_identity && is_field(&self.propagator, name))
    }
}

/// Iterates over names and values. The names are in lowercase, except for X-Ray's `X-Amzn-Trace-Id`.
impl IntoIterator for TraceHeaders {
    type Item = (String, String);
    type IntoIter = std::vec::IntoIter<(String, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.pairs.into_iter()
    }
}

/// Reports that a message was sent without some `headers` of its context, because it would have been too large with
/// them. For systems that limit the size of a message or of its headers.
///
/// Sets `throughline.messaging.dropped_headers` on the span of `context`, and logs a warning: one for each system and
/// process, because it is likely that many messages are affected. If there are no `headers`, nothing is reported.
///
/// ```
/// use throughline::messaging::{self, TraceHeaders};
///
/// /// A message may have at most `room` more headers.
/// fn inject(headers: &mut Vec<(String, String)>, room: usize) {
///     let context = throughline::current_context();
///     let mut trace: Vec<_> = TraceHeaders::from_context(&context).into_iter().collect();
///     let dropped = trace.split_off(trace.len().min(room));
///     messaging::report_dropped(&context, "aws_sqs", dropped.into_iter().map(|(name, _)| name));
///     headers.extend(trace);
/// }
/// # let mut headers = Vec::new();
/// # throughline::in_span("send", || inject(&mut headers, 10));
/// ```
pub fn report_dropped(context: &Context, system: &'static str, headers: impl IntoIterator<Item = String>) {
    static WARNED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

    let headers: Vec<_> = headers.into_iter().collect();
    if headers.is_empty() {
        return;
    }
    if WARNED.lock().unwrap_or_else(PoisonError::into_inner).insert(system) {
        tracing::warn!(
            target: "throughline",
            "the trace context of a message does not fit: a message for `{system}` was sent without the headers `{}`, with \
             which it would exceed the size limit; keep messages smaller, or send less baggage",
            headers.join("`, `")
        );
    }
    let names = headers.into_iter().map(StringValue::from).collect();
    let span = context.span();
    span.set_attribute(KeyValue::new(
        semconv::THROUGHLINE_MESSAGING_DROPPED_HEADERS,
        Value::Array(Array::String(names)),
    ));
}

#[cfg(test)]
mod tests;
