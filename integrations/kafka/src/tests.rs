use std::cell::Cell;
use std::ffi::CString;

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use rdkafka::Timestamp;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, OwnedHeaders, OwnedMessage};
use rdkafka::producer::FutureRecord;
use rdkafka::types::RDKafkaErrorCode;
use throughline::{Context, KeyValue, Origin, current_context, traced};

use crate::attributes::text_of_key;
use crate::headers::extract;
use crate::limit::within_limit;
use crate::producer::{error_type, producer, sending};
use crate::{Delivery, inject_context};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The context of [`PARENT`], with these flags.
fn context(flags: TraceFlags) -> Context {
    let (trace, span) = (TraceId::from(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c), SpanId::from(0xb7ad_6b71_6920_3331));
    Context::new().with_remote_span_context(SpanContext::new(trace, span, flags, false, TraceState::NONE))
}

/// The attributes of `origin`, by name.
fn described<M>(origin: &impl Origin<M>) -> Vec<(String, String)> {
    let mut attributes = Vec::new();
    origin.describe(&mut attributes);
    let mut pairs: Vec<_> = attributes.iter().map(|it| (it.key.to_string(), it.value.to_string())).collect();
    pairs.sort();
    pairs
}

/// The expected attributes, sorted like those of [`described`].
fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = expected.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    pairs.sort();
    pairs
}

const OLD: &str = "00-11111111111111111111111111111111-2222222222222222-01";

fn headers<'a>(pairs: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> OwnedHeaders {
    pairs.into_iter().fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value }))
}

fn texts(headers: &OwnedHeaders) -> Vec<(&str, Option<&str>)> {
    let text = |value| std::str::from_utf8(value).expect("text");
    headers.iter().map(|header| (header.key, header.value.map(text))).collect()
}

fn is_valid<'a>(pairs: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>)>) -> bool {
    let headers = headers(pairs);
    let valid = headers.origin().span().span_context().is_valid();
    assert_eq!(headers.as_borrowed().origin().span().span_context().is_valid(), valid);
    valid
}

fn message(key: Option<&[u8]>, payload: Option<&[u8]>) -> OwnedMessage {
    let (key, payload) = (key.map(<[u8]>::to_vec), payload.map(<[u8]>::to_vec));
    OwnedMessage::new(payload, key, "orders".into(), Timestamp::NotAvailable, 3, 42, None)
}

#[test]
fn injects_and_extracts() {
    for (flags, end) in [(TraceFlags::SAMPLED, "01"), (TraceFlags::NOT_SAMPLED, "00")] {
        let sent = context(flags).with_baggage([KeyValue::new("tenant_id", "acme")]);
        let headers = inject_context(&sent, OwnedHeaders::new());
        let written = format!("{}{end}", &PARENT[..PARENT.len() - 2]);
        assert_eq!(texts(&headers), [("traceparent", Some(written.as_str())), ("baggage", Some("tenant_id=acme"))]);
        let message = message(None, None).replace_headers(Some(headers));
        let received = message.origin();
        assert_eq!(received.span().span_context().span_id(), sent.span().span_context().span_id());
        assert_eq!(received.span().span_context().trace_flags(), flags);
        assert!(received.span().span_context().is_remote());
        assert_eq!(received.baggage().get("tenant_id").map(ToString::to_string), Some("acme".to_owned()));
    }
}

#[test]
fn keeps_other_headers_and_replaces_those_of_another_trace() {
    let before = headers([
        ("a", Some(&b"1"[..])),
        ("TraceParent", Some(OLD.as_bytes())),
        ("empty", None),
        ("tracestate", Some(b"old=1")),
        ("traceparent", None),
        ("baggage", Some(b"user=ada")),
        ("a", Some(b"2")),
    ]);
    let after = inject_context(&context(TraceFlags::SAMPLED), before);
    let expected = [("a", Some("1")), ("empty", None), ("a", Some("2")), ("traceparent", Some(PARENT))];
    assert_eq!(texts(&after), expected);
    // Once more, as when a record is sent again.
    assert_eq!(texts(&inject_context(&context(TraceFlags::SAMPLED), after)), expected);
}

#[test]
fn without_a_context_nothing_is_touched() {
    let forwarded = inject_context(&Context::new(), headers([("traceparent", Some(PARENT.as_bytes()))]));
    assert_eq!(texts(&forwarded), [("traceparent", Some(PARENT))]);
    let mut none = None;
    drop(sending(producer("orders"), None, None::<&str>, None::<&str>, &mut none));
    assert!(none.is_none());
    let mut empty = Some(OwnedHeaders::new());
    drop(sending(producer("orders"), None, None::<&str>, None::<&str>, &mut empty));
    assert!(empty.is_some());
}

#[test]
fn only_one_valid_text_counts() {
    let parent = Some(PARENT.as_bytes());
    assert!(is_valid([("other", None), ("traceparent", parent)]));
    assert!(is_valid([("TRACEPARENT", parent)]));
    assert!(!is_valid([]));
    for invalid in [None, Some(&b"\xff\xfe"[..]), Some(b""), parent] {
        assert!(!is_valid([("traceparent", parent), ("traceparent", invalid)]));
        assert!(!is_valid([("traceparent", invalid), ("Traceparent", parent)]));
    }
    for invalid in [None, Some(&b"\xff\xfe"[..]), Some(b"")] {
        assert!(!is_valid([("traceparent", invalid)]));
        assert!(is_valid([("tracestate", invalid), ("traceparent", parent), ("baggage", invalid)]));
    }
}

#[test]
fn several_trace_states_are_one() {
    let all = headers([
        ("tracestate", Some(&b"a=1"[..])),
        ("traceparent", Some(PARENT.as_bytes())),
        ("tracestate", Some(b"b=2")),
    ]);
    assert_eq!(all.origin().span().span_context().trace_state().header(), "a=1,b=2");
}

/// Headers of which all but the last one have a name that is not UTF-8, on which `rdkafka` panics.
struct BadNames {
    count: usize,
    calls: Cell<usize>,
}

impl BadNames {
    fn new(count: usize) -> Self {
        Self { count, calls: Cell::new(0) }
    }
}

impl Headers for BadNames {
    fn count(&self) -> usize {
        self.count + 1
    }

    fn try_get(&self, at: usize) -> Option<Header<'_, &[u8]>> {
        self.calls.set(self.calls.get() + 1);
        assert_eq!(at, self.count, "the name is not UTF-8");
        Some(Header { key: "traceparent", value: Some(PARENT.as_bytes()) })
    }
}

#[test]
fn a_header_whose_name_is_not_text_is_skipped() {
    let headers = BadNames::new(1);
    assert!(extract(&headers).span().span_context().is_valid());
    assert_eq!(headers.calls.get(), 2);
}

/// A message of one megabyte may have 300,000 headers, and each panic runs the panic hook.
#[test]
fn the_panics_on_names_that_are_not_text_are_bounded() {
    let headers = BadNames::new(10_000);
    assert!(!extract(&headers).span().span_context().is_valid());
    assert_eq!(headers.calls.get(), 16);
    let headers = BadNames::new(15);
    assert!(extract(&headers).span().span_context().is_valid());
}

#[test]
fn many_headers_are_bounded() {
    let many = (0..10_000).map(|_| ("traceparent", Some(PARENT.as_bytes())));
    assert!(!is_valid(many));
    let others = (0..10_000).map(|_| ("other", None)).chain([("traceparent", Some(PARENT.as_bytes()))]);
    assert!(is_valid(others));
}

#[test]
fn a_message_describes_itself() {
    let common = [
        ("messaging.system", "kafka"),
        ("messaging.operation.name", "process"),
        ("messaging.operation.type", "process"),
        ("messaging.destination.name", "orders"),
        ("messaging.destination.partition.id", "3"),
        ("messaging.kafka.offset", "42"),
    ];
    let mut expected = common.to_vec();
    expected.extend([("messaging.kafka.message.key", "o-1"), ("messaging.message.body.size", "5")]);
    assert_eq!(described(&message(Some(b"o-1"), Some(b"hello"))), pairs(&expected));

    let mut expected = common.to_vec();
    expected.extend([
        ("messaging.kafka.message.tombstone", "true"),
        ("messaging.consumer.group.name", "billing"),
        ("messaging.client.id", "b-7"),
    ]);
    let tombstone = message(None, None);
    assert_eq!(described(&Delivery::new(&tombstone).group("billing").client_id("b-7")), pairs(&expected));
}

#[test]
fn a_key_is_recorded_if_it_is_text() {
    assert_eq!(text_of_key("grün".as_bytes()).as_deref(), Some("grün"));
    assert_eq!(text_of_key(b""), Some(String::new()));
    assert_eq!(text_of_key(b"\xff"), None);
    assert_eq!(text_of_key(&7_u64.to_be_bytes()), None);
    let long = text_of_key("k".repeat(100_000).as_bytes()).expect("text");
    assert!(long.len() < 1_100 && long.ends_with('…'), "{}", long.len());
}

#[test]
fn error_types_are_names() {
    let code = rdkafka::types::RDKafkaErrorCode::MessageTimedOut;
    assert_eq!(error_type(&KafkaError::MessageProduction(code)), "MessageTimedOut");
    assert_eq!(error_type(&KafkaError::Canceled), "Canceled");
    assert_eq!(error_type(&KafkaError::Nul(CString::new("a\0b").expect_err("a NUL"))), "Nul");
    assert_eq!(error_type(&KafkaError::Seek("at 1".into())), "KafkaError");
}

#[test]
fn a_message_is_a_parent_and_a_link() {
    #[traced("process orders", kind = consumer, parent = message)]
    fn bill(message: &OwnedMessage) -> Context {
        current_context()
    }

    #[traced("count orders", kind = consumer, links = messages)]
    fn count(messages: &[OwnedMessage]) -> usize {
        messages.len()
    }

    let headers = inject_context(&context(TraceFlags::SAMPLED), OwnedHeaders::new());
    let message = message(None, None).replace_headers(Some(headers));
    // Without a provider there is no span, and the parent's context is current.
    assert_eq!(bill(&message).span().span_context(), message.origin().span().span_context());
    assert_eq!(count(&[message]), 1);
}

#[test]
#[expect(clippy::result_large_err, reason = "the error of `rdkafka`")]
fn a_record_that_is_too_large_loses_its_trace_headers_alone() {
    let context = context(TraceFlags::SAMPLED).with_baggage([KeyValue::new("tenant_id", "acme")]);
    let own = || headers([("own", Some(&b"1"[..]))]);
    for (before, room, expected) in [
        (own(), 3, Ok("own traceparent baggage")),
        (own(), 2, Ok("own traceparent")),
        (own(), 1, Ok("own")),
        (own(), 0, Err("own")),
        (OwnedHeaders::new(), 1, Ok("traceparent")),
        (OwnedHeaders::new(), 0, Ok("no headers")),
    ] {
        let names = |record: &FutureRecord<'_, str, str>| match &record.headers {
            Some(headers) => headers.iter().map(|header| header.key).collect::<Vec<_>>().join(" "),
            None => "no headers".to_owned(),
        };
        let record = FutureRecord::to("orders").headers(inject_context(&context, before));
        let sent = within_limit(
            || context.clone(),
            record,
            |record| match record.headers.as_ref().map_or(0, Headers::count) {
                count if count > room => {
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), record))
                }
                _ => Ok(names(&record)),
            },
        );
        let sent = sent.map_err(|(_, record)| names(&record));
        assert_eq!(sent, expected.map(str::to_owned).map_err(str::to_owned), "{room}");
    }
}

#[test]
fn records_are_messages() {
    let message = message(None, None);
    assert!(message.is_message() && Delivery::new(&message).is_message());
}
