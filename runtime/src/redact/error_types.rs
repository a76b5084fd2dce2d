//! The text of errors whose type is only known at run time.

use std::any::{Any, TypeId};
use std::error::Error;
use std::fmt::Display;
use std::sync::{PoisonError, RwLock};

use crate::redact::error_text::{Chain, of};

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

/// Registers `E` as an error type, so that its sources are recorded by code that only requires `Display`, such as
/// `throughline::try_spawn` and tower services.
///
/// Not needed for boxed errors and `std::io::Error`. Adding a type again has no effect.
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

/// Returns the text of an error and its sources, as far as it may be recorded.
pub fn error(error: &dyn Error) -> Option<String> {
    of(format_args!("{}", Chain(error)))
}

/// Returns the text of a value of which only `Display` is known, as far as it may be recorded.
///
/// Sources are included if the type is [registered as an error](add_error_type). Otherwise, the alternate form is used,
/// in which many error types that do not implement `Error` include their causes.
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

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::io;

    use super::*;

    #[derive(Debug)]
    struct Declined(io::Error);

    impl fmt::Display for Declined {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("cannot charge")
        }
    }

    impl Error for Declined {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn the_sources_of_a_registered_type_are_recorded() {
        let declined = Declined(io::Error::other("no funds"));
        assert_eq!(of_any(&declined).as_deref(), Some("cannot charge"));
        add_error_type::<fmt::Error>();
        for _ in 0..2 {
            add_error_type::<Declined>();
            assert_eq!(of_any(&declined).as_deref(), Some("cannot charge: no funds"));
        }
        let added = ERRORS.read().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(added.iter().filter(|(id, _)| *id == TypeId::of::<Declined>()).count(), 1);
    }
}
