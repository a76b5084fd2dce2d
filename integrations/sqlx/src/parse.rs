//! What a span records about the text of a statement.
//!
//! What is a literal depends on session settings (`NO_BACKSLASH_ESCAPES`, `ANSI_QUOTES`) that are unknown to the
//! client. So a text is parsed with the default settings, then with the other ones, and is only recorded if the result
//! is the same.

use super::lexer::{Dialect, Source, Token};
use super::summary;
use super::text::Text;

/// The attributes of a statement.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// The statement with `?` for each literal, without comments; `None` if it is uncertain what a literal is.
    pub(super) text: Option<String>,
    /// Operations and tables: `SELECT orders`.
    pub(super) summary: Option<String>,
}

impl Statement {
    pub(super) fn of(sql: &str) -> Self {
        let source = Source::new(sql);
        let Some(this) = Self::read(source, Dialect::DEFAULT) else { return Self::refused(sql) };
        let certain = Dialect::others(source.sql).iter().all(|&dialect| match Self::read(source, dialect) {
            Some(other) => other == this,
            // No server parses it in this way, unless the rejected string ends after the part that was read.
            None => !source.truncated,
        });
        if certain { this } else { Self::refused(sql) }
    }

    /// `None` if the text is not understood.
    fn read(source: Source<'_>, dialect: Dialect) -> Option<Self> {
        let mut text = Text::default();
        let mut tokens = source.tokens(dialect);
        let written = tokens.by_ref().inspect(|token| text.push(*token));
        let summary = summary::of(written.filter(|token| *token != Token::Space));
        if tokens.refused() {
            return None;
        }
        Some(Self { text: Some(text.finish(source.truncated)), summary })
    }

    /// A text that is not understood is recorded as its first word, if that is one of the known operations.
    fn refused(sql: &str) -> Self {
        let first = sql.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        Self { text: None, summary: summary::is_operation(first).then(|| first.to_owned()) }
    }
}
