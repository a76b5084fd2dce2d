//! What is recorded of the texts of errors, and of the URLs of calls.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Arguments, Display};
use std::sync::{Arc, PoisonError, RwLock};

use crate::guard::panics::caught;
use crate::redact::url::UrlRules;
use crate::tags::value::{bounded, text_within};

/// What is recorded of the text of an error: what its `Display` or `Debug` says, the message of a panic,
/// what a server has answered.
///
/// Without a choice it is the full text, in which URLs are redacted as those of HTTP calls are: without
/// user and password, and without the values of query parameters that commonly are secret. Whatever is
/// chosen, the type of the error is recorded, and text is bounded by
/// [`MAX_TEXT_BYTES`](crate::MAX_TEXT_BYTES).
///
/// Set it with [`set_error_text`], with `error_text` of `telemetry::builder`, or with the
/// variable `THROUGHLINE_ERROR_TEXT` (`full` or `type`), which `throughline::init` reads.
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
    /// The full text. This is the default.
    pub const fn full() -> Self {
        Self(Kind::Full)
    }

    /// The type of the error, and no text: no description of the status, and no `exception.message`.
    pub const fn type_only() -> Self {
        Self(Kind::Type)
    }

    /// What `redact` makes of the text, and of each URL that the layers for HTTP record (`url.full`,
    /// `url.path`, `url.query`).
    ///
    /// It gets the text before that is cut, up to some 16 KiB of it, and after URLs are redacted. It is
    /// called on the thread that the error is on, so it should not block. If it panics, a note that says
    /// so is recorded in place of the text. Spans that it opens are not recorded.
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

/// Chooses what is recorded of the texts of errors in this process, from now on. The last call counts.
///
/// ```
/// use throughline::{ErrorText, set_error_text};
///
/// set_error_text(ErrorText::redacted(|text| text.replace("hunter2", "***")));
/// ```
pub fn set_error_text(choice: ErrorText) {
    let previous = CHOSEN.write().unwrap_or_else(PoisonError::into_inner).replace(choice);
    // A function of the application's may have a destructor: not under the lock.
    drop(previous);
}

/// Chooses, unless that was done before.
#[cfg(feature = "otlp")]
pub(crate) fn set_default(choice: ErrorText) {
    CHOSEN.write().unwrap_or_else(PoisonError::into_inner).get_or_insert(choice);
}

fn chosen() -> Kind {
    CHOSEN.read().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default().0
}

/// How much of a text is looked at. More than is kept, so that no half of a secret stands at the end, and
/// bounded, so that an endless one ends.
const SEEN: usize = 16 * 1024;

/// What may be recorded of the text of an error. `None`: nothing. Never fails, whatever the formatter does.
pub(crate) fn of(arguments: Arguments<'_>) -> Option<String> {
    let kind = chosen();
    if matches!(kind, Kind::Type) {
        return None;
    }
    let seen = text_within(SEEN, arguments);
    let shown = match UrlRules::USUAL.text(&seen) {
        Cow::Owned(redacted) => redacted,
        Cow::Borrowed(_) => seen,
    };
    Some(kept(redacted(&kind, by_integrations(shown))))
}

/// What takes values out of the texts of errors.
type Redactor = fn(&str) -> Option<String>;

static REDACTORS: RwLock<Vec<Redactor>> = RwLock::new(Vec::new());

/// Has the texts of all errors go through `redact`, which gives `None` for a text that stays as it is.
///
/// For integrations whose servers quote values in what they say of an error. The error is often the source of
/// another one, whose text has it in its own: so it is not enough to look at it where it arises. Adding the
/// same function again changes nothing.
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

fn by_integrations(text: String) -> String {
    let all = REDACTORS.read().unwrap_or_else(PoisonError::into_inner).clone();
    all.iter().fold(text, |text, redact| match caught(|| redact(&text)) {
        Some(changed) => changed.unwrap_or(text),
        None => "<panicked while redacting>".to_owned(),
    })
}

type AsError = fn(&dyn Any) -> Option<&(dyn Error + 'static)>;

fn as_error<E: Error + 'static>(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    error.downcast_ref::<E>().map(|error| error as _)
}

fn boxed(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    error.downcast_ref::<Box<dyn Error + Send + Sync>>().map(|error| &**error as _)
}

fn boxed_local(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    error.downcast_ref::<Box<dyn Error>>().map(|error| &**error)
}

static ERRORS: RwLock<Vec<(TypeId, AsError)>> = RwLock::new(Vec::new());

/// Says that values of the type `E` are errors, so that code which only knows that they implement `Display`
/// names their sources too: `throughline::try_spawn`, services of tower.
///
/// Boxed errors and those of `std::io` need no word of it. Adding a type again changes nothing.
pub fn add_error_type<E: Error + 'static>() {
    let id = TypeId::of::<E>();
    let known = |all: &[(TypeId, AsError)]| all.iter().any(|(known, _)| *known == id);
    if known(&ERRORS.read().unwrap_or_else(PoisonError::into_inner)) {
        return;
    }
    let mut all = ERRORS.write().unwrap_or_else(PoisonError::into_inner);
    if !known(&all) {
        all.push((id, as_error::<E>));
    }
}

/// What may be recorded of an error and of its sources; `None` if nothing may.
pub fn error(error: &dyn Error) -> Option<String> {
    of(format_args!("{}", Chain(error)))
}

/// What may be recorded of an error of which only `Display` is known, with its sources if its type is
/// [known to be an error](add_error_type). Otherwise it is the alternate form, in which many that are not
/// `Error` themselves write their causes.
pub fn of_any<E: Display + 'static>(error: &E) -> Option<String> {
    const KNOWN: [AsError; 3] = [boxed, boxed_local, as_error::<std::io::Error>];
    let added = ERRORS.read().unwrap_or_else(PoisonError::into_inner).clone();
    let all = KNOWN.into_iter().chain(added.into_iter().map(|(_, as_error)| as_error));
    let mut found = all.filter_map(|as_error| as_error(error));
    match found.next() {
        Some(known) => self::error(known),
        None => of(format_args!("{error:#}")),
    }
}

/// What may be recorded of a text that is no error value; `None` if nothing may.
pub fn text(of: impl Display) -> Option<String> {
    self::of(format_args!("{of}"))
}

/// What may be recorded of a URL, or of its path or query, in which secrets are
/// [redacted](crate::redact::UrlRules) already.
pub fn url<'a>(url: impl Into<Cow<'a, str>>) -> String {
    kept(redacted(&chosen(), url.into().into_owned()))
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

/// An error and its sources, each after a colon, unless the text before has it already: many errors repeat
/// in their own text what their source says.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// So many sources are looked at: a chain may lead back to itself.
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
    fn sources_are_named_once() {
        let refused = || Some(Box::new(Layered("Connection refused", None)));
        let said = Layered("tcp connect error: Connection refused", refused());
        assert_eq!(Chain(&said).to_string(), "tcp connect error: Connection refused");
        let silent = Layered("cannot charge", Some(Box::new(Layered("tcp connect error", refused()))));
        assert_eq!(Chain(&silent).to_string(), "cannot charge: tcp connect error: Connection refused");
    }
}
