//! The encodings of a dump, whole and broken.

mod cut_off;
mod json;
mod protobuf;

use std::error::Error as _;
use std::io::{Read, Write as _};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use prost::Message as _;
use throughline::audit::{Audit, BreakKind, Rules, Span};
use throughline::testing::Capture;
use throughline_cli::{Dump, ReadError, Reader};

fn read(input: impl Read) -> Result<(Vec<Span>, Dump), ReadError> {
    let mut spans = Vec::new();
    let dump = Reader::new().read(input, &mut |span| spans.push(span))?;
    Ok((spans, dump))
}

fn names(input: impl Read) -> Vec<String> {
    let (spans, dump) = read(input).unwrap();
    assert!(dump.cut_off.is_none(), "{:?}", dump.cut_off);
    assert_eq!(dump.spans, spans.len() as u64);
    spans.iter().map(|span| span.name.to_string()).collect()
}

fn error(input: &[u8]) -> String {
    let error = read(input).unwrap_err();
    // As `throughline audit` prints it: no text occurs twice.
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// What the OTLP exporter of the SDK sends for spans that were recorded.
fn request(names: [&'static str; 2]) -> ExportTraceServiceRequest {
    let capture = Capture::new();
    capture.run(|| {
        let outer = throughline::span(names[0]).kind(throughline::SpanKind::Server).tag("retries", 3);
        outer.run(|| throughline::try_in_span(names[1], || Err::<(), _>("out of stock"))).unwrap_err();
    });
    let resource = Resource::builder_empty().with_service_name("shop").build();
    let spans = capture.spans().iter().map(|span| (**span).clone()).collect();
    let resource_spans = group_spans_by_resource_and_scope(spans, &ResourceAttributesWithSchema::from(&resource));
    ExportTraceServiceRequest { resource_spans }
}

fn json(request: &ExportTraceServiceRequest) -> String {
    serde_json::to_string(request).unwrap()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(content).unwrap();
    gzip.finish().unwrap()
}

/// Two requests, in every form in which they can stand in a dump.
fn forms(requests: &[ExportTraceServiceRequest; 2]) -> Vec<(&'static str, Vec<u8>)> {
    let [one, two] = requests;
    let framed = |request: &ExportTraceServiceRequest| {
        let message = request.encode_to_vec();
        [&u32::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat()
    };
    let both = ExportTraceServiceRequest { resource_spans: [&*one.resource_spans, &*two.resource_spans].concat() };
    vec![
        ("a document", json(&both).into_bytes()),
        ("indented", serde_json::to_vec_pretty(&both).unwrap()),
        ("indented, after a line feed", [b"\n", &*serde_json::to_vec_pretty(&both).unwrap()].concat()),
        ("with a byte order mark", format!("\u{feff}{}\n", json(&both)).into_bytes()),
        ("lines", format!("{}\n{}\n", json(one), json(two)).into_bytes()),
        ("lines without an end", format!("{}\r\n\r\n{}", json(one), json(two)).into_bytes()),
        ("a list", format!("[{},{}]", json(one), json(two)).into_bytes()),
        ("a message", both.encode_to_vec()),
        ("messages in a row", [one.encode_to_vec(), two.encode_to_vec()].concat()),
        ("delimited", [one.encode_length_delimited_to_vec(), two.encode_length_delimited_to_vec()].concat()),
        ("framed", [framed(one), framed(two)].concat()),
    ]
}

#[test]
fn every_encoding_has_the_same_spans() {
    let requests = [request(["order", "charge"]), request(["refund", "pay"])];
    let expected = read(&*forms(&requests)[0].1).unwrap().0;
    assert_eq!(expected.iter().map(|span| &*span.name).collect::<Vec<_>>(), ["charge", "order", "pay", "refund"]);
    for (form, content) in forms(&requests) {
        assert_eq!(read(&*content).unwrap().0, expected, "{form}");
        assert_eq!(read(&*gzip(&content)).unwrap().0, expected, "{form}, compressed");
    }
}

#[test]
fn spans_are_what_was_recorded() {
    let (spans, _) = read(json(&request(["order", "charge"])).as_bytes()).unwrap();
    let [charge, order] = &*spans else { panic!("{spans:?}") };
    assert_eq!((&*order.service, &*order.scope, order.parent_id), ("shop", "throughline", None));
    assert_eq!(order.kind, throughline::SpanKind::Server);
    assert_eq!(order.attribute("retries"), Some(&3.into()));
    assert_eq!((charge.parent_id, charge.trace_id), (Some(order.span_id), order.trace_id));
    assert_eq!((charge.is_error, order.is_error), (true, false));
    assert_eq!((charge.is_sampled, charge.parent_is_remote), (Some(true), Some(false)));
    assert_eq!(&*charge.events[0].name, "exception");
    assert!(charge.start >= order.start && charge.end <= order.end && charge.end > Some(0));
    assert!(
        charge.code_place().is_some_and(|place| place.file.ends_with("reader/main.rs")),
        "{:?}",
        charge.code_place()
    );
}

#[test]
fn a_file_of_the_collector_is_read_whoever_recorded_it() {
    let (spans, dump) = read(&include_bytes!("../data/collector.jsonl")[..]).unwrap();
    assert_eq!((dump.spans, dump.invalid), (5, 0));
    let remote: Vec<_> = spans.iter().map(|span| span.parent_is_remote).collect();
    assert_eq!(remote, [Some(false), Some(false), Some(true), None, None]);
    assert_eq!(spans[4].code_place().unwrap().to_string(), "mailer/render.py:88 (render)");
    let mut audit = Audit::new(Rules::new());
    for span in spans {
        audit.push(span);
    }
    let report = audit.finish();
    assert_eq!((report.total.traces, report.total.complete), (2, 1));
    assert_eq!(report.count(BreakKind::UnparentedEntry), 1);
    assert_eq!(report.count(BreakKind::MissingParent), 1);
}

/// OpenTelemetry's exporters for Python and Ruby only set the bits that tell whether the parent is remote.
#[test]
fn flags_of_the_trace_that_are_left_out_say_nothing() {
    let span = |id: u8, parent: &str, flags: u32| {
        format!(
            r#"{{"traceId":"{:032}","spanId":"{id:016}","parentSpanId":"{parent}","flags":{flags},"endTimeUnixNano":"1"}}"#,
            1
        )
    };
    let read_all = |child: u32| {
        let spans = [span(1, "", 0x101), span(2, "0000000000000001", child)].join(",");
        read(format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#).as_bytes()).unwrap().0
    };
    let sampled = |flags| read_all(flags)[1].is_sampled;
    assert_eq!([0x300, 0x100, 0x301, 1].map(sampled), [None, None, Some(true), Some(true)]);
    // With the bit for random ids.
    assert_eq!([0x302, 2].map(sampled), [Some(false); 2]);
    let count = |flags| {
        let mut audit = Audit::new(Rules::new());
        for span in read_all(flags) {
            audit.push(span);
        }
        let report = audit.finish();
        assert_eq!(report.breaks.len() as u64, report.count(BreakKind::SamplingFlipped), "{report}");
        report.count(BreakKind::SamplingFlipped)
    };
    assert_eq!((count(0x300), count(0x302)), (0, 1));
}

#[test]
fn spans_without_ids_are_counted_and_left_out() {
    let mut request = request(["order", "charge"]);
    request.resource_spans[0].scope_spans[0].spans[0].span_id.clear();
    request.resource_spans[0].scope_spans[0].spans[1].trace_id = vec![0; 16];
    let (spans, dump) = read(&*request.encode_to_vec()).unwrap();
    assert_eq!((spans.len(), dump.invalid), (0, 2));
}

/// It is no root.
#[test]
fn a_span_whose_parent_has_no_valid_id_is_left_out() {
    let mut request = request(["order", "charge"]);
    request.resource_spans[0].scope_spans[0].spans[0].parent_span_id = vec![0; 8];
    request.resource_spans[0].scope_spans[0].spans[1].parent_span_id = vec![1; 4];
    let (spans, dump) = read(&*request.encode_to_vec()).unwrap();
    assert_eq!((spans.len(), dump.invalid), (1, 1));
    assert_eq!(spans[0].parent_id, None);
}

#[test]
fn kinds_and_links_are_read() {
    use throughline::SpanKind::{Client, Consumer, Internal, Producer, Server};

    let span = |kind: u8| {
        format!(
            r#"{{"traceId":"{:032}","spanId":"{kind:016}","kind":{kind},"links":[
            {{"traceId":"{:032}","spanId":"{:016}"}}, {{"traceId":"","spanId":""}}]}}"#,
            1, 7, 8
        )
    };
    let spans: Vec<_> = (1..=5).map(span).collect();
    let (spans, _) =
        read(format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(",")).as_bytes())
            .unwrap();
    let kinds: Vec<_> = spans.iter().map(|span| span.kind.clone()).collect();
    assert_eq!(kinds, [Internal, Server, Client, Producer, Consumer]);
    for span in &spans {
        // One that leads nowhere is none.
        let [link] = &*span.links else { panic!("{:?}", span.links) };
        assert_eq!((link.trace_id, link.span_id), (7.into(), 8.into()));
    }
}
