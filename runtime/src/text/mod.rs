//! Bound and sanitize text from outside: for integrations, and for code that shows what it did not write.
//!
//! What a span records may come from a caller. Three things are to be done with it before it is recorded or
//! shown: bound its length ([`truncate`]), take out what could forge a line or hide something
//! ([`sanitize`], [`needs_escape`]), and tell bytes that are not text from a header that is absent
//! ([`header_value`]). Tags are bounded by themselves, and the console and log formatters of this crate escape
//! whatever they print.

mod escape;
pub(crate) mod hex;
mod quote;

use std::borrow::Cow;

#[cfg(feature = "log")]
pub(crate) use self::escape::Escaper;
#[cfg(any(feature = "console", feature = "testing"))]
pub(crate) use self::escape::escape;
pub use self::escape::{needs_escape, sanitize};
pub(crate) use self::quote::{QuotedValue, Word};

/// The longest prefix of `text` that has at most `max` bytes and ends between two characters.
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
    // `str::floor_char_boundary` needs Rust 1.91. A character has four bytes at most.
    let end = (0..=max).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    &text[..end]
}

/// `text`, or as much of it as [`truncate`] leaves, followed by `…`.
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

/// The first `max` characters of `text`, where a limit counts characters and not bytes.
#[cfg(any(feature = "console", feature = "otlp"))]
pub(crate) fn truncate_chars(text: &str, max: usize) -> &str {
    // No character is shorter than a byte.
    if text.len() <= max {
        return text;
    }
    text.char_indices().nth(max).map_or(text, |(end, _)| &text[..end])
}

/// `text` for a message of one line: escaped, and at most its first `max` characters.
#[cfg(any(feature = "console", feature = "otlp"))]
pub(crate) fn excerpt(text: &str, max: usize) -> Cow<'_, str> {
    let kept = truncate_chars(text, max);
    let escaped = self::escape::escape(kept);
    if kept.len() == text.len() { escaped } else { Cow::Owned(format!("{escaped}…")) }
}

/// What stands for the value of a header that is not text: U+FFFD, which no format of trace context allows. The
/// header counts as invalid, and not as absent, which would let a second header of that name, or another format,
/// have its say.
pub const NOT_TEXT: &str = "\u{fffd}";

/// The value of a header, which may be any bytes, as the text that a propagator reads: [`NOT_TEXT`] if it is not
/// UTF-8.
///
/// ```
/// use throughline::text::header_value;
///
/// assert_eq!(header_value(b"acme"), "acme");
/// assert_eq!(header_value(b"acme\xff"), "\u{fffd}");
/// ```
pub fn header_value(value: &[u8]) -> &str {
    std::str::from_utf8(value).unwrap_or(NOT_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        for (max, kept) in [(0, ""), (1, ""), (2, "é"), (3, "é"), (4, "é"), (5, "é東"), (8, "é東"), (9, "é東🦀")]
        {
            assert_eq!(truncate("é東🦀", max), kept, "{max}");
        }
        assert_eq!(ellipsize("é東🦀", 4), "é…");
        assert_eq!(ellipsize("é東🦀", 8), "é東…");
        assert_eq!(ellipsize("é東🦀", 9), "é東🦀");
    }

    #[cfg(any(feature = "console", feature = "otlp"))]
    #[test]
    fn a_limit_may_count_characters() {
        for (max, kept) in [(0, ""), (1, "é"), (2, "é東"), (3, "é東🦀"), (4, "é東🦀")] {
            assert_eq!(truncate_chars("é東🦀", max), kept, "{max}");
        }
        assert_eq!(excerpt("a\nb", 2), "a\\n…");
        assert_eq!(excerpt("a\nb", 3), "a\\nb");
    }
}
