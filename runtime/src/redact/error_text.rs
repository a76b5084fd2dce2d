//! The parts of error text and URLs that are recorded.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Arguments};
use std::sync::{Arc, PoisonError, RwLock};

use crate::guard::panics::caught;
use crate::redact::url::UrlRules;
use crate::tags::value::{bounded, text_within};

/// How much of an error's text is recorded: its `Display` or `Debug` output, the message of a panic, or the response
/// of a server.
///
/// By default the full text is recorded, with URLs redacted as for HTTP calls: without credentials, and without the
/// values of query parameters that commonly are secrets. The type of the error is always recorded, and text is always
/// truncated to [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES).
///
/// Configure it with [`set_error_text`], with `error_text` of `telemetry::builder`, or with the environment variable
/// `THROUGHLINE_ERROR_TEXT` (`full` or `type`), which is read by `throughline::init`.
#[derive(Clone, Default)]
pub struct ErrorText(Kind);

type Redact = dyn Fn(String) -> String + Send + Sync;

#[derive(Clone, Default)]
enum Kind {
    #[default]
    Full,
    Type,
    Redacted(Arc<Redact>),
}

impl ErrorText {
    /// Records the full text. This is the default.
    pub const fn full() -> Self {
        Self(Kind::Full)
    }

    /// Records the type of the error only: no status description, and no `exception.message`.
    pub const fn type_only() -> Self {
        Self(Kind::Type)
    }

    /// Passes the text through `redact`, and also each URL that the HTTP layers record (`url.full`, `url.path`,
    /// `url.query`).
    ///
    /// `redact` receives up to about 16 KiB of text, after URLs have been redacted and before the text is truncated.
    /// It runs on the thread on which the error is recorded, so it should not block. If it panics, a placeholder is
    /// recorded instead of the text. Spans that it starts are not recorded. The error of a call or a request may be
    /// passed through it again, before it is recorded on another span or logged, so it should leave a text that it has
    /// returned unchanged.
    pub fn redacted(redact: impl Fn(String) -> String + Send + Sync + 'static) -> Self {
        Self(Kind::Redacted(Arc::new(redact)))
    }
}

impl fmt::Debug for ErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Full => "Full",
            Kind::Type => "Type",
            Kind::Redacted(_) => "Redacted(..)",
        })
    }
}

static CHOSEN: RwLock<Option<ErrorText>> = RwLock::new(None);

/// Sets how much of an error's text this process records from now on. May be called repeatedly.
///
/// ```
/// use throughline::{ErrorText, set_error_text};
///
/// set_error_text(ErrorText::redacted(|text| text.replace("hunter2", "***")));
/// ```
pub fn set_error_text(choice: ErrorText) {
    let previous = CHOSEN.write().unwrap_or_else(PoisonError::into_inner).replace(choice);
    // Dropped outside of the lock, because the application's closure may have arbitrary destructors.
    drop(previous);
}

/// Like [`set_error_text`], but has no effect if a choice was made before.
#[cfg(feature = "otlp")]
pub(crate) fn set_default(choice: ErrorText) {
    CHOSEN.write().unwrap_or_else(PoisonError::into_inner).get_or_insert(choice);
}

fn chosen() -> Kind {
    CHOSEN.read().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default().0
}

/// The maximum number of bytes of a text that are processed. More than is recorded, so that a secret at the end is not
/// cut in half before it is recognized; limited, because formatters can produce any amount of text.
pub(crate) const SEEN: usize = 16 * 1024;

/// Returns the part of an error text that may be recorded, or `None`. Never panics, even if the formatter does.
pub(crate) fn of(arguments: Arguments<'_>) -> Option<String> {
    let kind = chosen();
    if matches!(kind, Kind::Type) {
        return None;
    }
    let seen = text_within(SEEN, arguments);
    let shown = match UrlRules::DEFAULT.text(&seen) {
        Cow::Owned(redacted) => redacted,
        Cow::Borrowed(_) => seen,
    };
    #[cfg(feature = "integration")]
    let shown = super::integration::redacted(shown);
    Some(kept(redacted(&kind, shown)))
}

/// Returns a URL, or its path or query, as far as it may be recorded.
#[cfg(feature = "integration")]
pub(crate) fn of_url(url: String) -> String {
    kept(redacted(&chosen(), url))
}

fn redacted(kind: &Kind, shown: String) -> String {
    match kind {
        Kind::Redacted(redact) => caught(|| redact(shown)).unwrap_or_else(|| "<panicked while redacting>".to_owned()),
        Kind::Full | Kind::Type => shown,
    }
}

fn kept(text: String) -> String {
    match bounded(&text) {
        Cow::Owned(cut) => cut,
        Cow::Borrowed(_) => text,
    }
}

/// Formats an error and its sources, separated by colons. A source is omitted if the preceding text contains it,
/// because many errors include the text of their source.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// The maximum number of sources, because a chain may be cyclic.
        const MAX: usize = 16;
        let mut before = text_within(SEEN, format_args!("{}", self.0));
        f.write_str(&before)?;
        let mut source = self.0.source();
        for _ in 0..MAX {
            let Some(error) = source else { break };
            let text = text_within(SEEN, format_args!("{error}"));
            if !text.is_empty() && !before.contains(&text) {
                write!(f, ": {text}")?;
                before = text;
            }
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Layered(&'static str, Option<Box<Layered>>);

    impl fmt::Display for Layered {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layered {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|source| source as _)
        }
    }

    #[test]
    fn sources_are_not_repeated() {
        let refused = || Some(Box::new(Layered("Connection refused", None)));
        let repeated = Layered("tcp connect error: Connection refused", refused());
        assert_eq!(Chain(&repeated).to_string(), "tcp connect error: Connection refused");
        let distinct = Layered("cannot charge", Some(Box::new(Layered("tcp connect error", refused()))));
        assert_eq!(Chain(&distinct).to_string(), "cannot charge: tcp connect error: Connection refused");
    }
}
