//! Shows two texts side by side, and marks the lines that differ.

use std::fmt::Write as _;
use std::{env, io};

use similar::{Algorithm, DiffOp, capture_diff_slices};
use terminal_size::{Width, terminal_size_of};

/// The default width, for example in the log of a CI server.
const DEFAULT_WIDTH: usize = 120;

/// The available width for a message: `COLUMNS`, or the width of the terminal on standard error, or the default.
pub(super) fn available_width() -> usize {
    width(env::var("COLUMNS").ok().as_deref(), terminal_size_of(io::stderr()).map(|(Width(columns), _)| columns))
}

/// The first of the two that is a positive number, or the default.
fn width(variable: Option<&str>, terminal: Option<u16>) -> usize {
    let variable = variable.and_then(|columns| columns.trim().parse().ok());
    let numbers = [variable, terminal.map(usize::from)];
    numbers.into_iter().flatten().find(|columns| *columns > 0).unwrap_or(DEFAULT_WIDTH)
}

/// Shows the lines of `expected` on the left and those of `actual` on the right. Between them is `|` where a line
/// differs, `<` where it is missing on the right, and `>` where it was not expected. Texts that do not fit into `width`
/// columns are shown as a diff instead.
///
/// There are no colours, because the test harness captures the panic message, and may not print it to a terminal.
pub(super) fn side_by_side(expected: &str, actual: &str, width: usize) -> String {
    let widest = |text: &str, head: &str| text.lines().map(columns).max().unwrap_or_default().max(head.len());
    let (left, right) = (widest(expected, "expected"), widest(actual, "actual"));
    if left + " | ".len() + right > width {
        return diff(expected, actual);
    }
    let mut out = String::new();
    line(&mut out, left, "expected", ' ', "actual");
    line(&mut out, left, &"─".repeat(left), '┼', &"─".repeat(right));
    for (expected, mark, actual) in rows(expected, actual) {
        line(&mut out, left, expected, mark, actual);
    }
    out
}

/// The lines of both texts, aligned, with their marks. Within a replaced section, lines are paired from its start.
fn rows<'a>(expected: &'a str, actual: &'a str) -> Vec<(&'a str, char, &'a str)> {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), actual.lines().collect());
    let mut rows = Vec::new();
    for op in capture_diff_slices(Algorithm::Patience, &old, &new) {
        let (left, right) = (&old[op.old_range()], &new[op.new_range()]);
        for at in 0..left.len().max(right.len()) {
            rows.push(match (left.get(at), right.get(at)) {
                (Some(left), Some(right)) => {
                    (*left, if matches!(op, DiffOp::Equal { .. }) { ' ' } else { '|' }, *right)
                }
                (left, right) => {
                    let mark = if left.is_some() { '<' } else { '>' };
                    (left.copied().unwrap_or_default(), mark, right.copied().unwrap_or_default())
                }
            });
        }
    }
    rows
}

fn line(out: &mut String, width: usize, left: &str, mark: char, right: &str) {
    let start = out.len();
    out.push_str(left);
    let filler = if mark == '┼' { '─' } else { ' ' };
    out.extend(std::iter::repeat_n(' ', width - columns(left)));
    // Writing to a `String` does not fail.
    let _ = write!(out, "{filler}{mark}{filler}{right}");
    out.truncate(start + out[start..].trim_end().len());
    out.push('\n');
}

fn diff(expected: &str, actual: &str) -> String {
    let mut out = String::from("- expected\n+ actual\n\n");
    for (expected, mark, actual) in rows(expected, actual) {
        // Writing to a `String` does not fail.
        let _ = match mark {
            ' ' => writeln!(out, "  {expected}"),
            '<' => writeln!(out, "- {expected}"),
            '>' => writeln!(out, "+ {actual}"),
            _ => writeln!(out, "- {expected}\n+ {actual}"),
        };
    }
    out
}

/// The width of a line in columns. Every character counts as one, so a wide one shifts the rest of its line.
fn columns(line: &str) -> usize {
    line.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corresponding_lines_are_aligned() {
        let expected = "order\n├── load\n├── charge\n│   └── POST\n└── receipt";
        let actual = "order\n├── charge !error: declined\n│   ├── POST\n│   └── POST\n└── receipt\n    └── SMTP";
        assert_eq!(
            side_by_side(expected, actual, 80),
            "\
expected       actual
─────────────┼────────────────────────────
order          order
├── load     | ├── charge !error: declined
├── charge   | │   ├── POST
│   └── POST   │   └── POST
└── receipt    └── receipt
             >     └── SMTP
"
        );
    }

    #[test]
    fn lines_on_one_side_only_are_marked() {
        assert_eq!(side_by_side("a\nb", "a", 80), "expected   actual\n─────────┼───────\na          a\nb        <\n");
        assert_eq!(side_by_side("", "a", 80), "expected   actual\n─────────┼───────\n         > a\n");
    }

    #[test]
    fn texts_that_do_not_fit_are_shown_as_a_diff() {
        // Eight columns for the heading, three for the mark, and ten for the longest line.
        let (expected, actual) = ("a\nb", "a\n0123456789");
        let fits = side_by_side(expected, actual, 21);
        assert_eq!(fits, "expected   actual\n─────────┼───────────\na          a\nb        | 0123456789\n");
        assert_eq!(fits.lines().map(columns).max(), Some(21));
        assert_eq!(side_by_side(expected, actual, 20), "- expected\n+ actual\n\n  a\n- b\n+ 0123456789\n");
        // The headings must fit, too.
        assert_eq!(side_by_side("", "a", 16), "- expected\n+ actual\n\n+ a\n");
    }

    #[test]
    fn the_width_is_taken_from_the_variable_or_the_terminal() {
        assert_eq!(width(Some("72"), Some(90)), 72);
        assert_eq!(width(Some(" 72\n"), None), 72);
        assert_eq!(width(None, Some(90)), 90);
        for useless in ["", "0", "-1", "wide", "99999999999999999999999"] {
            assert_eq!(width(Some(useless), Some(90)), 90, "{useless:?}");
            assert_eq!(width(Some(useless), Some(0)), DEFAULT_WIDTH, "{useless:?}");
        }
        assert_eq!(width(None, None), DEFAULT_WIDTH);
    }
}
