//! Detects the encoding of a dump by its first bytes.

use crate::error::ReadError;

/// How many bytes [`Format::of`] looks at.
pub(crate) const HEAD: usize = 64;

/// How the messages of a dump are encoded and delimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Gzip,
    /// One document, or any number of them, such as one for each line.
    Json,
    /// One message. Concatenated messages are one message, too.
    Protobuf,
    /// Messages, each preceded by its length as a varint: "delimited" in the libraries of Protobuf.
    Delimited,
    /// Messages, each preceded by its length in four bytes, big-endian, as written by the collector's file exporter.
    Framed,
}

/// The fields of `ResourceSpans`: `resource`, `scope_spans`, `schema_url`. A message begins with one of these.
const FIELDS: [u8; 3] = [0x0a, 0x12, 0x1a];

impl Format {
    /// The format of a dump that begins with `head`, which has [`HEAD`] bytes unless the dump is shorter.
    pub(crate) fn of(head: &[u8]) -> Result<Self, ReadError> {
        if is_json(head) {
            return Ok(Self::Json);
        }
        // The tag of the first field of a message is a line feed, and the length after it may be a brace.
        if is_message(head) {
            return Ok(Self::Protobuf);
        }
        if varint(head).is_some_and(|(length, rest)| length > 0 && is_message(rest)) {
            return Ok(Self::Delimited);
        }
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
        match text {
            [] => return Err(ReadError::new("the input is empty")),
            [b'{' | b'[', ..] => return Ok(Self::Json),
            _ => {}
        }
        if head.starts_with(b"\x1f\x8b") {
            return Ok(Self::Gzip);
        }
        if head.starts_with(b"\x28\xb5\x2f\xfd") {
            return Err(ReadError::new(
                "it is compressed with zstd; decompress it: `zstd -dc FILE | throughline audit -`",
            ));
        }
        if head.len() > 4 && is_message(&head[4..]) {
            return Ok(Self::Framed);
        }
        let shown = &head[..head.len().min(16)];
        let begins = if shown.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')) {
            format!("`{}`", shown.escape_ascii())
        } else {
            shown.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
        };
        Err(ReadError::new(format!(
            "not OTLP: it begins with {begins}; expected JSON (`{{`), or protobuf (`ExportTraceServiceRequest` or \
             `TracesData`, alone or each after its length)"
        )))
    }
}

/// Whether `head` begins a JSON object or list, and no Protobuf message: those have a control character near the
/// beginning, such as the tag of the first attribute's value, and JSON has none.
fn is_json(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let has_control = text.iter().any(|byte| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r'));
    let [bracket, rest @ ..] = text.trim_ascii_start() else { return false };
    match (bracket, rest.trim_ascii_start()) {
        _ if has_control => false,
        (b'{', [next, ..]) => matches!(next, b'"' | b'}'),
        (b'[', [next, ..]) => matches!(next, b'{' | b'[' | b']'),
        _ => false,
    }
}

/// Whether `bytes` can be the beginning of an `ExportTraceServiceRequest` with at least one `ResourceSpans`.
fn is_message(bytes: &[u8]) -> bool {
    let Some((&0x0a, rest)) = bytes.split_first() else { return false };
    let Some((length, inner)) = varint(rest) else { return false };
    if length == 0 {
        return true;
    }
    let Some((_, inner)) = inner.split_first().filter(|(field, _)| FIELDS.contains(field)) else { return false };
    // The field ends within the message. Blank lines look like nested fields that are as long as what contains them.
    varint(inner).is_none_or(|(field, _)| field < length)
}

/// A varint of protobuf, and what comes after it.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut rest = bytes;
    let value = prost::encoding::decode_varint(&mut rest).ok()?;
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_not_mistaken_for_a_field() {
        // `ResourceSpans` with a resource of six bytes: the message has ten, and ten is also the tag of the field.
        let message = [0x0a, 0x08, 0x0a, 0x06, 1, 2, 3, 4, 5, 6];
        assert_eq!(Format::of(&message).unwrap(), Format::Protobuf);
        assert_eq!(Format::of(&[&[10][..], &message].concat()).unwrap(), Format::Delimited);
        assert_eq!(Format::of(&[&[0, 0, 0, 10][..], &message].concat()).unwrap(), Format::Framed);
    }

    #[test]
    fn input_that_is_not_otlp_is_described_by_its_first_bytes() {
        let error = |head: &[u8]| Format::of(head).unwrap_err().to_string();
        assert_eq!(error(b""), "the input is empty");
        assert_eq!(error(b" \n\t"), "the input is empty");
        assert!(error(b"<html>").contains("it begins with `<html>`; expected JSON (`{`), or protobuf"));
        assert!(error(&[0xff; 20]).contains("it begins with ff ff ff"));
        assert!(error(&[0x28, 0xb5, 0x2f, 0xfd]).contains("zstd -dc FILE | throughline audit -"));
    }

    #[test]
    fn whitespace_around_the_first_brace_does_not_count() {
        for text in [
            "\u{feff}{",
            "\n  [",
            "\n\n{",
            "\n\n\n{",
            "\n\n\n\n\n{",
            "\r\n\r\n\r\n{",
            "{\n\n\n\"",
            "{\n  \"",
            "[\n\n\n{",
            "\n{\n  \"",
            "\n{\n\t\"resourceSpans\": [",
            "\n{\n\n\"",
            "\r\n{\n  \"",
            " \n{\n  \"",
            "\n[\n  {",
        ] {
            assert_eq!(Format::of(text.as_bytes()).unwrap(), Format::Json, "{text:?}");
        }
    }
}
