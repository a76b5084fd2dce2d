//! Reading and parsing environment variables.
//!
//! A value that is not valid is ignored, which is a warning ("Type-specific guidance" in the specification of environment
//! variables). Where no default can stand in for it, as for an endpoint, it is an error.

use std::cell::RefCell;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{ConfigError, Setting};

/// The environment, or a replacement for it. An empty variable counts as unset, as the specification requires.
pub(crate) struct Env<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
    warnings: RefCell<Vec<String>>,
}

impl<'a> Env<'a> {
    pub(crate) fn new(get: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { get, warnings: RefCell::default() }
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.get)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// The same environment, with warnings of its own.
    pub(super) fn apart(&self) -> Self {
        Self::new(self.get)
    }

    /// The warnings about values that were ignored.
    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings.into_inner()
    }

    /// Ignores a value: the variable counts as unset.
    pub(super) fn ignore(&self, error: &ConfigError) {
        self.warn(format_args!("{error}; the value is ignored"));
    }

    pub(super) fn warn(&self, text: impl fmt::Display) {
        self.warnings.borrow_mut().push(text.to_string());
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
    ) -> Option<T> {
        let value = self.get(name)?;
        let parsed = value.parse().ok().filter(is_valid);
        if parsed.is_none() {
            self.ignore(&ConfigError::new(name, &value, expected));
        }
        parsed
    }

    /// A size.
    pub(super) fn positive(&self, name: &'static str) -> Option<usize> {
        self.parse(name, "a positive integer", |&size: &usize| size > 0)
    }

    /// A limit, which may be zero.
    pub(super) fn limit(&self, name: &'static str) -> Option<u32> {
        self.parse(name, "a non-negative integer", |_| true)
    }

    pub(super) fn milliseconds(&self, name: &'static str) -> Option<Duration> {
        self.parse(name, "a non-negative integer of milliseconds", |_: &u64| true).map(Duration::from_millis)
    }

    /// A timeout; zero means no limit, as in the specification.
    pub(super) fn timeout(&self, name: &'static str) -> Option<Duration> {
        self.milliseconds(name).map(|time| if time.is_zero() { Duration::MAX } else { time })
    }

    /// One of a few words, in any case.
    pub(super) fn choice<T: Copy>(&self, name: &'static str, choices: &[(&'static str, T)]) -> Option<T> {
        self.checked_choice(name, choices).unwrap_or_else(|error| {
            self.ignore(&error);
            None
        })
    }

    /// The same, where another word is an error.
    pub(super) fn checked_choice<T: Copy>(
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

    /// The first of `names` that is set, as one of a few words.
    pub(super) fn first_choice<T: Copy>(
        &self,
        names: [&'static str; 2],
        choices: &[(&'static str, T)],
    ) -> Option<Setting<T>> {
        names.into_iter().find_map(|name| Some(Setting { value: self.choice(name, choices)?, name }))
    }
}
