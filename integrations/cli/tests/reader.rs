//! The encodings of a dump, whole and broken.

use std::io::{self, Read, Write as _};

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
    read(input).unwrap_err().to_string()
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
    assert!(charge.code_place().is_some_and(|place| place.file.ends_with("reader.rs")), "{:?}", charge.code_place());
}

#[test]
fn a_file_of_the_collector_is_read_whoever_recorded_it() {
    let (spans, dump) = read(&include_bytes!("data/collector.jsonl")[..]).unwrap();
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

#[test]
fn ids_in_upper_case_and_times_as_numbers_are_read() {
    // As in the examples of OTLP's specification.
    let (spans, _) = read(
        &br#"{"resourceSpans": [{"scopeSpans": [{"spans": [{
            "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174", "name": "I'm a server span",
            "startTimeUnixNano": 1544712660000000000, "endTimeUnixNano": 1544712661000000000, "kind": 2
        }]}]}]}"#[..],
    )
    .unwrap();
    assert_eq!(spans[0].trace_id.to_string(), "5b8efff798038103d269b633813fc60c");
    assert_eq!((spans[0].duration(), spans[0].is_sampled), (Some(1_000_000_000), None));
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

/// By protobuf's mapping to JSON, which OTLP's refers to.
#[test]
fn nulls_and_doubles_as_text_are_read() {
    let dump = |members: &str| {
        let span = format!(
            r#""traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","name":"n","kind":2{members}"#
        );
        format!(r#"{{"resourceSpans":[{{"resource":null,"scopeSpans":[{{"scope":null,"spans":[{{{span}}}]}}]}}]}}"#)
    };
    for members in [
        r#","parentSpanId":null,"traceState":null,"attributes":null,"events":null,"links":null,"status":null"#,
        r#","flags":null,"droppedAttributesCount":null,"status":{"code":null,"message":null}"#,
        r#","attributes":[{"key":"k","value":null},{"key":"s","value":{"stringValue":null}},{"key":"e","value":{}}]"#,
        r#","attributes":[{"key":"doubleValue","value":{"stringValue":"NaN"}}],"events":[{"attributes":null}]"#,
    ] {
        assert_eq!(names(dump(members).as_bytes()), ["n"], "{members}");
    }
    let of = |value: &str| {
        let double = format!(r#"{{"doubleValue":{value}}}"#);
        let list = format!(r#"{{"arrayValue":{{"values":[{double}]}}}}"#);
        let attributes = format!(r#","attributes":[{{"key":"d","value":{double}}},{{"key":"l","value":{list}}}]"#);
        let (spans, _) = read(dump(&attributes).as_bytes()).unwrap();
        spans[0].attributes.iter().map(|attribute| attribute.value.to_string()).collect::<Vec<_>>().join(" ")
    };
    for (value, read) in [
        (r#""NaN""#, "NaN"),
        (r#""Infinity""#, "inf"),
        (r#""-Infinity""#, "-inf"),
        (r#""-1.5""#, "-1.5"),
        ("0.5", "0.5"),
        ("7", "7"),
    ] {
        assert_eq!(of(value), format!("{read} [\"{read}\"]"), "{value}");
    }
    let wrong = error(dump(r#","attributes":[{"key":"k","value":{"doubleValue":"many"}}]"#).as_bytes());
    assert!(wrong.contains("invalid type: string \"many\", expected f64"), "{wrong}");
}

#[test]
fn what_is_no_dump_is_told_with_its_place() {
    assert_eq!(error(b""), "it is empty");
    assert!(error(b"<html>").starts_with("it is no OTLP: it begins with `<html>`; expected JSON"));
    let logs = error(b"{\"resourceLogs\":[]}\n{\"resourceMetrics\":[]}");
    assert_eq!(
        logs,
        "it is JSON without spans: its documents have `resourceLogs`, `resourceMetrics`; expected `resourceSpans`"
    );
    assert_eq!(
        error(b"{\"resourceSpans\":[]}\n{\"resourceSpans\":7}"),
        "line 2, column 19: invalid type: integer `7`, expected a list of `ResourceSpans`"
    );
    assert_eq!(error(b"{\"resourceSpans\":[]}\n\n{resourceSpans:[]}"), "line 3, column 2: key must be a string");
    let id = error(br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xy"}]}]}]}"#);
    assert!(id.starts_with("line 1, column 58: invalid character"), "{id}");
    let kind = error(br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":"SPAN_KIND_SERVER"}]}]}]}"#);
    assert_eq!(kind, "line 1, column 69: invalid type: string \"SPAN_KIND_SERVER\", expected i32");
    assert_eq!(
        error(&gzip(&gzip(b"{}"))),
        "it is compressed with gzip twice; decompress it once: `gzip -dc FILE | throughline audit -`"
    );
}

#[test]
fn a_mistake_in_protobuf_is_told_with_its_byte() {
    let mut message = request(["order", "charge"]).encode_to_vec();
    let end = message.len();
    // A field that is longer than its frame.
    let mut framed = [&u32::try_from(end).unwrap().to_be_bytes()[..], &message].concat();
    framed[3] -= 1;
    assert!(error(&framed).starts_with("byte 4: a field of "), "{}", error(&framed));
    assert!(error(&framed).ends_with("is longer than its message; expected `ResourceSpans`"));
    // Bytes that are no field, after a message.
    message.push(0x0f);
    assert_eq!(
        error(&message),
        format!("byte {end}: a field has the wire type 7, which no message of OTLP has; expected `ResourceSpans`")
    );
    // A field with the right number and another content.
    message.truncate(end);
    message.extend([0x0a, 3, 0x0a, 0x7f, 0]);
    let error = error(&message);
    assert!(error.starts_with(&format!("byte {end}: 3 bytes are not a valid `ResourceSpans`: ")), "{error}");
}

#[test]
fn of_a_dump_that_is_cut_off_the_rest_is_read() {
    let requests = [request(["order", "charge"]), request(["refund", "pay"])];
    for (form, content) in forms(&requests) {
        // In the middle of the second one; the last byte of the lines is what may be missing.
        let (spans, dump) = read(&content[..content.len() - 20]).unwrap();
        let cut_off = dump.cut_off.unwrap_or_else(|| panic!("{form}: not seen")).to_string();
        assert_eq!(spans.iter().map(|span| &*span.name).collect::<Vec<_>>(), ["charge", "order"], "{form}");
        let expected = format!("byte {}: it ends here", content.len() - 20);
        assert!(cut_off.starts_with(&expected), "{form}: {cut_off}");
        assert!(cut_off.contains("it ends here; expected") || cut_off.contains(": EOF while parsing"), "{cut_off}");
    }
}

/// Wherever the compressed data is cut: in the header, the content or the checksum.
#[test]
fn of_compressed_data_that_is_cut_off_the_rest_is_read() {
    let requests = [request(["order", "charge"]), request(["refund", "pay"])];
    for (form, content) in forms(&requests) {
        let mut stored = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        stored.write_all(&content).unwrap();
        let compressed = stored.finish().unwrap();
        let (mut last, all) = (0, 4);
        for end in (2..compressed.len()).step_by(7).chain([compressed.len() - 1]) {
            let (spans, dump) = read(&compressed[..end]).unwrap_or_else(|error| panic!("{form} at {end}: {error}"));
            let cut_off = dump.cut_off.unwrap_or_else(|| panic!("{form} at {end}: not seen")).to_string();
            assert_eq!(cut_off, format!("byte {end} of the compressed data: it ends here; expected more gzip data"));
            assert!((last..=all).contains(&spans.len()), "{form} at {end}: {} after {last}", spans.len());
            last = spans.len();
        }
        assert_eq!(last, all, "{form}: only the checksum is missing");
        // A second part that is cut off, after one that is whole. A byte order mark only stands at the start.
        if form == "with a byte order mark" {
            continue;
        }
        let twice = [&*compressed, &compressed[..compressed.len() - 30]].concat();
        let (spans, dump) = read(&*twice).unwrap();
        assert!(spans.len() >= all && dump.cut_off.is_some(), "{form}: {} spans", spans.len());
    }
    // What is something else, or damaged, is not cut off.
    let page = gzip("<html>".repeat(1000).as_bytes());
    assert!(error(&page[..page.len() - 4]).starts_with("it is no OTLP: it begins with `<html>"));
    let logs = gzip("{\"resourceLogs\":[]}\n".repeat(10).as_bytes());
    assert!(error(&logs[..logs.len() - 4]).starts_with("it is JSON without spans: "));
    let mut damaged = gzip(&forms(&requests)[0].1);
    let end = damaged.len();
    damaged[end - 6] ^= 1;
    assert!(error(&damaged).starts_with("it cannot be read: "), "{}", error(&damaged));
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
fn values_of_every_type_are_read() {
    let (spans, _) = read(
        &br#"{"resource_spans": [{"scopeSpans": [{"spans": [{"traceId": "01010101010101010101010101010101",
            "spanId": "0202020202020202", "attributes": [
                {"key": "text", "value": {"stringValue": "a"}}, {"key": "yes", "value": {"boolValue": true}},
                {"key": "number", "value": {"intValue": "-7"}}, {"key": "ratio", "value": {"doubleValue": 0.5}},
                {"key": "list", "value": {"arrayValue": {"values": [{"intValue": 1}, {"stringValue": "b"}]}}},
                {"key": "none", "value": {}}, {"key": "bytes", "value": {"bytesValue": "AAEC"}}
        ]}]}]}]}"#[..],
    )
    .unwrap();
    let value = |key: &str| spans[0].attribute(key).map(|value| (value.as_str().into_owned(), value.clone()));
    assert_eq!(value("text").unwrap().1, "a".into());
    assert_eq!(value("yes").unwrap().1, true.into());
    assert_eq!(value("number").unwrap().1, (-7).into());
    assert_eq!(value("ratio").unwrap().1, 0.5.into());
    assert_eq!(value("list").unwrap().0, r#"["1","b"]"#);
    assert_eq!(value("bytes").unwrap().0, "3 bytes");
    assert_eq!(value("none"), None);
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

/// Of a version of OTLP that is not known yet.
#[test]
fn fields_that_are_not_known_are_passed_over() {
    let mut message = request(["order", "charge"]).encode_to_vec();
    // A number, eight bytes, four bytes, and text.
    message.extend([0x10, 0x80, 0x01]);
    message.extend([0x19, 1, 2, 3, 4, 5, 6, 7, 8]);
    message.extend([0x25, 1, 2, 3, 4]);
    message.extend([0x2a, 2, b'h', b'i']);
    message.extend(request(["refund", "pay"]).encode_to_vec());
    assert_eq!(names(&*message), ["charge", "order", "pay", "refund"]);
}

/// The specification's "JSON Protobuf Encoding": `null` is the default value.
#[test]
fn null_is_an_empty_list() {
    let (spans, dump) = read(&br#"{"resourceSpans":null}"#[..]).unwrap();
    assert_eq!((spans.len(), dump.invalid), (0, 0));
}

/// A document that is made while it is read, and counts what was read of it.
struct Endless<'a> {
    spans: u64,
    next: Box<dyn Iterator<Item = String> + 'a>,
    rest: Vec<u8>,
    read: &'a std::cell::Cell<u64>,
}

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.next.next().unwrap_or_default().into_bytes();
            self.spans += 1;
            self.read.set(self.spans);
        }
        let length = buffer.len().min(self.rest.len());
        buffer[..length].copy_from_slice(&self.rest[..length]);
        self.rest.drain(..length);
        Ok(length)
    }
}

#[test]
fn a_document_is_read_in_pieces() {
    const SPANS: u64 = 20_000;
    let piece = |at: u64| {
        let begin = if at == 1 { "{\"resourceSpans\":[" } else { "," };
        let end = if at == SPANS { "]}" } else { "" };
        format!(
            "{begin}{{\"scopeSpans\":[{{\"spans\":[{{\"traceId\":\"{at:032x}\",\"spanId\":\"{at:016x}\",\"name\":\"n\"}}]}}]}}{end}"
        )
    };
    let read = std::cell::Cell::new(0);
    let document = Endless { spans: 0, next: Box::new((1..=SPANS).map(piece)), rest: Vec::new(), read: &read };
    let mut count = 0;
    let dump = Reader::new().read(document, &mut |_| {
        count += 1;
        // A buffer of 64 KiB is ahead.
        assert!(read.get() - count < 1_000, "span {count} came when {} were read", read.get());
    });
    assert_eq!((dump.unwrap().spans, count), (SPANS, SPANS));
}

#[test]
fn a_length_beyond_the_last_byte_is_an_error() {
    let message = request(["a", "b"]).encode_length_delimited_to_vec();
    for length in [u64::MAX, u64::MAX - 16] {
        let mut content = message.clone();
        prost::encoding::encode_varint(length, &mut content);
        content.extend([0x0a, 2, 0x0a, 0]);
        assert_eq!(error(&content), format!("byte {}: a message cannot have {length} bytes", message.len()));
    }
}

#[test]
fn a_message_that_begins_like_text_is_protobuf() {
    let mut request = request(["a", "b"]);
    let spans = &mut request.resource_spans[0];
    // The length of `ResourceSpans`, after the tag of a field, which is also a line feed.
    let brace = usize::from(b'{');
    spans.scope_spans[0].spans.truncate(1);
    spans.scope_spans[0].scope = None;
    let span = &mut spans.scope_spans[0].spans[0];
    (span.attributes, span.events, span.status) = (Vec::new(), Vec::new(), None);
    span.name = String::new();
    let missing = brace - spans.encoded_len() - 2;
    spans.scope_spans[0].spans[0].name = "n".repeat(missing);
    assert_eq!(spans.encoded_len(), brace);
    let message = request.encode_to_vec();
    assert_eq!(message[..2], *b"\n{");
    assert_eq!(names(&*message).len(), 1);
    // The length of the message.
    let spans = &mut request.resource_spans[0];
    spans.scope_spans[0].spans[0].name = "n".repeat(missing - 2);
    let delimited = request.encode_length_delimited_to_vec();
    assert_eq!(delimited[..2], *b"{\n");
    assert_eq!(names(&*delimited).len(), 1);
}

#[test]
fn a_length_that_lies_allocates_nothing() {
    // A message of four exbibytes, of which there are three bytes.
    let mut content = vec![0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40];
    content.extend([0x0a, 0, 0]);
    let (_, dump) = read(&*content).unwrap();
    assert!(dump.cut_off.unwrap().to_string().contains("more bytes of a field of 4611686018427387904"));
    assert_eq!(names(&*request(["a", "b"]).encode_to_vec()), ["b", "a"]);
}
