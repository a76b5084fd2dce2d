//! Looking into a return value whose type is known to the generated code, but not to the runtime.

use std::any::type_name;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::ops::Deref;

use crate::span::failure::{alternate, chain};
use crate::span::outcome::Outcome;

/// Inspects a return value whose type is known to the generated code, but not to the runtime.
///
/// The types below define the same methods with successively weaker bounds, and each dereferences to the next. Method
/// resolution therefore picks the most specific one that the type supports: a `Result` whose error implements the
/// requested trait, then any `Result`, then any value.
///
/// A user-defined blanket trait would take precedence over methods found by dereferencing, so the method names are
/// ones that such a trait is unlikely to use.
#[derive(Debug)]
pub struct Inspect<'a, R>(InspectBoxed<'a, R>);

/// A `Result` whose error dereferences to a `dyn Error`: `Box<dyn Error + Send + Sync>`, `anyhow::Error`.
#[derive(Debug)]
pub struct InspectBoxed<'a, R>(InspectLocal<'a, R>);

/// A `Result` whose error dereferences to a `dyn Error` that is not `Send`: `Box<dyn Error>`.
#[derive(Debug)]
pub struct InspectLocal<'a, R>(InspectDisplay<'a, R>);

/// A `Result` whose error implements `Display`.
#[derive(Debug)]
pub struct InspectDisplay<'a, R>(InspectDebug<'a, R>);

/// A `Result` whose error implements `Debug`.
#[derive(Debug)]
pub struct InspectDebug<'a, R>(InspectResult<'a, R>);

/// Any `Result`.
#[derive(Debug)]
pub struct InspectResult<'a, R>(InspectValue<'a, R>);

/// Any value.
#[derive(Debug)]
pub struct InspectValue<'a, R>(&'a R);

impl<'a, R> Inspect<'a, R> {
    /// Inspects `result`.
    pub fn new(result: &'a R) -> Self {
        let result = InspectResult(InspectValue(result));
        Self(InspectBoxed(InspectLocal(InspectDisplay(InspectDebug(result)))))
    }
}

impl<T, E: Error> Inspect<'_, Result<T, E>> {
    /// The error and its sources.
    pub fn __chain(&self) -> Option<String> {
        self.result().as_ref().err().and_then(|error| chain(error))
    }
}

impl<'e, T, E: Deref<Target = dyn Error + Send + Sync + 'e>> InspectBoxed<'_, Result<T, E>> {
    /// The error and its sources.
    pub fn __chain(&self) -> Option<String> {
        self.result().as_ref().err().and_then(|error| chain(&**error))
    }
}

impl<'e, T, E: Deref<Target = dyn Error + 'e>> InspectLocal<'_, Result<T, E>> {
    /// The error and its sources.
    pub fn __chain(&self) -> Option<String> {
        self.result().as_ref().err().and_then(|error| chain(&**error))
    }
}

impl<T, E: Display> InspectDisplay<'_, Result<T, E>> {
    /// `err = display`.
    pub fn __display(&self) -> Outcome {
        Outcome::from_result(self.result())
    }

    /// The error in its alternate form.
    pub fn __chain(&self) -> Option<String> {
        self.result().as_ref().err().and_then(alternate)
    }
}

impl<T, E: Debug> InspectDebug<'_, Result<T, E>> {
    /// `err = debug`.
    pub fn __debug(&self) -> Outcome {
        match self.result() {
            Ok(_) => Outcome::default(),
            Err(error) => Outcome::described(type_name::<E>(), format_args!("{error:?}")),
        }
    }
}

impl<T, E> InspectResult<'_, Result<T, E>> {
    /// `err = display` for an error without `Display`. `Debug` is not a fallback, because it may expose fields that
    /// nobody chose to record.
    pub fn __display(&self) -> Outcome {
        self.__off()
    }

    /// `err = debug` for an error without `Debug`.
    pub fn __debug(&self) -> Outcome {
        self.__off()
    }

    /// `err = off`: records the type of the error only.
    pub fn __off(&self) -> Outcome {
        if self.result().is_err() { Outcome::thrown(type_name::<E>().into(), None) } else { Outcome::default() }
    }

    /// The value recorded by `ret`.
    pub fn __value(&self) -> Option<&T> {
        self.result().as_ref().ok()
    }
}

#[expect(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "the last step has the signatures of those before it"
)]
impl<R> InspectValue<'_, R> {
    fn result(&self) -> &R {
        self.0
    }

    /// A value that is not a `Result` is a success.
    pub fn __display(&self) -> Outcome {
        Outcome::default()
    }

    /// A value that is not a `Result` is a success.
    pub fn __debug(&self) -> Outcome {
        Outcome::default()
    }

    /// A value that is not a `Result` is a success.
    pub fn __off(&self) -> Outcome {
        Outcome::default()
    }

    /// The value recorded by `ret`.
    pub fn __value(&self) -> Option<&R> {
        Some(self.0)
    }

    /// No error text is available.
    pub fn __chain(&self) -> Option<String> {
        None
    }
}

/// Implements `Deref` from each type to the next.
macro_rules! steps {
    ($($from:ident => $to:ident),*) => {$(
        impl<'a, R> Deref for $from<'a, R> {
            type Target = $to<'a, R>;

            fn deref(&self) -> &$to<'a, R> {
                &self.0
            }
        }
    )*};
}

steps!(Inspect => InspectBoxed, InspectBoxed => InspectLocal, InspectLocal => InspectDisplay);
steps!(InspectDisplay => InspectDebug, InspectDebug => InspectResult, InspectResult => InspectValue);
