//! Formats numbers, names and prose for the page.

use std::sync::Arc;

use maud::{Markup, html};

use crate::SpanKind;
use crate::audit::{displayed, plural_ending};

/// A count with thousands separators.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count followed by its noun.
pub(super) fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), plural_ending(number))
}

/// Formats a time in nanoseconds with three significant digits.
pub(super) fn time(nanos: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let nanos = nanos as f64;
    let (value, unit) = match nanos {
        0.0..1e3 => return format!("{nanos} ns"),
        // A value that would be rounded to 1000 is in the next unit.
        1e3..999.5e3 => (nanos / 1e3, "µs"),
        999.5e3..999.5e6 => (nanos / 1e6, "ms"),
        _ => (nanos / 1e9, "s"),
    };
    match value {
        99.95.. => format!("{value:.0} {unit}"),
        9.995.. => format!("{value:.1} {unit}"),
        _ => format!("{value:.2} {unit}"),
    }
}

/// The name of a service, an entry point or a span, or a placeholder if it is empty.
pub(super) fn name(name: &Arc<str>) -> Markup {
    html! {
        @if name.is_empty() { span.none { "(none)" } } @else { (displayed(name)) }
    }
}

/// The kind of a span in lower case; empty for an internal one.
pub(super) fn kind(kind: &SpanKind) -> &'static str {
    match kind {
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
        SpanKind::Internal => "",
    }
}

/// Formats our own text, with backticks around code.
pub(super) fn prose(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_or_have_separators() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1, 1000].map(|number| counted(number, "span")), ["0 spans", "1 span", "1,000 spans"]);
        assert_eq!([7, 1500, 30_500_000, 250_000_000].map(time), ["7 ns", "1.50 µs", "30.5 ms", "250 ms"]);
        assert_eq!(time(61_000_000_000), "61.0 s");
        assert_eq!([999_499, 999_500, 999_499_999, 999_500_000].map(time), ["999 µs", "1.00 ms", "999 ms", "1.00 s"]);
        assert_eq!([9_994, 9_996, 99_949, 99_951].map(time), ["9.99 µs", "10.0 µs", "99.9 µs", "100 µs"]);
    }

    #[test]
    fn code_in_prose_is_marked_and_escaped() {
        assert_eq!(prose("a `Vec<u8>` <b>").into_string(), "a <code>Vec&lt;u8&gt;</code> &lt;b&gt;");
    }
}
