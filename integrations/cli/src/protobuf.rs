//! OTLP as protobuf. `ExportTraceServiceRequest` and `TracesData` are the same on the wire: a list of `ResourceSpans`,
//! which are read one by one.

use std::io::{self, BufRead, Read};

use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message as _;

use crate::counted::Counted;
use crate::dump::{Each, Stop};
use crate::error::ReadError;

/// Reads one message, up to the end of the input.
pub(crate) fn read_one(mut input: Counted<'_>, each: &mut Each<'_>) -> Result<(), Stop> {
    message(&mut input, u64::MAX, each)
}

/// Reads messages, each preceded by its length as a varint.
pub(crate) fn read_delimited(mut input: Counted<'_>, each: &mut Each<'_>) -> Result<(), Stop> {
    while !input.is_at_end()? {
        let at = input.at;
        let length = input.varint("the length of a message")?;
        let end = input.at.checked_add(length).filter(|end| *end < u64::MAX);
        let end = end.ok_or_else(|| ReadError::at(at, format!("a message cannot have {length} bytes")))?;
        message(&mut input, end, each)?;
    }
    Ok(())
}

/// Reads messages, each preceded by its length in four bytes.
pub(crate) fn read_framed(mut input: Counted<'_>, each: &mut Each<'_>) -> Result<(), Stop> {
    while !input.is_at_end()? {
        let mut length = [0; 4];
        for byte in &mut length {
            *byte = input.byte("the length of a message, in four bytes")?;
        }
        let end = input.at + u64::from(u32::from_be_bytes(length));
        message(&mut input, end, each)?;
    }
    Ok(())
}

/// Reads the fields of a message that ends at byte `end`, or with the input if `end` is `u64::MAX`.
fn message(input: &mut Counted<'_>, end: u64, each: &mut Each<'_>) -> Result<(), Stop> {
    const RESOURCE_SPANS: u64 = 1;
    let mut content = Vec::new();
    while input.at < end {
        if end == u64::MAX && input.is_at_end()? {
            return Ok(());
        }
        let at = input.at;
        let tag = input.varint("the tag of a field")?;
        let length = match tag & 7 {
            0 => {
                input.varint("a number")?;
                continue;
            }
            1 => 8,
            2 => input.varint("the length of a field")?,
            5 => 4,
            other => {
                let what = format!(
                    "a field has the wire type {other}, which no message of OTLP has; expected `ResourceSpans`"
                );
                return Err(ReadError::at(at, what).into());
            }
        };
        if input.at.checked_add(length).is_none_or(|field_end| field_end > end) {
            let what = format!("a field of {length} bytes is longer than its message; expected `ResourceSpans`");
            return Err(ReadError::at(at, what).into());
        }
        if tag >> 3 == RESOURCE_SPANS && tag & 7 == 2 {
            input.content(length, &mut content)?;
            let decoded = ResourceSpans::decode(&*content);
            each(decoded.map_err(|error| {
                ReadError::at(at, format!("{length} bytes are not a valid `ResourceSpans`")).because(error)
            })?);
        } else {
            input.skip(length)?;
        }
    }
    Ok(())
}

impl Counted<'_> {
    fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.fill_buf()?.is_empty())
    }

    fn byte(&mut self, expected: &str) -> Result<u8, Stop> {
        let Some(&byte) = self.fill_buf()?.first() else { return Err(self.cut_off(expected)) };
        self.consume(1);
        Ok(byte)
    }

    fn varint(&mut self, expected: &str) -> Result<u64, Stop> {
        let start = self.at;
        let mut value = 0;
        for place in 0..10 {
            let byte = self.byte(expected)?;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(ReadError::at(start, format!("a number has more than ten bytes; expected {expected}")).into())
    }

    /// Reads `length` bytes. Allocates for the bytes that arrive, and not for a length that may be wrong.
    fn content(&mut self, length: u64, content: &mut Vec<u8>) -> Result<(), Stop> {
        content.clear();
        let got = self.take(length).read_to_end(content)? as u64;
        self.complete(length, got)
    }

    /// Reads `length` bytes of an unknown field, without holding them in memory.
    fn skip(&mut self, length: u64) -> Result<(), Stop> {
        let got = io::copy(&mut self.take(length), &mut io::sink())?;
        self.complete(length, got)
    }

    /// Whether all bytes of a field could be read.
    fn complete(&self, length: u64, got: u64) -> Result<(), Stop> {
        if got < length {
            return Err(self.cut_off(&format!("{} more bytes of a field of {length}", length - got)));
        }
        Ok(())
    }

    fn cut_off(&self, expected: &str) -> Stop {
        Stop::CutOff(ReadError::at(self.at, format!("unexpected end of data; expected {expected}")))
    }
}
