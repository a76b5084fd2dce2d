//! Text that stays on its line.

use std::fmt::{self, Write};

/// Passes text on with everything escaped that could end the line, speak to the terminal, or turn
/// the order of what is read.
///
/// A backslash stays as it is, so that paths and what `Debug` has escaped already remain readable.
pub(super) struct Clean<'a>(pub(super) &'a mut dyn Write);

impl Write for Clean<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_unsafe) {
            self.0.write_str(&rest[..at])?;
            rest = &rest[at..];
            rest = self.escape_first(rest)?;
        }
        self.0.write_str(rest)
    }
}

impl Clean<'_> {
    /// Writes the first character escaped, and gives the rest.
    fn escape_first<'t>(&mut self, text: &'t str) -> Result<&'t str, fmt::Error> {
        let mut chars = text.chars();
        if let Some(first) = chars.next() {
            write!(self.0, "{}", first.escape_default())?;
        }
        Ok(chars.as_str())
    }

    /// As [`Write::write_str`], but what a field formatter colours with passes: bold, dimmed,
    /// italic, and the end of them. None of these hides text or moves the cursor.
    pub(super) fn write_styled(&mut self, text: &str) -> fmt::Result {
        const STYLES: [&str; 4] = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[3m"];
        let mut rest = text;
        while let Some(at) = rest.find('\x1b') {
            self.write_str(&rest[..at])?;
            rest = &rest[at..];
            rest = match STYLES.iter().find_map(|style| rest.strip_prefix(style).map(|after| (style, after))) {
                Some((style, after)) => {
                    self.0.write_str(style)?;
                    after
                }
                None => self.escape_first(rest)?,
            };
        }
        self.write_str(rest)
    }

    /// Writes `text` as one word: in quotes, if it is not one by itself.
    pub(super) fn write_word(&mut self, text: &str) -> fmt::Result {
        let needs_quotes = |c: char| c.is_whitespace() || is_unsafe(c) || matches!(c, '"' | '=' | '\\');
        if !text.is_empty() && !text.contains(needs_quotes) {
            return self.0.write_str(text);
        }
        self.0.write_char('"')?;
        let mut rest = text;
        while let Some(at) = rest.find(['"', '\\']) {
            let (before, from) = rest.split_at(at);
            let (special, after) = from.split_at(1);
            self.write_str(before)?;
            self.0.write_char('\\')?;
            self.0.write_str(special)?;
            rest = after;
        }
        self.write_str(rest)?;
        self.0.write_char('"')
    }
}

/// Control characters (line feeds and escape sequences among them), Unicode's line and paragraph
/// separators, and what overrides the direction of writing.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str) -> String {
        let mut out = String::new();
        Clean(&mut out).write_str(text).expect("a string takes everything");
        out
    }

    fn word(text: &str) -> String {
        let mut out = String::new();
        Clean(&mut out).write_word(text).expect("a string takes everything");
        out
    }

    fn styled(text: &str) -> String {
        let mut out = String::new();
        Clean(&mut out).write_styled(text).expect("a string takes everything");
        out
    }

    #[test]
    fn what_is_harmless_stays_as_it_is() {
        for text in ["", "plain", r"C:\temp", "żółć 東京 🦀", "שלום\u{200f}", "\"quoted\" = x"] {
            assert_eq!(clean(text), text);
        }
    }

    #[test]
    fn what_ends_a_line_is_escaped() {
        assert_eq!(clean("a\nb\r\nc\u{b}\u{c}\u{85}\u{2028}\u{2029}d"), r"a\nb\r\nc\u{b}\u{c}\u{85}\u{2028}\u{2029}d");
        assert_eq!(clean("\u{1c}\u{1d}\u{1e}"), r"\u{1c}\u{1d}\u{1e}");
    }

    #[test]
    fn what_speaks_to_a_terminal_is_escaped() {
        assert_eq!(
            clean("\x1b[2K\x1b]0;title\x07\u{9b}31m\x08\x7f\0\t"),
            r"\u{1b}[2K\u{1b}]0;title\u{7}\u{9b}31m\u{8}\u{7f}\u{0}\t"
        );
    }

    #[test]
    fn what_turns_the_order_of_reading_is_escaped() {
        assert_eq!(
            clean("user\u{202e}nimda\u{202c} \u{2066}x\u{2069}"),
            r"user\u{202e}nimda\u{202c} \u{2066}x\u{2069}"
        );
    }

    #[test]
    fn a_word_is_quoted_when_it_is_not_one() {
        for plain in ["acme", "7", "a/b:c,d", "東京", "{}"] {
            assert_eq!(word(plain), plain);
        }
        assert_eq!(word(""), r#""""#);
        assert_eq!(word("two words"), r#""two words""#);
        assert_eq!(word("x span_id=0"), r#""x span_id=0""#);
        assert_eq!(word("no\u{a0}break"), "\"no\u{a0}break\"");
        assert_eq!(word(r#"say "hi" \"#), r#""say \"hi\" \\""#);
        assert_eq!(word("a\nb"), r#""a\nb""#);
    }

    #[test]
    fn only_the_styles_of_field_formatters_pass() {
        assert_eq!(styled("\x1b[3mkey\x1b[0m\x1b[2m=\x1b[0mvalue"), "\x1b[3mkey\x1b[0m\x1b[2m=\x1b[0mvalue");
        assert_eq!(styled("\x1b[8mhidden\x1b[1A\x1b[31m\x1b"), r"\u{1b}[8mhidden\u{1b}[1A\u{1b}[31m\u{1b}");
        assert_eq!(styled("a\n\x1b[2mb\r"), "a\\n\x1b[2mb\\r");
    }
}
