//! Entries of streams that carry the context.

use opentelemetry::propagation::Extractor;
use opentelemetry::{Context, KeyValue};
use redis::streams::{StreamAddOptions, StreamId, StreamKey};
use redis::{Arg, Cmd, FromRedisValue, RedisFuture, RedisResult, ToRedisArgs, Value, aio, from_redis_value};

use super::failure;
use crate::context::current;
use crate::context::origin::Origin;
use crate::messaging::{Producer, Received, TraceHeaders};
use crate::propagation::{self, PairsMut};
use crate::text::{NOT_TEXT, header_value};

/// More fields of the same name than this are of no use to any format.
const MAX_VALUES: usize = 64;

/// Adds the current context to an `XADD`, behind the fields that it has: `traceparent` and what else the
/// [propagator](crate::propagation) writes. Fields of these names that it has already, because an entry is passed
/// on, are replaced. Where there is no context, nothing is changed.
///
/// For an entry that is added in a pipeline, a transaction or a script; [`StreamCommands`] has the
/// span besides.
///
/// ```
/// let mut add = redis::cmd("XADD").arg("orders").arg("*").arg("order_no").arg(1001).take();
/// throughline::in_span("place", || throughline::redis::inject(&mut add));
///
/// let mut pipeline = redis::pipe();
/// pipeline.atomic().set("order:1001", "placed").add_command(add);
/// ```
pub fn inject(xadd: &mut Cmd) {
    inject_context(&current::get(), xadd);
}

fn inject_context(context: &Context, xadd: &mut Cmd) {
    let outgoing = TraceHeaders::of(context);
    if let Some(kept) = without_replaced(xadd, &outgoing) {
        *xadd = kept;
    }
    for (name, value) in outgoing {
        xadd.arg(name).arg(value);
    }
}

/// The command without the fields that tell of another context; `None` if there are none.
fn without_replaced(xadd: &Cmd, outgoing: &TraceHeaders) -> Option<Cmd> {
    const FIRST_FIELD: usize = 3;
    let total = xadd.args_iter().len();
    // The fields are the last words, in pairs. Before them are options, which have no such names.
    let is_replaced = |at: usize, word: &Arg<&[u8]>| {
        let is_name = at >= FIRST_FIELD && (total - at) % 2 == 0;
        let Arg::Simple(name) = word else { return false };
        is_name && std::str::from_utf8(name).is_ok_and(|name| outgoing.replaces(name))
    };
    let mut words = xadd.args_iter().enumerate();
    if !words.clone().any(|(at, word)| is_replaced(at, &word)) {
        return None;
    }
    let mut kept = Cmd::new();
    kept.set_no_response(xadd.is_no_response());
    while let Some((at, word)) = words.next() {
        if is_replaced(at, &word) {
            words.next();
        } else if let Arg::Simple(word) = word {
            kept.arg(word);
        }
    }
    Some(kept)
}

/// The current context as fields of an entry, to be added to one's own, in place of those of the same names.
pub fn fields() -> Vec<(String, String)> {
    let mut fields = Vec::new();
    propagation::inject(&mut PairsMut(&mut fields));
    fields
}

/// `XADD` in a producer span, with the context in the entry's fields.
///
/// The span is named `send {stream}`. On a connection that is [`traced`](super::traced) the command has its own span
/// below. For all connections of the `redis` crate that are asynchronous.
pub trait StreamCommands: aio::ConnectionLike + Send + Sized {
    /// Adds an entry. Like [`xadd`](redis::AsyncCommands::xadd).
    fn xadd_traced<'a, K, ID, F, V, RV>(&'a mut self, key: K, id: ID, items: &'a [(F, V)]) -> RedisFuture<'a, RV>
    where
        K: ToRedisArgs,
        ID: ToRedisArgs,
        F: ToRedisArgs,
        V: ToRedisArgs,
        RV: FromRedisValue,
    {
        self.send_traced(redis::cmd("XADD").arg(key).arg(id).arg(items).take())
    }

    /// Adds an entry with options, such as the length the stream is cut to. Like
    /// [`xadd_options`](redis::AsyncCommands::xadd_options).
    fn xadd_options_traced<'a, K, ID, I, RV>(
        &'a mut self,
        key: K,
        id: ID,
        items: I,
        options: &StreamAddOptions,
    ) -> RedisFuture<'a, RV>
    where
        K: ToRedisArgs,
        ID: ToRedisArgs,
        I: ToRedisArgs,
        RV: FromRedisValue,
    {
        self.send_traced(redis::cmd("XADD").arg(key).arg(options).arg(id).arg(items).take())
    }

    /// Adds an entry by an `XADD` that is complete but for the context.
    fn send_traced<RV: FromRedisValue>(&mut self, mut xadd: Cmd) -> RedisFuture<'_, RV> {
        Box::pin(async move {
            let span = Producer::new("redis", &stream_of(&xadd)).start();
            inject_context(&span.context(), &mut xadd);
            let reply = span.run_async_with(
                || self.req_packed_command(&xadd),
                |result: &RedisResult<Value>| {
                    let outcome = failure::outcome(result);
                    match result {
                        Ok(Value::BulkString(id)) => {
                            outcome.attribute("messaging.message.id", String::from_utf8_lossy(id).into_owned())
                        }
                        _ => outcome,
                    }
                },
            );
            Ok(from_redis_value(reply.await?.extract_error()?)?)
        })
    }
}

impl<C: aio::ConnectionLike + Send> StreamCommands for C {}

fn stream_of(xadd: &Cmd) -> String {
    match xadd.args_iter().nth(1) {
        Some(Arg::Simple(key)) => String::from_utf8_lossy(key).into_owned(),
        _ => String::new(),
    }
}

/// An entry and where it came from, which the entry itself does not know.
///
/// ```
/// use redis::streams::StreamId;
/// use throughline::redis::Delivery;
/// use throughline::traced;
///
/// #[traced(kind = consumer, parent = Delivery::new("orders", entry).group("billing"))]
/// fn handle(entry: &StreamId) {}
///
/// #[traced(kind = consumer, links = entries.iter().map(|entry| Delivery::new("orders", entry)))]
/// fn handle_batch(entries: &[StreamId]) {}
/// ```
#[derive(Debug, Clone, Copy)]
#[must_use = "a delivery is named as a parent or a link"]
pub struct Delivery<'a> {
    stream: &'a str,
    entry: &'a StreamId,
    group: Option<&'a str>,
    claimed: bool,
    deliveries: Option<usize>,
}

impl<'a> Delivery<'a> {
    /// An entry of `stream`.
    pub fn new(stream: &'a str, entry: &'a StreamId) -> Self {
        Self { stream, entry, group: None, claimed: false, deliveries: None }
    }

    /// The entries of one stream of a reply.
    pub fn all(stream: &'a StreamKey) -> impl Iterator<Item = Self> + Clone {
        stream.ids.iter().map(|entry| Self::new(&stream.key, entry))
    }

    /// The consumer group that it was read for.
    pub fn group(mut self, group: &'a str) -> Self {
        self.group = Some(group);
        self
    }

    /// Says that the entry was pending with a consumer before: that it comes from `XAUTOCLAIM` or
    /// `XCLAIM`, or from reading one's own pending entries.
    pub fn claimed(mut self) -> Self {
        self.claimed = true;
        self
    }

    /// Says how often it has been delivered, this time included, as `XPENDING` counts. More than
    /// once is a redelivery.
    pub fn deliveries(mut self, times: usize) -> Self {
        self.deliveries = Some(times);
        self
    }

    /// The entry.
    pub fn entry(&self) -> &'a StreamId {
        self.entry
    }

    /// The key of the stream.
    pub fn stream(&self) -> &'a str {
        self.stream
    }
}

impl Origin for Delivery<'_> {
    fn origin(&self) -> Context {
        self.entry.origin()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        let mut received = Received::new(attributes, "redis");
        received.destination(self.stream).attribute("messaging.message.id", self.entry.id.clone());
        if let Some(group) = self.group {
            received.attribute("messaging.consumer.group.name", group.to_owned());
        }
        // What `XREADGROUP … CLAIM` adds counts the deliveries before this one.
        let before = self.entry.delivered_count.filter(|count| *count > 0);
        let deliveries = self.deliveries.or_else(|| before.map(|count| count.saturating_add(1)));
        if self.claimed || deliveries.is_some_and(|times| times > 1) {
            received.redelivered();
        }
        if let Some(times) = deliveries {
            received.attribute("throughline.redis.delivery_count", i64::try_from(times).unwrap_or(i64::MAX));
        }
    }

    fn is_message(&self) -> bool {
        true
    }
}

/// An entry alone does not know its stream, so that is missing among the attributes: see [`Delivery`].
impl Origin for StreamId {
    fn origin(&self) -> Context {
        propagation::extract(&Entry(self))
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        attributes.push(KeyValue::new("messaging.system", "redis"));
        attributes.push(KeyValue::new("messaging.operation.name", "process"));
        attributes.push(KeyValue::new("messaging.operation.type", "process"));
        attributes.push(KeyValue::new("messaging.message.id", self.id.clone()));
    }

    fn is_message(&self) -> bool {
        true
    }
}

/// The fields of an entry as a carrier. Names are compared without regard to case.
struct Entry<'a>(&'a StreamId);

impl Entry<'_> {
    fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.map.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| text(value))
    }
}

impl Extractor for Entry<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.values(key).next()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.map.keys().map(String::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values: Vec<_> = self.values(key).take(MAX_VALUES).collect();
        (!values.is_empty()).then_some(values)
    }
}

fn text(value: &Value) -> &str {
    match value {
        Value::BulkString(bytes) => header_value(bytes),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text,
        _ => NOT_TEXT,
    }
}
