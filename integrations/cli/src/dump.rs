//! Reading a dump.

use std::io::{self, BufReader, Cursor, Read};

use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use throughline::audit::Span;

use crate::convert::Converter;
use crate::counted::{Counted, Decompressed, Progress};
use crate::error::ReadError;
use crate::format::{Format, HEAD};
use crate::{json, protobuf};

/// Reads dumps of OTLP spans.
///
/// Repeated names are shared, across all dumps read by the same reader.
///
/// The format is detected automatically:
///
/// - JSON: one document, or a sequence of documents, such as the lines written by the file exporter of OpenTelemetry's
///   collector;
/// - Protobuf: one `ExportTraceServiceRequest` or `TracesData`, or a sequence of them, each preceded by its length as a
///   varint or in four bytes;
/// - any of these, compressed with gzip.
#[derive(Debug, Default)]
pub struct Reader {
    converter: Converter,
}

/// The result of [`Reader::read`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Dump {
    /// The number of spans that were passed to the sink.
    pub spans: u64,
    /// The number of spans that were skipped, because their trace ID, span ID or parent span ID is invalid.
    pub invalid: u64,
    /// Where the dump is truncated, if it is: it ends within a message or within the compressed data, for example
    /// because it is still being written. The spans before were passed to the sink.
    pub cut_off: Option<ReadError>,
}

impl Reader {
    /// Creates a reader.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a dump and passes each span to `sink` as soon as the enclosing `ResourceSpans` is complete. At most one
    /// `ResourceSpans` is held in memory.
    ///
    /// # Errors
    ///
    /// Returns an error if the input cannot be read, is empty, or is not OTLP. The spans before the error were passed
    /// to the sink.
    pub fn read(&mut self, input: impl Read, sink: &mut dyn FnMut(Span)) -> Result<Dump, ReadError> {
        let mut dump = Dump::default();
        let mut each = |resource: ResourceSpans| self.converter.convert(resource, &mut dump, sink);
        let read = read(Box::new(input), true, &mut each);
        match read {
            Ok(()) => {}
            Err(Stop::CutOff(error)) => dump.cut_off = Some(error),
            Err(Stop::Failed(error)) => return Err(error),
        }
        Ok(dump)
    }
}

/// Why reading stopped before the end.
pub(crate) enum Stop {
    /// The input ended within a message.
    CutOff(ReadError),
    Failed(ReadError),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        Self::Failed(error)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(ReadError::of_input(error))
    }
}

/// Receives each `ResourceSpans`.
pub(crate) type Each<'a> = dyn FnMut(ResourceSpans) + 'a;

fn read(mut input: Box<dyn Read + '_>, may_be_compressed: bool, each: &mut Each<'_>) -> Result<(), Stop> {
    let mut head = Vec::with_capacity(HEAD);
    input.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    let format = Format::of(&head)?;
    let whole = Counted::new(Box::new(BufReader::with_capacity(1 << 16, Cursor::new(head).chain(input))));
    match format {
        Format::Gzip if may_be_compressed => read_compressed(whole, each),
        Format::Gzip => Err(ReadError::new(
            "it is compressed with gzip twice; decompress it once: `gzip -dc FILE | throughline audit -`",
        )
        .into()),
        Format::Json => json::read(whole, each),
        Format::Protobuf => protobuf::read_one(whole, each),
        Format::Delimited => protobuf::read_delimited(whole, each),
        Format::Framed => protobuf::read_framed(whole, each),
    }
}

fn read_compressed(input: Counted<'_>, each: &mut Each<'_>) -> Result<(), Stop> {
    let progress = Progress::default();
    let read = read(Box::new(Decompressed::new(input, &progress)), false, each);
    let Some(byte) = progress.cut_off.get() else { return read };
    match read {
        // Shorter than the head, the content does not show its format, so its error may be due to the truncation.
        Err(Stop::Failed(error)) if progress.content.get() >= HEAD as u64 => Err(Stop::Failed(error)),
        _ => Err(Stop::CutOff(ReadError::in_compressed(byte))),
    }
}
