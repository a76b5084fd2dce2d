//! Inputs that count the bytes that were read.

use std::cell::Cell;
use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;

/// Counts the bytes that were read.
pub(crate) struct Counted<'a> {
    input: Box<dyn BufRead + 'a>,
    pub(crate) at: u64,
}

impl<'a> Counted<'a> {
    pub(crate) fn new(input: Box<dyn BufRead + 'a>) -> Self {
        Self { input, at: 0 }
    }
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl BufRead for Counted<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.input.consume(amount);
        self.at += amount as u64;
    }
}

/// Decompresses gzip. If the input is truncated, the content ends there.
pub(crate) struct Decompressed<'a> {
    decoder: MultiGzDecoder<Counted<'a>>,
    progress: &'a Progress,
}

/// How far compressed data was read.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// How many bytes of content there were.
    pub(crate) content: Cell<u64>,
    /// The offset at which the compressed data is truncated, if it is.
    pub(crate) cut_off: Cell<Option<u64>>,
}

impl<'a> Decompressed<'a> {
    pub(crate) fn new(input: Counted<'a>, progress: &'a Progress) -> Self {
        Self { decoder: MultiGzDecoder::new(input), progress }
    }
}

impl Read for Decompressed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Progress { content, cut_off } = self.progress;
        if cut_off.get().is_some() {
            return Ok(0);
        }
        match self.decoder.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                cut_off.set(Some(self.decoder.get_ref().at));
                Ok(0)
            }
            read => read.inspect(|read| content.set(content.get() + *read as u64)),
        }
    }
}
