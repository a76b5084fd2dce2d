//! Errors in dumps.

use std::{fmt, io};

/// The error for a dump that cannot be read. The `Display` form contains the position in the dump and what was expected
/// there; [`source`](std::error::Error::source) returns the error of the input or of the decoder, if there is one.
#[derive(Debug)]
pub struct ReadError {
    place: Option<Place>,
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A place in a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Line {
        line: usize,
        column: usize,
    },
    Byte(u64),
    /// An offset in the compressed data.
    Compressed(u64),
}

impl ReadError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { place: None, what: what.into(), source: None }
    }

    /// An error in Protobuf, at an offset in the decompressed data.
    pub(crate) fn at(byte: u64, what: impl Into<String>) -> Self {
        Self { place: Some(Place::Byte(byte)), what: what.into(), source: None }
    }

    /// The truncation of compressed data, at an offset in the file.
    pub(crate) fn in_compressed(byte: u64) -> Self {
        let what = "unexpected end of data; expected more gzip data".to_owned();
        Self { place: Some(Place::Compressed(byte)), what, source: None }
    }

    pub(crate) fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    pub(crate) fn of_input(error: io::Error) -> Self {
        Self::new("cannot be read").because(error)
    }

    /// The truncation of JSON within a document, at an offset in the decompressed data.
    pub(crate) fn of_json_that_ends(byte: u64, error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        Self::at(byte, format!("unexpected end of data, on line {line}, column {column}: {}", message_of(error)))
    }

    pub(crate) fn of_json(error: serde_json::Error) -> Self {
        if error.is_io() {
            return Self::of_input(error.into());
        }
        let (line, column) = (error.line(), error.column());
        Self { place: Some(Place::Line { line, column }), what: message_of(&error), source: None }
    }
}

/// The message of an error without the place at its end, because [`ReadError`] begins with the place.
fn message_of(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&place).unwrap_or(&message).to_owned()
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(Place::Line { line, column }) => write!(f, "line {line}, column {column}: ")?,
            Some(Place::Byte(byte)) => write!(f, "byte {byte}: ")?,
            Some(Place::Compressed(byte)) => write!(f, "byte {byte} of the compressed data: ")?,
            None => {}
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
