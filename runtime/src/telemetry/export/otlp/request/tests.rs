use opentelemetry::trace::TraceId;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use super::*;
use crate::encoding::wire::{SPANS, put_bytes, span};

fn envelope() -> Envelope {
    Envelope::new(&Resource::builder_empty().with_schema_url([], "schema of the resource").build())
}

/// `spans` spans in each of `scopes` scopes, with names of at least `length` bytes.
fn request(envelope: &Envelope, spans: usize, scopes: usize, length: usize) -> Request {
    let known = Scopes::default();
    let batch = (0..scopes).map(|scope| {
        let name = format!("scope {scope}");
        let id = known.id(&InstrumentationScope::builder(name).with_schema_url("schema").build());
        let mut bytes = Vec::new();
        for at in 0..spans {
            let mut message = Vec::new();
            put_bytes(&mut message, span::NAME, format!("{:0length$}", scope * spans + at).as_bytes());
            put_bytes(&mut bytes, SPANS, &message);
        }
        let count = u32::try_from(spans).expect("few");
        QueuedSpans { first_scope: id, ..QueuedSpans::complete(0, count, bytes.into()) }
    });
    Request::new(envelope, batch.collect(), &known)
}

fn message(request: &Request, envelope: &Envelope) -> ExportTraceServiceRequest {
    let body = request.body(envelope);
    assert_eq!(body.len(), request.bytes);
    ExportTraceServiceRequest::decode(body).expect("a valid message")
}

fn names(pieces: &[Request], envelope: &Envelope) -> Vec<String> {
    let messages = pieces.iter().map(|piece| message(piece, envelope));
    let resources = messages.flat_map(|message| message.resource_spans);
    let scopes = resources.flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).map(|span| span.name).collect()
}

#[test]
fn pieces_are_no_larger_than_allowed_and_hold_all_in_order() {
    let envelope = envelope();
    let limits = [1, 5_000, 1 << 20].into_iter().chain((60..2_000).step_by(20));
    for (limit, max_spans) in limits.map(|limit| (limit, 50)) {
        let whole = request(&envelope, 40, 3, 30);
        let (spans, expected) = (whole.spans, names(std::slice::from_ref(&whole), &envelope));
        let pieces = whole.split(&envelope, limit, max_spans);
        assert_eq!(names(&pieces, &envelope), expected);
        assert_eq!(pieces.iter().map(|piece| piece.spans).sum::<usize>(), spans);
        for piece in &pieces {
            assert!(piece.spans == 1 || piece.bytes <= limit, "{limit}: {}", piece.bytes);
            assert!(piece.spans <= max_spans);
            for resource in message(piece, &envelope).resource_spans {
                assert_eq!(resource.schema_url, "schema of the resource");
                let scopes = resource.scope_spans.iter();
                assert_eq!(scopes.clone().map(|scope| scope.spans.len()).sum::<usize>(), piece.spans);
                assert!(scopes.clone().all(|scope| scope.scope.is_some() && scope.schema_url == "schema"));
            }
        }
        let joined = Request::joined(&envelope, pieces).expect("there are some");
        assert_eq!((joined.spans, names(&[joined], &envelope)), (spans, expected));
    }
}

#[test]
fn a_request_above_the_limit_is_always_split() {
    let envelope = envelope();
    let whole = request(&envelope, 2, 1, 100);
    let limit = whole.bytes - 1;
    assert_eq!(whole.split(&envelope, limit, 9).len(), 2, "otherwise, it would be split forever");
}

/// Even if the spans of a scope are in several parts, or not next to each other.
#[test]
fn each_scope_occurs_once() {
    let envelope = envelope();
    let known = Scopes::default();
    let ids = ["a", "b"].map(|name| known.id(&InstrumentationScope::builder(name).build()));
    let frame = |name: &str| {
        let (mut message, mut frame) = (Vec::new(), Vec::new());
        put_bytes(&mut message, span::NAME, name.as_bytes());
        put_bytes(&mut frame, SPANS, &message);
        frame
    };
    let part = |names: [&str; 3]| QueuedSpans {
        trace_id: TraceId::INVALID,
        count: 3,
        has_local_root: true,
        bytes: names.map(frame).concat().into(),
        first_scope: ids[0],
        other_scopes: vec![(frame("1").len(), ids[1]), (2 * frame("1").len(), ids[0])],
    };
    let request = Request::new(&envelope, vec![part(["1", "2", "3"]), part(["4", "5", "6"])], &known);
    let message = message(&request, &envelope);
    let scopes: Vec<_> = message.resource_spans[0]
        .scope_spans
        .iter()
        .map(|scope| {
            let names: String = scope.spans.iter().map(|span| span.name.as_str()).collect();
            (scope.scope.as_ref().expect("a scope").name.clone(), names)
        })
        .collect();
    assert_eq!(scopes, [("a".to_owned(), "1346".to_owned()), ("b".to_owned(), "25".to_owned())]);
    assert_eq!((request.spans, message.resource_spans.len()), (6, 1));
}

/// "Attribute Collections".
#[test]
fn the_attributes_of_a_scope_have_unique_keys() {
    use opentelemetry::KeyValue;

    let (envelope, known) = (envelope(), Scopes::default());
    let attributes = [("a", 1), ("b", 2), ("", 3), ("a", 4)].map(|(key, value)| KeyValue::new(key, value));
    let id = known.id(&InstrumentationScope::builder("lib").with_attributes(attributes).build());
    let mut frame = Vec::new();
    put_bytes(&mut frame, SPANS, b"");
    let spans = QueuedSpans { first_scope: id, ..QueuedSpans::complete(0, 1, frame.into()) };
    let message = message(&Request::new(&envelope, vec![spans], &known), &envelope);
    let scope = message.resource_spans[0].scope_spans[0].scope.as_ref().expect("a scope");
    let keys: Vec<_> = scope.attributes.iter().map(|attribute| (&*attribute.key, attribute.value.clone())).collect();
    let int = |value| Some(opentelemetry::Value::I64(value).into());
    assert_eq!(keys, [("b", int(2)), ("a", int(4))]);
}

#[test]
fn the_limit_shrinks_immediately_and_grows_slowly() {
    let mut limit = SizeLimit::below(10_000);
    assert_eq!(limit.bytes, 5_000);
    for _ in 0..100 {
        limit = limit.after_success(100);
    }
    assert_eq!(limit.bytes, 5_000, "small requests are no evidence");
    for _ in 0..=REQUESTS_BEFORE_GROWING {
        assert_eq!(limit.bytes, 5_000);
        limit = limit.after_success(4_000);
    }
    assert_eq!(limit.bytes, 10_000);
    assert_eq!(SizeLimit::below(1).bytes, 1);
    assert_eq!(SizeLimit::default().after_success(MAX_BYTES).bytes, MAX_BYTES);
}
