//! Escapes text that contains the styles of field formatters.

use std::fmt::{self, Write};

use crate::text::Escaper;

/// The styles that field formatters use: plain, bold, dimmed, italic. None of these hides text or moves the cursor.
const STYLES: [&str; 4] = ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[3m"];

/// Writes `text`, escaping everything that needs it except for [`STYLES`].
pub(super) fn write_styled(out: &mut dyn Write, text: &str) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        Escaper(out).write_str(&rest[..at])?;
        rest = &rest[at..];
        rest = match STYLES.iter().find_map(|style| rest.strip_prefix(style).map(|after| (style, after))) {
            Some((style, after)) => {
                out.write_str(style)?;
                after
            }
            None => Escaper(out).escape_first(rest)?,
        };
    }
    Escaper(out).write_str(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn styled(text: &str) -> String {
        let mut out = String::new();
        write_styled(&mut out, text).expect("writing to a string cannot fail");
        out
    }

    #[test]
    fn only_the_styles_of_field_formatters_pass() {
        assert_eq!(styled("\x1b[3mkey\x1b[0m\x1b[2m=\x1b[0mvalue"), "\x1b[3mkey\x1b[0m\x1b[2m=\x1b[0mvalue");
        assert_eq!(styled("\x1b[8mhidden\x1b[1A\x1b[31m\x1b"), r"\u{1b}[8mhidden\u{1b}[1A\u{1b}[31m\u{1b}");
        assert_eq!(styled("a\n\x1b[2mb\r"), "a\\n\x1b[2mb\\r");
    }
}
