//! Messages of protobuf, and how they are delimited.

use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::*;

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

/// Of a version of OTLP that is not known yet.
#[test]
fn fields_that_are_not_known_are_passed_over() {
    let mut message = request(["order", "charge"]).encode_to_vec();
    // A number, eight bytes, four bytes, and text.
    message.extend([0x10, 0x80, 0x01]);
    message.extend([0x19, 1, 2, 3, 4, 5, 6, 7, 8]);
    message.extend([0x25, 1, 2, 3, 4]);
    message.extend([0x2a, 2, b'h', b'i']);
    // The field of `ResourceSpans` with other types, and its content in another field.
    message.extend([0x09, 1, 2, 3, 4, 5, 6, 7, 8]);
    message.extend([0x0d, 1, 2, 3, 4]);
    let spans = request(["other", "field"]).resource_spans[0].encode_length_delimited_to_vec();
    message.extend([&[0x2a][..], &spans].concat());
    message.extend(request(["refund", "pay"]).encode_to_vec());
    assert_eq!(names(&*message), ["charge", "order", "pay", "refund"]);
}

/// Reads are as large as the buffer that is filled.
#[test]
fn a_field_that_is_not_known_is_not_kept_in_memory() {
    const LENGTH: u64 = 1 << 24;
    struct Observed<R>(R, usize);
    impl<R: Read> Read for Observed<R> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 = self.1.max(buffer.len());
            self.0.read(buffer)
        }
    }
    let mut message = request(["order", "charge"]).encode_to_vec();
    message.push(0x2a);
    prost::encoding::encode_varint(LENGTH, &mut message);
    let end = request(["refund", "pay"]).encode_to_vec();
    let mut input = Observed(message.chain(std::io::repeat(b'x').take(LENGTH)).chain(&*end), 0);
    assert_eq!(names(&mut input), ["charge", "order", "pay", "refund"]);
    assert!(input.1 <= 1 << 16, "{}", input.1);
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
    // The length of the resource, too.
    let spans = &mut request.resource_spans[0];
    let resource = spans.resource.as_mut().expect("it has one");
    resource.attributes[0].value = Some(AnyValue { value: Some(Value::StringValue("s".repeat(14))) });
    spans.scope_spans[0].spans[0].name = String::new();
    let missing = brace - spans.encoded_len() - 2;
    spans.scope_spans[0].spans[0].name = "n".repeat(missing);
    let message = request.encode_to_vec();
    assert_eq!(message[..4], *b"\n{\n\"");
    assert_eq!(names(&*message).len(), 1);
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
