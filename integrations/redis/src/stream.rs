//! Context propagation in stream entries.

use redis::streams::{StreamAddOptions, StreamId, StreamKey};
use redis::{Arg, Cmd, FromRedisValue, RedisFuture, RedisResult, ToRedisArgs, Value, aio, from_redis_value};
use throughline::messaging::{self, Producer, Received, TraceHeaders};
use throughline::text::NOT_TEXT;
use throughline::{Context, KeyValue, Origin, current_context, semconv};

use super::failure;

/// `messaging.system`. The conventions do not list it.
const SYSTEM: &str = "redis";

/// Marks the implementations of [`Origin`] for the types of the `redis` crate. It is inferred in
/// `#[traced(parent = entry)]` and never has to be specified.
#[derive(Debug)]
pub enum Redis {}

/// Injects the current context into an `XADD` command: the fields that the [propagator](throughline::propagation)
/// writes, such as `traceparent`, are appended to its other fields. Existing fields with these names, for example of an
/// entry that is forwarded, are replaced. Without a context to inject, the command is unchanged; so is one without fields,
/// which the server refuses.
///
/// Use it for an entry that is added in a pipeline, a transaction or a script. [`StreamCommandsExt`] does the same in a
/// producer span.
///
/// ```
/// let mut add = redis::cmd("XADD").arg("orders").arg("*").arg("order_no").arg(1001).take();
/// throughline::in_span("place", || throughline_redis::inject(&mut add));
///
/// let mut pipeline = redis::pipe();
/// pipeline.atomic().set("order:1001", "placed").add_command(add);
/// ```
pub fn inject(xadd: &mut Cmd) {
    inject_context(&current_context(), xadd);
}

/// Injects `context` into an `XADD` command; otherwise like [`inject`].
pub fn inject_context(context: &Context, xadd: &mut Cmd) {
    // The server refuses an entry without fields, but would accept one with only ours.
    if ends_with_id(xadd) {
        return;
    }
    let trace = TraceHeaders::from_context(context);
    if let Some(kept) = without_replaced(xadd, &trace) {
        *xadd = kept;
    }
    for (name, value) in trace {
        xadd.arg(name).arg(value);
    }
}

/// Whether no field follows the id of the entry: `XADD key [option…] id`.
fn ends_with_id(xadd: &Cmd) -> bool {
    let mut words = xadd.args_iter().map(|word| match word {
        Arg::Simple(word) => word.to_ascii_uppercase(),
        _ => Vec::new(),
    });
    if words.next().as_deref() != Some(b"XADD") || words.next().is_none() {
        return false;
    }
    // How many values of an option follow. A `=` or `~` may precede a threshold.
    let mut values = 0;
    while let Some(word) = words.next() {
        match &*word {
            b"=" | b"~" if values > 0 => {}
            _ if values > 0 => values -= 1,
            b"NOMKSTREAM" | b"KEEPREF" | b"DELREF" | b"ACKED" => {}
            b"MAXLEN" | b"MINID" | b"LIMIT" | b"IDMPAUTO" => values = 1,
            b"IDMP" => values = 2,
            _ => return words.next().is_none(),
        }
    }
    false
}

/// The command without the fields of a previous context; `None` if there are none.
fn without_replaced(xadd: &Cmd, trace: &TraceHeaders) -> Option<Cmd> {
    const FIRST_FIELD: usize = 3;
    let total = xadd.args_iter().len();
    // The fields are the last words, in pairs. Before them are options, which have no such names.
    let is_replaced = |at: usize, word: &Arg<&[u8]>| {
        let is_name = at >= FIRST_FIELD && (total - at).is_multiple_of(2);
        let Arg::Simple(name) = word else { return false };
        is_name && std::str::from_utf8(name).is_ok_and(|name| trace.replaces(name))
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

/// Returns the current context as fields of an entry, for code that builds the fields itself. It has to replace
/// existing fields with the same names.
pub fn fields() -> Vec<(String, String)> {
    TraceHeaders::from_context(&current_context()).into_iter().collect()
}

/// Adds stream entries in producer spans, with the context in the fields of the entry.
///
/// The span is named `send {stream}`. On a [`traced`](super::traced) connection, the command additionally has its own
/// span below. Implemented for all asynchronous connections of the `redis` crate.
///
/// # Errors
///
/// Returns the error of the command. The span records it without the values that the server quotes.
///
/// # Cancel safety
///
/// If a future is dropped before it completes, the span is marked `throughline.cancelled`. The entry may be added
/// nevertheless.
pub trait StreamCommandsExt: aio::ConnectionLike + Send + Sized {
    /// Adds an entry, like [`xadd`](redis::AsyncCommands::xadd).
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

    /// Adds an entry with options, such as the length to which the stream is trimmed, like
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

    /// Sends an `XADD` command that is complete except for the context.
    fn send_traced<RV: FromRedisValue>(&mut self, mut xadd: Cmd) -> RedisFuture<'_, RV> {
        Box::pin(async move {
            let span = Producer::new(SYSTEM, &stream_of(&xadd)).start();
            inject_context(&span.context(), &mut xadd);
            let reply = span.run_async_with(
                || self.req_packed_command(&xadd),
                |result: &RedisResult<Value>| {
                    let outcome = failure::outcome(result);
                    match result {
                        Ok(Value::BulkString(id)) => {
                            outcome.attribute(semconv::MESSAGING_MESSAGE_ID, String::from_utf8_lossy(id).into_owned())
                        }
                        _ => outcome,
                    }
                },
            );
            Ok(from_redis_value(reply.await?.extract_error()?)?)
        })
    }
}

impl<C: aio::ConnectionLike + Send> StreamCommandsExt for C {}

fn stream_of(xadd: &Cmd) -> String {
    match xadd.args_iter().nth(1) {
        Some(Arg::Simple(key)) => String::from_utf8_lossy(key).into_owned(),
        _ => String::new(),
    }
}

/// A stream entry with attributes that it does not contain itself: the stream, the consumer group, and the number of
/// deliveries.
///
/// Use it as the parent of a consumer span, or in the links of a batch.
///
/// ```
/// use redis::streams::StreamId;
/// use throughline_redis::Delivery;
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
    /// Wraps an entry of `stream`.
    pub fn new(stream: &'a str, entry: &'a StreamId) -> Self {
        Self { stream, entry, group: None, claimed: false, deliveries: None }
    }

    /// Returns an iterator over the entries of a stream in a reply.
    pub fn all(stream: &'a StreamKey) -> impl Iterator<Item = Self> + Clone {
        stream.ids.iter().map(|entry| Self::new(&stream.key, entry))
    }

    /// Sets the consumer group that read the entry.
    pub fn group(mut self, group: &'a str) -> Self {
        self.group = Some(group);
        self
    }

    /// Marks the entry as redelivered, because it was pending before: it was returned by `XAUTOCLAIM` or `XCLAIM`, or
    /// read from the consumer's own pending entries.
    pub fn claimed(mut self) -> Self {
        self.claimed = true;
        self
    }

    /// Sets the number of deliveries, including this one, as reported by `XPENDING`. If it is greater than one, the
    /// entry is marked as redelivered.
    pub fn deliveries(mut self, times: usize) -> Self {
        self.deliveries = Some(times);
        self
    }

    /// Returns the entry.
    pub fn entry(&self) -> &'a StreamId {
        self.entry
    }

    /// Returns the key of the stream.
    pub fn stream(&self) -> &'a str {
        self.stream
    }
}

impl Origin for Delivery<'_> {
    fn origin(&self) -> Context {
        self.entry.origin()
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        let mut received = Received::new(attributes, SYSTEM);
        received.destination(self.stream).attribute(semconv::MESSAGING_MESSAGE_ID, self.entry.id.clone());
        if let Some(group) = self.group {
            received.attribute(semconv::MESSAGING_CONSUMER_GROUP_NAME, group.to_owned());
        }
        // What `XREADGROUP … CLAIM` adds counts the deliveries before this one.
        let before = self.entry.delivered_count.filter(|count| *count > 0);
        let deliveries = self.deliveries.or_else(|| before.map(|count| count.saturating_add(1)));
        if self.claimed || deliveries.is_some_and(|times| times > 1) {
            received.redelivered();
        }
        if let Some(times) = deliveries {
            received.attribute(semconv::THROUGHLINE_REDIS_DELIVERY_COUNT, i64::try_from(times).unwrap_or(i64::MAX));
        }
    }

    fn is_message(&self) -> bool {
        true
    }
}

/// An entry alone does not contain the name of its stream, so `messaging.destination.name` is missing: see
/// [`Delivery`].
impl Origin<Redis> for StreamId {
    fn origin(&self) -> Context {
        messaging::extract(self.map.iter().map(|(name, value)| (name.as_str(), bytes(value))))
    }

    fn describe(&self, attributes: &mut Vec<KeyValue>) {
        Received::new(attributes, SYSTEM).attribute(semconv::MESSAGING_MESSAGE_ID, self.id.clone());
    }

    fn is_message(&self) -> bool {
        true
    }
}

/// The value of a field. One that is neither text nor bytes must not count as absent.
fn bytes(value: &Value) -> &[u8] {
    match value {
        Value::BulkString(bytes) => bytes,
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.as_bytes(),
        _ => NOT_TEXT.as_bytes(),
    }
}
