//! Diagnostics of the compiler and clippy, and the differences between two lists of them.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// A diagnostic, identified by its code and its line. The column changes with the attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// The lint or the error's code.
    pub code: String,
    /// The file, as cargo names it.
    pub file: String,
    /// The first line.
    pub line: u64,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}:{}", self.code, self.file, self.line)
    }
}

/// Diagnostics, each with its count and its text.
#[derive(Debug, Default)]
pub struct Diagnostics(BTreeMap<Diagnostic, (usize, String)>);

impl Diagnostics {
    /// Reads cargo's `--message-format=json`.
    #[must_use]
    pub fn read(output: &str) -> Self {
        Self::read_of(output, |_| true)
    }

    /// Like [`read`](Self::read), for the files for which `of` returns `true`.
    #[must_use]
    pub fn read_of(output: &str, of: impl Fn(&str) -> bool) -> Self {
        let mut all = Self::default();
        for message in output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            if message["reason"] != "compiler-message" {
                continue;
            }
            let message = &message["message"];
            let code = message["code"]["code"].as_str().unwrap_or("error");
            let spans = message["spans"].as_array().map_or(&[][..], Vec::as_slice);
            let Some(span) = spans.iter().find(|span| span["is_primary"] == true) else { continue };
            if !of(span["file_name"].as_str().unwrap_or_default()) {
                continue;
            }
            let diagnostic = Diagnostic {
                code: code.to_owned(),
                file: span["file_name"].as_str().unwrap_or_default().to_owned(),
                line: span["line_start"].as_u64().unwrap_or_default(),
            };
            let text = message["rendered"].as_str().unwrap_or_default().to_owned();
            all.0.entry(diagnostic).or_insert((0, text)).0 += 1;
        }
        all
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.values().map(|(times, _)| times).sum()
    }

    /// The diagnostics that occur more often in `self` than in `other`, with their texts.
    pub fn beyond<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a Diagnostic, &'a str)> {
        self.0.iter().filter_map(|(diagnostic, (times, text))| {
            let there = other.0.get(diagnostic).map_or(0, |(times, _)| *times);
            (*times > there).then_some((diagnostic, text.as_str()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(code: &str, line: u64) -> String {
        format!(
            r#"{{"reason":"compiler-message","message":{{"code":{{"code":"{code}"}},"rendered":"text","spans":[{{"is_primary":true,"file_name":"src/lib.rs","line_start":{line}}}]}}}}"#
        )
    }

    #[test]
    fn added_and_missing_diagnostics_are_found() {
        let plain = Diagnostics::read(&[message("a", 1), message("b", 2), message("b", 2)].join("\n"));
        let other = Diagnostics::read(&[message("b", 2), message("c", 3), "no json".into()].join("\n"));
        let names = |list: &Diagnostics, of: &Diagnostics| {
            list.beyond(of).map(|(diagnostic, _)| diagnostic.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(&plain, &other), ["a at src/lib.rs:1", "b at src/lib.rs:2"]);
        assert_eq!(names(&other, &plain), ["c at src/lib.rs:3"]);
        assert_eq!(plain.count(), 3);
    }
}
