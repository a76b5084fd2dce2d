//! Redaction for integrations: redactors that they add, and text and URLs that they record.

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::{PoisonError, RwLock};

use crate::guard::panics::caught;
use crate::redact::error_text;

/// Removes values from error text; returns `None` to leave it unchanged.
type Redactor = fn(&str) -> Option<String>;

static REDACTORS: RwLock<Vec<Redactor>> = RwLock::new(Vec::new());

/// Passes the text of every error through `redact`, which returns `None` to leave a text unchanged.
///
/// For integrations whose servers include values in error messages. Applying this where the error occurs is not
/// enough, because other errors often include the text of their source. Adding the same function again has no effect.
pub fn add_redactor(redact: fn(&str) -> Option<String>) {
    let known = |all: &[Redactor]| all.iter().any(|known| std::ptr::fn_addr_eq(*known, redact));
    if known(&REDACTORS.read().unwrap_or_else(PoisonError::into_inner)) {
        return;
    }
    let mut all = REDACTORS.write().unwrap_or_else(PoisonError::into_inner);
    if !known(&all) {
        all.push(redact);
    }
}

/// Applies the redactors added by [`add_redactor`].
pub(super) fn redacted(text: String) -> String {
    let all = REDACTORS.read().unwrap_or_else(PoisonError::into_inner).clone();
    all.iter().fold(text, |text, redact| match caught(|| redact(&text)) {
        Some(changed) => changed.unwrap_or(text),
        None => "<panicked while redacting>".to_owned(),
    })
}

/// Returns a text that is not an error value, such as a server response, as far as it may be recorded.
pub fn text(of: impl Display) -> Option<String> {
    error_text::of(format_args!("{of}"))
}

/// Returns a URL, or its path or query, as far as it may be recorded. Secrets must have been
/// [redacted](crate::redact::UrlRules) before.
pub fn url<'a>(url: impl Into<Cow<'a, str>>) -> String {
    error_text::of_url(url.into().into_owned())
}
