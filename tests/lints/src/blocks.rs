//! Whole `impl` blocks, and traits.

use std::fmt::{self, Display};

use async_trait::async_trait;
use throughline::{biz_tags, traced};

/// A store.
#[derive(Debug, Default, Clone, Copy)]
pub struct Store(u64);

#[traced(tags(store = self.0))]
impl Store {
    /// Reads.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.0
    }

    /// Writes.
    ///
    /// # Errors
    ///
    /// Never.
    #[biz_tags(number)]
    pub async fn write(&mut self, number: u64) -> Result<u64, String> {
        self.0 = number;
        Ok(number)
    }

    /// Named.
    #[traced("store.clear", kind = client)]
    pub fn clear(&mut self) {
        self.0 = 0;
    }
}

/// What is borrowed elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct View<'a>(pub &'a str, pub u64);

impl<'a> View<'a> {
    /// Assigns what nobody reads.
    #[traced]
    #[must_use]
    pub fn text(mut self) -> &'a str {
        let text = self.0;
        self.1 = 0;
        text
    }

    /// The same.
    #[traced]
    pub async fn text_later(mut self) -> &'a str {
        let text = self.0;
        self.1 = 0;
        text
    }
}

/// Makes stores.
#[derive(Debug, Clone, Copy)]
pub struct Maker;

#[traced]
impl Maker {
    /// How many at once.
    pub const COUNT: u64 = 2;

    /// Left out.
    #[traced(skip)]
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    /// Makes one.
    #[must_use]
    pub fn make(&self) -> Store {
        Store(Self::COUNT)
    }
}

impl Default for Maker {
    fn default() -> Self {
        Self::new()
    }
}

#[traced]
impl Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A queue.
#[async_trait]
pub trait Queue: Sync {
    /// Sends.
    async fn send(&self, message: String) -> Result<(), String>;

    /// Sends twice.
    #[traced]
    async fn send_twice(&self, message: String) -> Result<(), String> {
        self.send(message.clone()).await?;
        self.send(message).await
    }
}

#[async_trait]
impl Queue for Store {
    #[traced]
    async fn send(&self, message: String) -> Result<(), String> {
        if message.is_empty() { Err(message) } else { Ok(()) }
    }
}

#[traced]
#[async_trait]
impl Queue for Maker {
    async fn send(&self, message: String) -> Result<(), String> {
        if message.is_empty() { Err(message) } else { Ok(()) }
    }
}

/// With a body of its own.
pub trait Greeter {
    /// The name.
    fn name(&self) -> String;

    /// Greets.
    #[traced]
    fn greet(&self, greeting: &str) -> String {
        format!("{greeting} {}", self.name())
    }
}
