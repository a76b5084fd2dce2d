//! Text truncated for one line of output. Limits count characters, not bytes.

#[cfg(any(feature = "console", feature = "otlp", test))]
use std::borrow::Cow;

#[cfg(any(feature = "console", feature = "otlp", test))]
use super::escape::escape;

/// The first `max` characters of `text`.
pub(crate) fn truncate_chars(text: &str, max: usize) -> &str {
    // A character has at least one byte.
    if text.len() <= max {
        return text;
    }
    text.char_indices().nth(max).map_or(text, |(end, _)| &text[..end])
}

/// `text` for a one-line message: escaped, and truncated to `max` characters.
#[cfg(any(feature = "console", feature = "otlp", test))]
pub(crate) fn excerpt(text: &str, max: usize) -> Cow<'_, str> {
    let kept = truncate_chars(text, max);
    let escaped = escape(kept);
    if kept.len() == text.len() { escaped } else { Cow::Owned(format!("{escaped}…")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_count_characters() {
        for (max, kept) in [(0, ""), (1, "é"), (2, "é東"), (3, "é東🦀"), (4, "é東🦀")] {
            assert_eq!(truncate_chars("é東🦀", max), kept, "{max}");
        }
        assert_eq!(excerpt("a\nb", 2), "a\\n…");
        assert_eq!(excerpt("a\nb", 3), "a\\nb");
    }
}
