//! Running synchronous code in a span, and tags without a span.

use std::future::Future;

use opentelemetry::trace::TraceContextExt as _;

use crate::context::current::{self, Attached, is_off};
use crate::guard::reentrance::Busy;
use crate::span::handle::{Scope, Span};
use crate::span::instrumented::{Instrumented, NoObserver};
use crate::span::outcome::Outcome;
use crate::tags::scoped;
use crate::tags::set::{NeededTags, Tag, Tags, once, report_missing};
use crate::tags::value::TagValue;

impl Span {
    /// Makes the span current until the guard is dropped. For functions whose body cannot be moved into a closure
    /// (`#[track_caller]`).
    #[doc(hidden)]
    pub fn enter(self) -> Entered {
        Entered { attached: self.0.attach(), span: self, unwinding: std::thread::panicking() }
    }
}

/// A span that is current until this guard is dropped.
#[derive(Debug)]
#[must_use = "dropping the guard ends the span"]
pub struct Entered {
    attached: Option<Attached>,
    span: Span,
    /// Whether the thread was already unwinding, because the function is called by a destructor.
    unwinding: bool,
}

impl Entered {
    /// Ends the span with the function's return value.
    pub fn exit<R>(self, value: R, outcome: impl FnOnce(&R) -> Outcome) -> R {
        self.leave().end(|| outcome(&value));
        value
    }

    /// Leaves the span open, for the future or stream that the function returns.
    pub fn leave(mut self) -> Span {
        self.attached = None;
        self.span.take()
    }
}

impl Drop for Entered {
    /// The function was left by `return`, `?` or a panic, so its value is not available.
    fn drop(&mut self) {
        let unwound = std::thread::panicking() && !self.unwinding;
        self.attached = None;
        self.span.end(|| if unwound { Outcome::unwound() } else { Outcome::default() });
    }
}

/// Adds tags to the current span, and to all spans started in the code that follows.
///
/// In a trace that is not sampled, a tag is evaluated only if it is propagated, overrides another value, or appears on
/// log lines.
#[derive(Debug, Default)]
#[must_use]
pub struct TagScope(Tags);

impl TagScope {
    /// Creates an empty set of tags.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds tags that are propagated to other processes; see
    /// [`SpanBuilder::propagate`](crate::SpanBuilder::propagate).
    pub fn propagate(mut self, fill: impl FnOnce(&mut Tags)) -> Self {
        let busy = Busy::begin();
        if !busy.is_nested() {
            fill(&mut self.0);
        }
        self
    }

    /// Adds the tags to the current span, and returns a [`Span`] that starts no new span and whose context carries the
    /// tags.
    #[inline]
    pub fn start_with(self, fill: impl FnOnce(&mut Tags)) -> Span {
        self.open(&mut once(fill))
    }

    /// Not generic, so that it is compiled once.
    #[inline(never)]
    fn open(mut self, fill: &mut dyn FnMut(&mut Tags)) -> Span {
        let busy = Busy::begin();
        if busy.is_nested() {
            return Span::none();
        }
        let current = current::get();
        // A span that does not record can still have children that do: a remote span, or the span
        // context that a detached job or a thread was started with.
        if !is_off(&current) {
            fill(&mut self.0);
        } else if let Some(needed) = NeededTags::below(&current) {
            self.0.keep_only(needed);
            fill(&mut self.0);
        }
        let span = current.span();
        if span.is_recording() {
            // The SDK keeps duplicate keys, so tags that the span already has are omitted.
            let inherited = scoped::of(&current);
            let inherited = inherited.list();
            span.set_attributes(self.0.scoped.iter().filter(|tag| !inherited.contains(tag)).cloned());
            report_missing(&self.0.take_missing(), &current);
        }
        Span(self.0.enrich(&current).map_or(Scope::Off, Scope::Within))
    }
}

/// Runs `f` with additional tags, for values that become known in the middle of a function.
///
/// The tags are added to the current span and to every span that starts in `f`, as with
/// [`#[biz_tags]`](macro@crate::biz_tags).
///
/// Contexts are immutable, so a tag cannot be added for the rest of the current block: move the code that should have
/// it into `f`. For an attribute of the current span only, use [`record`](crate::record).
///
/// ```
/// use throughline::traced;
///
/// #[traced]
/// fn price(customer: &str) -> u32 { 100 }
///
/// #[traced]
/// fn checkout(cookie: &str) -> u32 {
///     let customer = cookie.trim_start_matches("customer=");
///     throughline::in_tags(&[("customer_id", &customer)], || price(customer))
/// }
/// # let capture = throughline::testing::Capture::new();
/// # assert_eq!(capture.run(|| checkout("customer=c7")), 100);
/// # for span in ["checkout", "price"] {
/// #     assert_eq!(capture.span(span).attribute("customer_id").unwrap().as_str(), "c7");
/// # }
/// ```
pub fn in_tags<R>(tags: &[(&'static str, &dyn TagValue)], f: impl FnOnce() -> R) -> R {
    tag_scope(tags).in_scope(f)
}

/// Runs a future with additional tags; otherwise like [`in_tags`].
///
/// The tags are evaluated immediately, and added to the span that is current when this function is called.
///
/// ```
/// # async fn pay(customer: &str) {}
/// # async fn checkout(customer: &str) {
/// throughline::in_tags_async(&[("customer_id", &customer)], pay(customer)).await;
/// # }
/// ```
pub fn in_tags_async<F: Future>(tags: &[(&'static str, &dyn TagValue)], future: F) -> Instrumented<F> {
    tag_scope(tags).instrument(future, NoObserver)
}

fn tag_scope(tags: &[(&'static str, &dyn TagValue)]) -> Span {
    TagScope::new().start_with(|scope| {
        for (key, value) in tags {
            scope.scope(key, || Tag::new(value.tag_value()));
        }
    })
}
