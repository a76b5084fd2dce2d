//! Truncates and sanitizes untrusted text, for integrations and for code that prints such text.
//!
//! Much of what a span records comes from a caller. Before such text is recorded or printed, its length has to be
//! limited ([`truncate`]), and characters that could forge a line or hide text have to be replaced ([`sanitize`],
//! [`needs_escape`]). A header whose bytes are not valid UTF-8 must not be mistaken for one that is absent
//! (`header_value`). Tags are truncated automatically, and the console and log formatters of this crate escape what
//! they print.

mod escape;
#[cfg(feature = "sdk")]
mod excerpt;
#[cfg(feature = "integration")]
mod header;
#[cfg(feature = "integration")]
pub(crate) mod hex;
mod quote;

use std::borrow::Cow;

#[cfg(feature = "log")]
pub(crate) use self::escape::Escaper;
#[cfg(any(feature = "audit", feature = "console", feature = "testing"))]
pub(crate) use self::escape::escape;
pub use self::escape::{needs_escape, sanitize};
#[cfg(any(feature = "console", feature = "otlp"))]
pub(crate) use self::excerpt::excerpt;
#[cfg(feature = "sdk")]
pub(crate) use self::excerpt::truncate_chars;
#[cfg(feature = "integration")]
pub use self::header::{NOT_TEXT, header_value};
pub(crate) use self::quote::{QuotedValue, Word};

/// Returns the longest prefix of `text` that has at most `max` bytes and ends at a character boundary.
///
/// ```
/// use throughline::text::truncate;
///
/// assert_eq!(truncate("naïve", 3), "na");
/// assert_eq!(truncate("naïve", 4), "naï");
/// assert_eq!(truncate("naïve", 100), "naïve");
/// ```
#[inline]
pub fn truncate(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    // `str::floor_char_boundary` requires Rust 1.91. This takes at most four steps.
    let end = (0..=max).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[..end]
}

/// Returns `text`, or its [truncated](truncate) prefix followed by `…`.
///
/// ```
/// use throughline::text::ellipsize;
///
/// assert_eq!(ellipsize("SELECT name FROM users", 11), "SELECT name…");
/// assert_eq!(ellipsize("SELECT 1", 11), "SELECT 1");
/// ```
#[inline]
pub fn ellipsize(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max { Cow::Borrowed(text) } else { Cow::Owned(format!("{}…", truncate(text, max))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_truncated_between_characters() {
        for (max, kept) in [(0, ""), (1, ""), (2, "é"), (3, "é"), (4, "é"), (5, "é東"), (8, "é東"), (9, "é東🦀")]
        {
            assert_eq!(truncate("é東🦀", max), kept, "{max}");
        }
        assert_eq!(ellipsize("é東🦀", 4), "é…");
        assert_eq!(ellipsize("é東🦀", 8), "é東…");
        assert_eq!(ellipsize("é東🦀", 9), "é東🦀");
    }
}
