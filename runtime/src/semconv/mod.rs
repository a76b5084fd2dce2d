//! Names of the attributes that Throughline records.
//!
//! Each constant has the name that it has in [`opentelemetry-semantic-conventions`], so that code which
//! uses that crate reads the same. This crate does not depend on it: most of its names come with an
//! unstable feature, and each release may remove some. A test compares the two, and fails when a name has
//! been deprecated.
//!
//! Names that no convention defines begin with `throughline.`.
//!
//! Names that the core itself does not record need the feature `integration`, which `propagation`, `sdk` and `log`
//! enable.
//!
//! ```
//! use throughline::semconv;
//!
//! let span = throughline::span("charge card").tag(semconv::SERVER_ADDRESS, "pay.example");
//! span.run(|| ());
//! ```
//!
//! [`opentelemetry-semantic-conventions`]: https://docs.rs/opentelemetry-semantic-conventions

/// Declares names of the conventions. In tests, also a list of them with the names of the published crate: a name that
/// it lacks or has deprecated does not compile.
macro_rules! conventions {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $value;)*

        #[cfg(test)]
        #[deny(deprecated)]
        pub(super) const CONVENTIONS: &[(&str, &str)] = &[$(($name, opentelemetry_semantic_conventions::attribute::$name)),*];
    };
}

/// Declares names in our own namespace.
macro_rules! ours {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $value;)*

        #[cfg(test)]
        pub(super) const OURS: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}

// After the macros, which it uses.
#[cfg(feature = "integration")]
mod integration;

#[cfg(feature = "integration")]
pub use self::integration::*;

conventions! {
    // Source code.

    /// The full path of the function.
    CODE_FUNCTION_NAME = "code.function.name";
    /// The source file.
    CODE_FILE_PATH = "code.file.path";
    /// The line in the source file.
    CODE_LINE_NUMBER = "code.line.number";

    // Errors.

    /// The class of an error, of low cardinality: the Rust type, a status code, `panic`.
    ERROR_TYPE = "error.type";
    /// The type of an error that an `exception` event describes.
    EXCEPTION_TYPE = "exception.type";
    /// The text of an error that an `exception` event describes.
    EXCEPTION_MESSAGE = "exception.message";

    // Messaging.

    /// How many messages a batch has.
    MESSAGING_BATCH_MESSAGE_COUNT = "messaging.batch.message_count";
}

ours! {
    /// Whether the work was dropped before it had finished.
    THROUGHLINE_CANCELLED = "throughline.cancelled";
    /// What the function returned.
    THROUGHLINE_RETURN = "throughline.return";
    /// How long a detached job waited for its first poll, in microseconds.
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
    const OF_INTEGRATIONS: (Names, Names) = (integration::CONVENTIONS, integration::OURS);
    #[cfg(not(feature = "integration"))]
    const OF_INTEGRATIONS: (Names, Names) = (&[], &[]);

    fn all(core: Names, integrations: Names) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
        core.iter().chain(integrations)
    }

    #[test]
    fn names_of_the_conventions_are_those_of_the_published_crate() {
        for (name, published) in all(CONVENTIONS, OF_INTEGRATIONS.0) {
            assert_eq!(name, published);
        }
    }

    #[test]
    fn names_of_our_own_are_in_our_namespace() {
        for (constant, name) in all(OURS, OF_INTEGRATIONS.1) {
            assert!(name.starts_with("throughline."), "{name}");
            assert_eq!(*constant, name.to_uppercase().replace('.', "_"));
        }
    }
}
