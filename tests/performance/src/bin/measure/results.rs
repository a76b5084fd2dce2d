//! The results: numbers by question, row and column.

use std::fs;

type Entry = (String, String, String, f64);

/// The titles of the results, with their units.
const TITLES: [(&str, &str); 17] = [
    ("instructions", "Instructions per span, all threads"),
    ("breakdown", "Instructions per span of Throughline, by purpose"),
    ("pipeline", "CPU time per span in a separate process, ns, and its bytes on the wire"),
    (
        "layer",
        "Child spans of `#[instrument]` with a layer as the global subscriber: calling thread, ns, and instructions, all threads and calling thread",
    ),
    ("throughput", "Spans per second exported to the collector"),
    ("threads", "Spans per second on one, two and four threads; `scaling` is two threads relative to one"),
    ("memory", "Resident memory per queued span, bytes"),
    (
        "service",
        "An axum service with five spans per request: requests per second, and CPU time per request, ns; `working` computes for about 100 µs",
    ),
    ("requests", "Calling thread, per span of a request of six, ns"),
    ("recorded", "Calling thread, per child span, ns"),
    ("unsampled", "Not sampled, ns"),
    ("no_provider", "No provider, ns"),
    ("biz_tags", "Inherited tags, ns"),
    ("depth", "Nested spans, ns per span"),
    ("tags", "Tags of a span, ns per span"),
    ("tasks", "Live tasks, ns per span"),
    ("allocations", "Allocations per recorded span on the calling thread, and their bytes"),
];

/// All results, in the order in which they were printed.
#[derive(Debug)]
pub(crate) struct Results(Vec<Entry>);

impl Results {
    /// Reads lines of question, row, column and number. Of lines with the same names, the last one counts.
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

/// A number with three significant digits or all integer ones, and commas between thousands.
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
