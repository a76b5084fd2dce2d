//! Formatting of text in messages.

use std::error::Error;
use std::fmt;

use crate::redact::error_text::Chain;
use crate::text::excerpt;

/// The maximum number of characters of untrusted text in a message.
const SHOWN: usize = 200;

/// An error and its sources.
pub(crate) fn chain(error: &dyn Error) -> String {
    Chain(error).to_string()
}

/// The beginning of a text, on one line.
pub(crate) fn bounded(text: &str) -> String {
    excerpt(text, SHOWN).into_owned()
}

/// `1 span`, `2 spans`.
pub(crate) fn count(number: u64, what: &str) -> impl fmt::Display {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
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
}
