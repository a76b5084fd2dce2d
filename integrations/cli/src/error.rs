//! What is wrong with a dump.

use std::{fmt, io};

/// The error for a dump that cannot be read. Its `Display` form says where, and what was expected there.
#[derive(Debug)]
pub struct ReadError {
    place: Option<Place>,
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A place in a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Line { line: usize, column: usize },
    Byte(u64),
}

impl ReadError {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { place: None, what: what.into(), source: None }
    }

    /// A mistake in protobuf, at a byte from the start of what was decompressed.
    pub(crate) fn at(byte: u64, what: impl Into<String>) -> Self {
        Self { place: Some(Place::Byte(byte)), what: what.into(), source: None }
    }

    pub(crate) fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    pub(crate) fn of_input(error: io::Error) -> Self {
        Self::new("it cannot be read").because(error)
    }

    pub(crate) fn of_json(error: serde_json::Error) -> Self {
        if error.is_io() {
            return Self::of_input(error.into());
        }
        let (line, column) = (error.line(), error.column());
        // The message ends with the place, which is told first here.
        let message = error.to_string();
        let what = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
        Self { place: Some(Place::Line { line, column }), what: what.to_owned(), source: None }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(Place::Line { line, column }) => write!(f, "line {line}, column {column}: ")?,
            Some(Place::Byte(byte)) => write!(f, "byte {byte}: ")?,
            None => {}
        }
        f.write_str(&self.what)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
