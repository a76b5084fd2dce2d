//! The results: numbers by question, row and column.

use std::fs;

type Entry = (String, String, String, f64);

/// What the questions ask, with the unit of the answers.
const TITLES: [(&str, &str); 16] = [
    ("instructions", "Instructions for each span, all threads"),
    ("breakdown", "Instructions for each span of ours, by what they are for"),
    ("pipeline", "Processor time for each span in a program of its own, ns, and its bytes on the wire"),
    ("throughput", "Spans a second through to the collector"),
    ("threads", "Spans a second on one thread, two and four; `scaling` is two of one"),
    ("memory", "Resident memory for each span that waits, bytes"),
    (
        "service",
        "An axum service with five spans a request: requests a second, and processor time of each, ns; `working` computes some 100 µs",
    ),
    ("requests", "Calling thread, a span of a request of six, ns"),
    ("recorded", "Calling thread, a span below an open one, ns"),
    ("unsampled", "Not sampled, ns"),
    ("no_provider", "Nothing set up, ns"),
    ("biz_tags", "Inherited tags, ns"),
    ("depth", "Nested spans, ns a span"),
    ("tags", "Tags of a span, ns a span"),
    ("tasks", "Live tasks, ns a span"),
    ("allocations", "Allocations of a recorded span on the calling thread, and their bytes"),
];

/// All results, in the order in which they were printed.
#[derive(Debug)]
pub(crate) struct Results(Vec<Entry>);

impl Results {
    /// Reads lines of question, row, column and number; of two with the same names the last counts.
    pub(crate) fn read(path: &str) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut results = Self(Vec::new());
        for line in text.lines() {
            let mut fields = line.split('\t').map(str::to_owned);
            let (Some(question), Some(row), Some(column), Some(number)) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let Ok(number) = number.parse() else { continue };
            results.0.retain(|(q, r, c, _)| (q, r, c) != (&question, &row, &column));
            results.0.push((question, row, column, number));
        }
        results
    }

    pub(crate) fn get(&self, question: &str, row: &str, column: &str) -> Option<f64> {
        self.0.iter().find(|(q, r, c, _)| (q.as_str(), r.as_str(), c.as_str()) == (question, row, column)).map(|r| r.3)
    }

    /// The values of one field of the results of a question, each once.
    fn distinct(&self, question: &str, field: fn(&Entry) -> &str) -> Vec<&str> {
        let mut distinct = Vec::new();
        for name in self.0.iter().filter(|result| result.0 == question).map(field) {
            if !distinct.contains(&name) {
                distinct.push(name);
            }
        }
        distinct
    }

    pub(crate) fn rows(&self, question: &str) -> Vec<&str> {
        self.distinct(question, |result| &result.1)
    }

    pub(crate) fn columns(&self, question: &str) -> Vec<&str> {
        self.distinct(question, |result| &result.2)
    }

    /// Prints a heading and a Markdown table for each question.
    pub(crate) fn print(&self) {
        let mut questions: Vec<&str> = Vec::new();
        for (question, ..) in &self.0 {
            if !questions.contains(&question.as_str()) {
                questions.push(question);
            }
        }
        for question in questions {
            let title = TITLES.iter().find(|(known, _)| *known == question).map_or(question, |(_, title)| title);
            println!("\n### {title}\n");
            let columns = self.columns(question);
            println!("| | {} |", columns.join(" | "));
            println!("|---|{}", "---:|".repeat(columns.len()));
            for row in self.rows(question) {
                let numbers: Vec<String> = columns
                    .iter()
                    .map(|column| self.get(question, row, column).map_or_else(String::new, shown))
                    .collect();
                println!("| {row} | {} |", numbers.join(" | "));
            }
        }
    }
}

/// A number with as many digits as say something, and commas between thousands.
pub(crate) fn shown(number: f64) -> String {
    if number.abs() < 10.0 {
        return format!("{number:.2}");
    }
    if number.abs() < 100.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 && !shown.ends_with('-') {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}
