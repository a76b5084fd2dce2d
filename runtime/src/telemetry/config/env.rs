//! Reading and parsing environment variables.

use std::str::FromStr;
use std::time::Duration;

use super::{ConfigError, Setting};

/// The environment, or a replacement for it. An empty variable counts as unset, as the specification requires.
pub(crate) struct Env<'a>(&'a dyn Fn(&str) -> Option<String>);

impl<'a> Env<'a> {
    pub(crate) fn new(get: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self(get)
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The first of `names` that is set.
    pub(super) fn first(&self, names: &[&'static str]) -> Option<Setting<String>> {
        names.iter().find_map(|&name| Some(Setting { value: self.get(name)?, name }))
    }

    pub(super) fn parse<T: FromStr>(
        &self,
        name: &'static str,
        expected: &str,
        is_valid: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        match value.parse() {
            Ok(parsed) if is_valid(&parsed) => Ok(Some(parsed)),
            _ => Err(ConfigError::new(name, &value, expected)),
        }
    }

    /// A size, which must not be zero.
    pub(super) fn positive(&self, name: &'static str) -> Result<Option<usize>, ConfigError> {
        self.parse(name, "a positive integer", |&size: &usize| size > 0)
    }

    /// A limit, which may be zero.
    pub(super) fn limit(&self, name: &'static str) -> Result<Option<u32>, ConfigError> {
        self.parse(name, "a non-negative integer", |_| true)
    }

    pub(super) fn milliseconds(&self, name: &'static str) -> Result<Option<Duration>, ConfigError> {
        let milliseconds = self.parse(name, "a non-negative integer of milliseconds", |_: &u64| true)?;
        Ok(milliseconds.map(Duration::from_millis))
    }

    /// A timeout; zero means no limit, as in the specification.
    pub(super) fn timeout(&self, name: &'static str) -> Result<Option<Duration>, ConfigError> {
        Ok(self.milliseconds(name)?.map(|time| if time.is_zero() { Duration::MAX } else { time }))
    }

    /// One of several words, case-insensitive.
    pub(super) fn choice<T: Copy>(
        &self,
        name: &'static str,
        choices: &[(&'static str, T)],
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let found = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(&value));
        found.map(|(_, choice)| Some(*choice)).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("`{word}`")).collect();
            ConfigError::new(name, &value, format!("one of {}", words.join(", ")))
        })
    }

    /// The first of `names` that is set, as one of several words.
    pub(super) fn first_choice<T: Copy>(
        &self,
        names: [&'static str; 2],
        choices: &[(&'static str, T)],
    ) -> Result<Option<Setting<T>>, ConfigError> {
        for name in names {
            if let Some(value) = self.choice(name, choices)? {
                return Ok(Some(Setting { value, name }));
            }
        }
        Ok(None)
    }
}
