//! Compares results with `bounds.txt`, which describes its format.

use std::fs;

use crate::results::{Results, shown};

/// Prints a table of goals and limits, and returns whether every limit is kept. Questions without results are skipped.
/// A question with results must have all figures in the bounds: otherwise, a changed name would disable a limit.
pub(crate) fn check(results: &Results, path: &str) -> bool {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut passed = true;
    println!("| what | figure | against | ratio | goal | | limit | |");
    println!("|---|---:|---:|---:|---:|---|---:|---|");
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [question, row, column, against, comparison, goal, limit, what @ ..] = fields.as_slice() else {
            panic!("{path}: not seven fields and a text: {line}");
        };
        if results.rows(question).is_empty() {
            continue;
        }
        let measured = |column: &str| {
            let figure = results.get(question, row, column);
            figure.unwrap_or_else(|| panic!("{path}: `{question}` was measured, but not `{row}` of `{column}`"))
        };
        let figure = measured(column);
        let other = (*against != "-").then(|| measured(against));
        let value = other.map_or(figure, |other| figure / other);
        let (goal, goal_reached) = compared(value, comparison, goal);
        let (limit, within_limit) = compared(value, comparison, limit);
        passed &= within_limit != Some(false);
        println!(
            "| {} | {} | {} | {} | {goal} | {} | {limit} | {} |",
            what.join(" "),
            shown(figure),
            other.map(|other| format!("{against}: {}", shown(other))).unwrap_or_default(),
            other.map(|_| format!("{value:.4}")).unwrap_or_default(),
            word(goal_reached, "reached", "missed"),
            word(within_limit, "kept", "EXCEEDED"),
        );
    }
    passed
}

fn word(is: Option<bool>, yes: &'static str, no: &'static str) -> &'static str {
    is.map_or("", |is| if is { yes } else { no })
}

/// The bound as it is printed, and whether it is kept.
fn compared(value: f64, comparison: &str, bound: &str) -> (String, Option<bool>) {
    if bound == "-" {
        return (String::new(), None);
    }
    let number: f64 = bound.parse().unwrap_or_else(|_| panic!("`{bound}` is neither a number nor `-`"));
    match comparison {
        "<=" => (format!("≤ {bound}"), Some(value <= number)),
        ">=" => (format!("≥ {bound}"), Some(value >= number)),
        _ => panic!("`{comparison}` is neither `<=` nor `>=`"),
    }
}
