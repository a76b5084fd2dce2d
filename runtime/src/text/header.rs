//! Header values that are not valid UTF-8.

/// A substitute for a header value that is not valid UTF-8: U+FFFD, which no trace context format allows.
///
/// The header is then treated as invalid. If it were treated as absent, another header with the same name, or another
/// format, would be used instead.
pub const NOT_TEXT: &str = "\u{fffd}";

/// Returns the value of a header, which may be any bytes, as text for a propagator: [`NOT_TEXT`] if it is not valid
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
