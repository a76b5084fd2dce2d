//! The arguments of the programs of this package.

use std::str::FromStr;

/// The arguments of this process. Unknown ones are not reported: only scripts pass them.
#[derive(Debug, Clone)]
pub struct Options(Vec<String>);

impl Options {
    /// The arguments of this process.
    pub fn from_arguments() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// Whether this option is given.
    pub fn flag(&self, name: &str) -> bool {
        self.0.iter().any(|argument| argument == name)
    }

    /// The value after this option.
    pub fn value(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|argument| argument == name)?;
        self.0.get(at + 1).map(String::as_str)
    }

    /// The number after this option.
    ///
    /// # Panics
    ///
    /// If it is not a number.
    pub fn number<N: FromStr>(&self, name: &str) -> Option<N> {
        self.value(name).map(|value| value.parse().unwrap_or_else(|_| panic!("`{name}` takes a number, not `{value}`")))
    }

    /// The argument at this position, if it is not an option.
    pub fn positional(&self, at: usize) -> Option<&str> {
        self.0.get(at).map(String::as_str).filter(|argument| !argument.starts_with("--"))
    }
}
