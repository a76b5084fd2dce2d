//! The door for generated code: all that an attribute may name. Not for use by hand, and not
//! covered by semantic versioning.

use crate::span::builder::SpanBuilder;
use crate::span::callsite::Callsite;
pub use crate::span::failure::Causes;
pub use crate::span::outcome::Seen;
use crate::span::scope::TagScope;
pub use crate::tags::set::{Tag, Tags, value};
use crate::tags::value;

pub use core::concat;
pub use core::convert::Infallible;
pub use core::module_path;
pub use std::boxed::Box;

pub use throughline_macros::{biz_tags, traced, traced_spawn};

pub use opentelemetry::Value;
pub use opentelemetry::trace::SpanKind;

#[cfg(feature = "tokio")]
pub use crate::job::spawn::{Gives, gives, takes};
#[cfg(feature = "tokio")]
pub use std::thread::JoinHandle as ThreadHandle;
#[cfg(feature = "tokio")]
pub use tokio::task::JoinHandle;

/// The facts of a function. `const`, so that generated code evaluates it once.
#[track_caller]
pub const fn callsite(name: &'static str, function: &'static str) -> Callsite {
    Callsite::new(name, function)
}

/// A span that is about to start.
#[inline]
pub fn span(callsite: &'static Callsite) -> SpanBuilder {
    SpanBuilder::at(callsite)
}

/// Tags without a span.
pub fn tags() -> TagScope {
    TagScope::new()
}

/// Looks at what a function has returned.
pub fn seen<R>(result: &R) -> Seen<'_, R> {
    Seen::new(result)
}

/// Takes what is there to be compiled and linted. Never called.
pub fn compiled<T>(_: T) {}

/// Looks for what has led to the error that a function has returned.
pub fn causes<R>(result: &R) -> Causes<'_, R> {
    Causes::new(result)
}

/// A tag's value through `Display`.
pub fn display(of: &(impl core::fmt::Display + ?Sized)) -> Option<Value> {
    Some(value::display(of))
}

/// A tag's value through `Debug`.
pub fn debug(of: &(impl core::fmt::Debug + ?Sized)) -> Option<Value> {
    Some(value::debug(of))
}

/// Tells the compiler the type of the async block it returns from. Never called.
///
/// # Panics
///
/// Always.
pub fn returns<R>() -> R {
    unreachable!("generated code does not call this")
}
