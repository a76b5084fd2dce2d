//! Runs cargo, and parses the results of a crate's tests.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// A cargo command for the package in `folder`, without colours.
#[must_use]
pub fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Variables that an outer cargo has set for this program must not be inherited.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR")
    {
        cargo.env_remove(name);
    }
    cargo.current_dir(folder).env("CARGO_TERM_COLOR", "never").stdin(Stdio::null());
    cargo
}

/// Runs the command, and returns its output, even if it fails.
///
/// # Errors
///
/// If it does not start.
pub fn output(command: &mut Command) -> Result<Output, Box<dyn Error>> {
    command.output().map_err(|error| format!("{command:?} does not start: {error}").into())
}

/// The tests of a crate by their names, each with its results.
#[derive(Debug, Default, PartialEq)]
pub struct Results(BTreeMap<String, Vec<String>>);

impl Results {
    /// Reads the lines `test NAME ... RESULT`.
    #[must_use]
    pub fn read(output: &str) -> Self {
        let mut all = Self::default();
        for line in output.lines() {
            let Some((name, result)) = line.strip_prefix("test ").and_then(|line| line.rsplit_once(" ... ")) else {
                continue;
            };
            // `ok (12 ms)`, `ignored, too slow`
            let result = result.split([' ', ',']).next().unwrap_or_default();
            all.0.entry(name.to_owned()).or_default().push(result.to_owned());
        }
        for results in all.0.values_mut() {
            results.sort();
        }
        all
    }

    /// The number of results.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// One line for each test with other results in `other`.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let names: std::collections::BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        let none = Vec::new();
        names
            .into_iter()
            .filter_map(|name| {
                let (before, after) = (self.0.get(name).unwrap_or(&none), other.0.get(name).unwrap_or(&none));
                (before != after).then(|| format!("test {name}: {before:?}, annotated {after:?}"))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_compared_by_name() {
        let before =
            Results::read("running 3 tests\ntest a ... ok\ntest b - should panic ... ok\ntest c ... ignored, slow\n");
        let after = Results::read("test a ... FAILED\ntest b - should panic ... ok\ntest c ... ignored\n");
        assert_eq!(before.count(), 3);
        assert_eq!(before.differences(&before), [""; 0]);
        assert_eq!(before.differences(&after), [r#"test a: ["ok"], annotated ["FAILED"]"#]);
    }
}
