//! Two texts next to each other, with the lines that differ marked.

use std::fmt::Write as _;

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Texts that are wider than this together are drawn one below the other.
const MAX_WIDTH: usize = 160;

/// The lines of `expected` on the left and those of `actual` on the right. Between them is `|` where a line differs,
/// `<` where it is missing on the right, and `>` where it was not expected.
///
/// There are no colours: a message of a panic is kept by the test harness, and does not know where it will be shown.
pub(super) fn side_by_side(expected: &str, actual: &str) -> String {
    let width = |text: &str| text.lines().map(columns).max().unwrap_or_default();
    let left = width(expected).max("expected".len());
    if left + width(actual) + "  | ".len() > MAX_WIDTH {
        return one_below_the_other(expected, actual);
    }
    let mut out = String::new();
    line(&mut out, left, "expected", ' ', "actual");
    line(&mut out, left, &"─".repeat(left), '┼', &"─".repeat(width(actual).max("actual".len())));
    for (expected, mark, actual) in rows(expected, actual) {
        line(&mut out, left, expected, mark, actual);
    }
    out
}

/// Lines of both texts, each with its mark: of lines that differ, the first ones belong together.
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

fn one_below_the_other(expected: &str, actual: &str) -> String {
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

/// How wide a line is, where every character takes one column: wide ones shift the rest of their line, no more.
fn columns(line: &str) -> usize {
    line.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_belong_together_stand_next_to_each_other() {
        let expected = "order\n├── load\n├── charge\n│   └── POST\n└── receipt";
        let actual = "order\n├── charge !error: declined\n│   ├── POST\n│   └── POST\n└── receipt\n    └── SMTP";
        assert_eq!(
            side_by_side(expected, actual),
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
    fn what_one_side_has_alone_is_marked() {
        assert_eq!(side_by_side("a\nb", "a"), "expected   actual\n─────────┼───────\na          a\nb        <\n");
        assert_eq!(side_by_side("", "a"), "expected   actual\n─────────┼───────\n         > a\n");
    }

    #[test]
    fn wide_texts_stand_below_each_other() {
        let wide = "x".repeat(MAX_WIDTH);
        assert_eq!(
            side_by_side("a\nb", &format!("a\n{wide}")),
            format!("- expected\n+ actual\n\n  a\n- b\n+ {wide}\n")
        );
    }
}
