//! OTLP's JSON, which is protobuf's mapping to JSON with exceptions.

use std::io;

use super::*;

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

/// Parsers have to accept these, too, by protobuf's mapping to JSON. OTLP's specification does not permit them, and a
/// reader that ignores unknown fields would find no spans, or roots only.
#[test]
fn names_as_in_the_definition_of_the_message_are_read() {
    let dump = br#"{"resource_spans": [{"scope_spans": [{"spans": [{"trace_id": "5b8efff798038103d269b633813fc60c",
        "span_id": "eee19b7ec3c1b174", "parent_span_id": "eee19b7ec3c1b173", "name": "n", "start_time_unix_nano": "1",
        "end_time_unix_nano": "3", "attributes": [{"key": "order_no", "value": {"int_value": "7"}},
            {"key": "ratio", "value": {"double_value": "NaN"}}]
    }]}]}]}"#;
    let (spans, _) = read(&dump[..]).unwrap();
    assert_eq!((spans[0].parent_id, spans[0].duration()), (Some(0xeee1_9b7e_c3c1_b173.into()), Some(2)));
    assert_eq!((spans[0].attribute("order_no"), spans[0].attributes.len()), (Some(&7.into()), 2));
}

#[test]
fn the_first_members_of_a_document_without_spans_are_named_once() {
    let documents = br#"{"a":1,"b":2,"a":3} {"c":4} {"b":5,"d":6} {"e":7,"f":8}"#;
    let expected = "JSON without spans: the documents have `a`, `b`, `c`, `d`, `e`; expected `resourceSpans`";
    assert_eq!(error(documents), expected);
    assert_eq!(error(b"{} {}"), "JSON without spans: the documents are empty; expected `resourceSpans`");
}

/// The message is printed to a terminal.
#[test]
fn the_members_of_a_document_without_spans_are_named_in_one_short_line() {
    let document = format!("{{\"\\u001b[31m\\r\\u202e\": 1, \"{}\": 2}}", "é".repeat(100_000));
    let message = error(document.as_bytes());
    let start = "JSON without spans: the documents have `\u{fffd}[31m\u{fffd}\u{fffd}`, `éé";
    assert!(message.starts_with(start) && message.ends_with("é…`; expected `resourceSpans`"), "{message}");
    assert!(message.len() < 250, "{}", message.len());
}

#[test]
fn what_is_no_dump_is_told_with_its_place() {
    assert_eq!(error(b""), "the input is empty");
    assert!(error(b"<html>").starts_with("not OTLP: it begins with `<html>`; expected JSON"));
    let logs = error(b"{\"resourceLogs\":[]}\n{\"resourceMetrics\":[]}");
    assert_eq!(
        logs,
        "JSON without spans: the documents have `resourceLogs`, `resourceMetrics`; expected `resourceSpans`"
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
