//! A log in memory, for the subscriber of a test.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

/// The written text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("log lines are UTF-8")
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.text().lines().map(ToOwned::to_owned).collect()
    }

    /// Returns a `MakeWriter` for a subscriber.
    pub(crate) fn writer(&self) -> impl Fn() -> Self + Send + Sync + use<> {
        let output = self.clone();
        move || output.clone()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
