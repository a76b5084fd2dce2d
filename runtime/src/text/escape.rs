//! The set of characters that are escaped in output, and how.

use std::borrow::Cow;
use std::fmt::{self, Write};

/// Returns `true` if Throughline escapes `c` in output, because it could end the line, control the terminal, change the
/// reading order, or be invisible.
///
/// In terms of Unicode properties, these are
/// - control characters (`Cc`), and the line and paragraph separators (`Zl`, `Zp`),
/// - the marks, embeddings, overrides and isolates of bidirectional text (`Bidi_Control`), as [Trojan Source]
///   and UTS #55 advise,
/// - invisible characters (`Default_Ignorable_Code_Point`), such as zero-width spaces, soft hyphens, fillers and tag
///   characters, which UTS #39 excludes from identifiers.
///
/// Joiners (`Join_Control`) and variation selectors (`Variation_Selector`) are not escaped: Persian, Indic and
/// Mongolian words, Japanese names and emoji need them. Neither are letters that look alike in two scripts: this does
/// not detect whether two texts that look the same are different.
///
/// [Trojan Source]: https://trojansource.codes/
///
/// ```
/// use throughline::text::needs_escape;
///
/// assert!("\n\u{1b}\u{200b}\u{200f}\u{202e}".chars().all(needs_escape));
/// assert!(!"Łódź, שלום, 東京, 👩\u{200d}🚀".contains(needs_escape));
/// ```
#[inline]
pub fn needs_escape(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_control() } else { needs_escape_beyond_ascii(c) }
}

fn needs_escape_beyond_ascii(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fff8}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e00ff}'
                | '\u{e01f0}'..='\u{e0fff}'
        )
}

/// Replaces each character that [needs to be escaped](needs_escape) with U+FFFD.
///
/// For untrusted values that are recorded: unlike with escaping, a search does not have to take escapes into account.
///
/// ```
/// use throughline::text::sanitize;
///
/// assert_eq!(sanitize("acme\r\nINFO all is well".into()), "acme\u{fffd}\u{fffd}INFO all is well");
/// ```
pub fn sanitize(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains(needs_escape) { Cow::Owned(text.replace(needs_escape, "\u{fffd}")) } else { text }
}

/// Escapes each character that needs it. Backslashes are unchanged, so that paths and the output of `Debug` remain
/// readable.
#[cfg(any(feature = "audit", feature = "console", feature = "testing", test))]
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(needs_escape) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    // Writing to a `String` does not fail.
    let _ = Escaper(&mut out).write_str(text);
    Cow::Owned(out)
}

/// Writes text, escaping the characters for which `is_escaped` returns `true`.
pub(super) fn write_escaped(out: &mut dyn Write, text: &str, is_escaped: impl Fn(char) -> bool) -> fmt::Result {
    let mut written = 0;
    for (at, special) in text.match_indices(is_escaped) {
        out.write_str(&text[written..at])?;
        write!(out, "{}", special.escape_default())?;
        written = at + special.len();
    }
    out.write_str(&text[written..])
}

/// A writer that escapes each character of the text it forwards that [needs it](needs_escape).
#[cfg(any(feature = "audit", feature = "console", feature = "log", feature = "testing", test))]
pub(crate) struct Escaper<'a>(pub(crate) &'a mut dyn Write);

#[cfg(any(feature = "audit", feature = "console", feature = "log", feature = "testing", test))]
impl Write for Escaper<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_escaped(self.0, text, needs_escape)
    }
}

#[cfg(feature = "log")]
impl Escaper<'_> {
    /// Writes the first character as an escape, and returns the rest.
    pub(crate) fn escape_first<'t>(&mut self, text: &'t str) -> Result<&'t str, fmt::Error> {
        let mut chars = text.chars();
        if let Some(first) = chars.next() {
            write!(self.0, "{}", first.escape_default())?;
        }
        Ok(chars.as_str())
    }
}

#[cfg(test)]
mod tests {
    use regex_syntax::hir::{Class, HirKind};

    use super::*;

    #[test]
    fn the_set_matches_the_unicode_properties() {
        let properties = r"[[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}]--[\p{Join_Control}\p{Variation_Selector}]]";
        let parsed = regex_syntax::parse(properties).expect("a class");
        let HirKind::Class(Class::Unicode(class)) = parsed.into_kind() else { panic!("not a class") };
        for c in '\0'..=char::MAX {
            let expected = class.ranges().iter().any(|range| (range.start()..=range.end()).contains(&c));
            assert_eq!(needs_escape(c), expected, "{}", c.escape_unicode());
        }
    }

    #[test]
    fn harmless_text_is_unchanged() {
        for text in ["", "plain", r"C:\temp", "żółć 東京 🦀", "שלום", "می\u{200c}خواهم", "❤\u{fe0f}", "\"quoted\" = x"]
        {
            assert!(matches!(escape(text), Cow::Borrowed(same) if same == text), "{text}");
            assert!(matches!(sanitize(text.into()), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn line_breaks_are_escaped() {
        assert_eq!(escape("a\nb\r\nc\u{b}\u{c}\u{85}\u{2028}\u{2029}d"), r"a\nb\r\nc\u{b}\u{c}\u{85}\u{2028}\u{2029}d");
        assert_eq!(escape("\u{1c}\u{1d}\u{1e}"), r"\u{1c}\u{1d}\u{1e}");
    }

    #[test]
    fn terminal_control_sequences_are_escaped() {
        assert_eq!(
            escape("\x1b[2K\x1b]0;title\x07\u{9b}31m\x08\x7f\0\t"),
            r"\u{1b}[2K\u{1b}]0;title\u{7}\u{9b}31m\u{8}\u{7f}\u{0}\t"
        );
    }

    #[test]
    fn bidirectional_controls_are_escaped() {
        assert_eq!(
            escape("user\u{202e}nimda\u{202c} \u{2066}x\u{2069} \u{200e}\u{200f}\u{61c}"),
            r"user\u{202e}nimda\u{202c} \u{2066}x\u{2069} \u{200e}\u{200f}\u{61c}"
        );
    }

    #[test]
    fn invisible_characters_are_escaped() {
        assert_eq!(escape("ac\u{200b}me\u{ad}\u{feff}\u{e0041}"), r"ac\u{200b}me\u{ad}\u{feff}\u{e0041}");
    }

    #[test]
    fn sanitized_text_cannot_forge_lines() {
        assert_eq!(
            sanitize("a\r\nb\u{1b}[2J\u{202e}c\u{2028}\u{200f}".into()),
            "a\u{fffd}\u{fffd}b\u{fffd}[2J\u{fffd}c\u{fffd}\u{fffd}"
        );
        assert_eq!(sanitize("Łódź 東京".into()), "Łódź 東京");
    }
}
