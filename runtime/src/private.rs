//! The interface of generated code: everything the macros may refer to. Not for direct use, and not covered by
//! semantic versioning.

use crate::span::builder::SpanBuilder;
use crate::span::callsite::Callsite;
use crate::span::function::{self, Started, TracedFuture};
use crate::span::handle::Span;
pub use crate::span::inspect::Inspect;
use crate::span::outcome::Outcome;
use crate::span::scope::TagScope;
use crate::tags::set::once;
pub use crate::tags::set::{Tag, Tags, optional, put, value};
use crate::tags::value;

pub use core::clone::Clone;
pub use core::convert::Infallible;
pub use core::future::Future;
pub use core::{concat, module_path};
pub use std::boxed::Box;

pub use throughline_macros::{biz_tags, traced, traced_spawn};

pub use opentelemetry::Value;
pub use opentelemetry::trace::SpanKind;

#[cfg(feature = "tokio")]
pub use crate::job::spawn::{Gives, gives, takes};
#[cfg(feature = "tokio")]
pub use std::thread::JoinHandle as ThreadHandle;
#[cfg(feature = "tokio")]
pub use tokio::{runtime::Handle, task::JoinHandle};

/// The result type of a job. The signature has it as a type argument, so the body refers to it through this alias, as a
/// type argument too: otherwise, the compiler would word the same error in two ways, and report both.
#[cfg(feature = "tokio")]
pub type Returned<R> = R;

/// The callsite of a function. `const`, so that generated code evaluates it at compile time.
#[track_caller]
pub const fn callsite(name: &'static str, function: &'static str) -> Callsite {
    Callsite::new(name, function)
}

/// Creates a span builder for a function.
#[inline]
pub fn span(callsite: &'static Callsite) -> SpanBuilder {
    SpanBuilder::at(callsite)
}

/// Whether the span of a function is not recorded and nothing needs its tags. Such a call does nothing else.
#[cfg(feature = "sdk")]
#[inline(never)]
fn is_unrecorded(callsite: &'static Callsite) -> bool {
    crate::span::unrecorded::is_unrecorded(callsite)
}

/// Without the feature `sdk`, this is determined when the span is started.
#[cfg(not(feature = "sdk"))]
fn is_unrecorded(_: &'static Callsite) -> bool {
    false
}

/// Starts the span of a function.
#[inline]
pub fn start(callsite: &'static Callsite, fill: impl FnOnce(&mut Tags)) -> Span {
    if is_unrecorded(callsite) { Span::none() } else { start_erased(callsite, &mut once(fill)) }
}

/// Starts the span of a function without tags.
#[inline]
pub fn start_untagged(callsite: &'static Callsite) -> Span {
    if is_unrecorded(callsite) { Span::none() } else { start_erased(callsite, &mut |_| {}) }
}

#[inline(never)]
fn start_erased(callsite: &'static Callsite, fill: &mut dyn FnMut(&mut Tags)) -> Span {
    function::start(callsite, fill)
}

/// Like [`start`], for a synchronous function.
// Each branch returns its call directly, so that the callee writes the result in place: copying a value right after its
// parts were written is slow, because it defeats store forwarding.
#[inline]
pub fn enter(callsite: &'static Callsite, fill: impl FnOnce(&mut Tags)) -> Started {
    if is_unrecorded(callsite) { Started::new(Span::none()) } else { enter_erased(callsite, &mut once(fill)) }
}

/// Like [`start_untagged`], for a synchronous function.
#[inline]
pub fn enter_untagged(callsite: &'static Callsite) -> Started {
    if is_unrecorded(callsite) { Started::new(Span::none()) } else { enter_erased(callsite, &mut |_| {}) }
}

#[inline(never)]
fn enter_erased(callsite: &'static Callsite, fill: &mut dyn FnMut(&mut Tags)) -> Started {
    Started::new(start_erased(callsite, fill))
}

/// The future of an `async fn`. `begin` is called when it is first polled.
#[inline]
pub fn future<M: FnOnce() -> (Span, F), F: Future, O: Fn(&F::Output) -> Outcome>(
    begin: M,
    outcome: O,
) -> TracedFuture<M, F, O> {
    TracedFuture::new(begin, outcome)
}

/// Returns the body of an `async fn`, and fixes its output type to `R`.
#[inline]
pub fn with_output<R, F: Future<Output = R>>(_: impl FnOnce() -> R, body: F) -> F {
    body
}

/// Creates a set of tags without a span.
pub fn tags() -> TagScope {
    TagScope::new()
}

/// Inspects the return value of a function.
pub fn inspect<R>(result: &R) -> Inspect<'_, R> {
    Inspect::new(result)
}

/// Takes a value that is only type-checked and linted. Never called.
pub fn compiled<T>(_: T) {}

/// Converts a tag's value through `Display`.
pub fn display(of: &(impl core::fmt::Display + ?Sized)) -> Option<Value> {
    Some(value::display(of))
}

/// Converts a tag's value through `Debug`.
pub fn debug(of: &(impl core::fmt::Debug + ?Sized)) -> Option<Value> {
    Some(value::debug(of))
}

/// Determines the output type of the async block that returns it. Never called.
///
/// # Panics
///
/// Always.
pub fn returns<R>() -> R {
    unreachable!("generated code does not call this")
}
