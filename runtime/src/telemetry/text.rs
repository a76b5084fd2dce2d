//! Text of others, as it may be logged; and numbers in words.

use std::error::Error;
use std::fmt;

use super::env::Otlp;
use crate::redact::error_text::Chain;

/// So much of a text is shown, in characters.
const SHOWN: usize = 200;

/// What is shorter cannot be told from an ordinary word.
const SHORTEST_SECRET: usize = 4;

/// An error and what it comes from.
pub(super) fn chain(error: &dyn Error) -> String {
    Chain(error).to_string()
}

/// What comes from elsewhere must not fill the log.
pub(super) fn bounded(text: &str) -> String {
    text.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}

/// `1 span`, `2 spans`.
pub(super) fn count(number: u64, what: &str) -> impl fmt::Display {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {what}{end}")
}

/// What the collector is told, and must not be repeated by its answers into a log.
#[derive(Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    pub(super) fn of(otlp: &Otlp) -> Self {
        let mut secrets = Self::default();
        for (_, value) in &otlp.headers {
            secrets.add(value);
            // Of `Bearer token` the token.
            value.split_ascii_whitespace().skip(1).for_each(|word| secrets.add(word));
        }
        if let Ok(endpoint) = otlp.endpoint.parse::<reqwest::Url>() {
            secrets.add(endpoint.username());
            secrets.add(endpoint.password().unwrap_or_default());
            endpoint.query_pairs().for_each(|(_, value)| secrets.add(&value));
        }
        // A part of another must not break it up.
        secrets.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }

    fn add(&mut self, secret: &str) {
        if secret.len() >= SHORTEST_SECRET {
            self.0.push(secret.to_owned());
        }
    }

    /// `text` without them.
    pub(super) fn hidden(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug)]
    struct Wrapped(&'static str, io::Error);

    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Wrapped {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.1)
        }
    }

    #[test]
    fn a_cause_is_written_once() {
        let of = |text| chain(&Wrapped(text, io::Error::other("refused")));
        assert_eq!(of("connecting"), "connecting: refused");
        assert_eq!(of("connecting: refused"), "connecting: refused");
        assert_eq!(of("refused"), "refused");
    }

    #[test]
    fn one_and_many() {
        let of = |number| count(number, "span").to_string();
        assert_eq!([of(0), of(1), of(2)], ["0 spans", "1 span", "2 spans"]);
    }

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        let mut secrets = Secrets::default();
        for secret in ["Bearer abcdef", "abcdef", "a"] {
            secrets.add(secret);
        }
        assert_eq!(secrets.hidden("`Bearer abcdef`: no such token abcdef; a Bearer"), "`…`: no such token …; a Bearer");
    }
}
