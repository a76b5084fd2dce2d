//! Names of the attributes that Throughline records.
//!
//! Each constant has the same name as in [`opentelemetry-semantic-conventions`]. This crate does not depend on that
//! one, because most of its constants require an unstable feature, and any release may remove some. A test compares the
//! two and fails if a name has been deprecated.
//!
//! Attributes that are not defined by the conventions begin with `throughline.`.
//!
//! Names that only integrations record require the feature `integration`, which is enabled by `propagation`, `sdk` and
//! `log`.
//!
//! ```
//! use throughline::semconv;
//!
//! let span = throughline::span("charge card").tag(semconv::SERVER_ADDRESS, "pay.example");
//! span.run(|| ());
//! ```
//!
//! [`opentelemetry-semantic-conventions`]: https://docs.rs/opentelemetry-semantic-conventions

/// Declares names from the conventions. In tests, this also creates a list that pairs them with the constants of the
/// published crate, so that a missing or deprecated name does not compile.
macro_rules! conventions {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $value;)*

        #[cfg(test)]
        #[deny(deprecated)]
        pub(super) const CONVENTIONS: &[(&str, &str)] = &[$(($name, opentelemetry_semantic_conventions::attribute::$name)),*];
    };
}

/// Declares names in the namespace `throughline.`.
macro_rules! ours {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $value;)*

        #[cfg(test)]
        pub(super) const OURS: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}

// Must come after the macros that it uses.
#[cfg(feature = "integration")]
mod integration;

#[cfg(feature = "integration")]
pub use self::integration::*;

conventions! {
    // Source code.

    /// The fully qualified name of the function.
    CODE_FUNCTION_NAME = "code.function.name";
    /// The path of the source file.
    CODE_FILE_PATH = "code.file.path";
    /// The line number in the source file.
    CODE_LINE_NUMBER = "code.line.number";

    // Errors.

    /// The class of an error, with low cardinality: a Rust type, a status code, or `panic`.
    ERROR_TYPE = "error.type";
    /// The type of the error, on an `exception` event.
    EXCEPTION_TYPE = "exception.type";
    /// The text of the error, on an `exception` event.
    EXCEPTION_MESSAGE = "exception.message";

    // Messaging.

    /// The number of messages in a batch.
    MESSAGING_BATCH_MESSAGE_COUNT = "messaging.batch.message_count";
}

ours! {
    /// Whether the work was dropped before it completed.
    THROUGHLINE_CANCELLED = "throughline.cancelled";
    /// The return value of the function.
    THROUGHLINE_RETURN = "throughline.return";
    /// The time between the spawn and the first poll of a detached job, in microseconds.
    THROUGHLINE_JOB_QUEUE_TIME_US = "throughline.job.queue_time_us";
    /// The name of a detached job.
    THROUGHLINE_JOB_NAME = "throughline.job.name";
    /// The key of a tag.
    THROUGHLINE_TAG_KEY = "throughline.tag.key";
}

#[cfg(test)]
mod tests {
    use super::*;

    type Names = &'static [(&'static str, &'static str)];

    #[cfg(feature = "integration")]
    const INTEGRATION: (Names, Names) = (integration::CONVENTIONS, integration::OURS);
    #[cfg(not(feature = "integration"))]
    const INTEGRATION: (Names, Names) = (&[], &[]);

    fn all(core: Names, integrations: Names) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
        core.iter().chain(integrations)
    }

    #[test]
    fn convention_names_match_the_published_crate() {
        for (name, published) in all(CONVENTIONS, INTEGRATION.0) {
            assert_eq!(name, published);
        }
    }

    #[test]
    fn our_own_names_are_in_our_namespace() {
        for (constant, name) in all(OURS, INTEGRATION.1) {
            assert!(name.starts_with("throughline."), "{name}");
            assert_eq!(*constant, name.to_uppercase().replace('.', "_"));
        }
    }
}
