//! Runs the body of a function or a future in a span.
//!
//! Every annotated function instantiates the generic code here. To keep it small, the generic code only moves values of
//! the function's types; everything else is behind [`Step`] and compiled once.

use std::fmt;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use pin_project_lite::pin_project;

use crate::context::current::{self, Attached};
use crate::guard::reentrance::Busy;
use crate::span::builder::SpanBuilder;
use crate::span::callsite::Callsite;
use crate::span::handle::{Scope, Span};
use crate::span::outcome::Outcome;
use crate::span::settings::begin_here;
use crate::span::start::Start;
use crate::tags::set::Tags;

/// The steps of a call that depend on the types of the function.
trait Step {
    /// Runs the body, and keeps its return value.
    fn run(&mut self);

    /// The outcome of the return value. Called at most once, after `run` has returned.
    fn outcome(&mut self) -> Outcome;
}

/// The body and its return value share memory, to keep the stack frames of recursive functions small.
enum Call<B, R, O> {
    Body(B, O),
    Running,
    Value(R, Option<O>),
}

impl<R, B: FnOnce() -> R, O: FnOnce(&R) -> Outcome> Step for Call<B, R, O> {
    #[inline]
    fn run(&mut self) {
        if let Self::Body(body, outcome) = std::mem::replace(self, Self::Running) {
            *self = Self::Value(body(), Some(outcome));
        }
    }

    #[inline]
    fn outcome(&mut self) -> Outcome {
        let Self::Value(value, outcome) = self else { return Outcome::default() };
        outcome.take().map_or_else(Outcome::default, |outcome| outcome(value))
    }
}

impl<B, R, O> Call<B, R, O> {
    #[inline]
    fn value(self) -> R {
        match self {
            Self::Value(value, _) => value,
            Self::Body(..) | Self::Running => unreachable!("the panic of the body is resumed"),
        }
    }
}

/// Starts the span of a function.
#[inline(always)]
pub(crate) fn start(callsite: &'static Callsite, fill: &mut dyn FnMut(&mut Tags)) -> Span {
    let busy = Busy::begin();
    if busy.is_nested() {
        return Span::none();
    }
    if callsite.log {
        return SpanBuilder::at(callsite).open_here(fill);
    }
    begin_here(callsite, None, || Start::of(callsite), fill)
}

/// The span of a synchronous function. Generated code runs the body in it immediately: dropping the value before that
/// would leave the span open.
#[derive(Debug)]
pub struct Started(ManuallyDrop<Span>);

impl Started {
    #[inline]
    pub(crate) fn new(span: Span) -> Self {
        Self(ManuallyDrop::new(span))
    }

    /// Like [`Span::run`], but borrows the span, so that it is not moved.
    #[inline]
    pub fn __run<R>(&mut self, body: impl FnOnce() -> R, outcome: impl FnOnce(&R) -> Outcome) -> R {
        if self.0.is_none() {
            return body();
        }
        let mut call = Call::Body(body, outcome);
        // Separate calls, so that only `catch` has a stack frame while the body runs: recursive functions multiply it.
        let mut attached = ManuallyDrop::new(self.0.0.attach_until_end());
        let result = catch(&mut call);
        self.0.leave(&mut attached, &mut call, result);
        call.value()
    }
}

/// Runs the call, and returns the payload of a panic.
#[inline(never)]
fn catch(call: &mut dyn Step) -> thread::Result<()> {
    // Unwind safe: neither the body nor its captures are used after a panic.
    catch_unwind(AssertUnwindSafe(|| call.run()))
}

impl Span {
    /// Runs `body` in the span and ends the span, even if `body` panics.
    ///
    /// A panic is caught, recorded, and then resumed.
    #[inline]
    pub fn run<R>(self, body: impl FnOnce() -> R, outcome: impl FnOnce(&R) -> Outcome) -> R {
        Started::new(self).__run(body, outcome)
    }

    /// [`run`](Self::run), for generated code.
    #[doc(hidden)]
    #[inline]
    pub fn __run<R>(self, body: impl FnOnce() -> R, outcome: impl FnOnce(&R) -> Outcome) -> R {
        self.run(body, outcome)
    }

    /// Ends the span of a call, and resumes its panic.
    #[inline(never)]
    fn leave(&mut self, attached: &mut Attached, call: &mut dyn Step, result: thread::Result<()>) {
        // Moved out of the caller's handle, which is never dropped: `outcome` is application code and may panic.
        let mut span = self.take();
        let busy = Busy::begin();
        attached.detach();
        span.0.finish(|| match &result {
            Ok(()) => call.outcome(),
            Err(payload) => Outcome::from_panic(&**payload),
        });
        drop(span);
        drop(busy);
        if let Err(payload) = result {
            resume_unwind(payload);
        }
    }

    /// Runs one step of the work with the span's context current. A panic ends the span and is then resumed.
    #[inline]
    pub fn in_scope<R>(&mut self, f: impl FnOnce() -> R) -> R {
        if self.is_none() {
            return f();
        }
        let mut call = Call::Body(f, |_: &R| Outcome::default());
        self.step(&mut || call.run());
        call.value()
    }

    #[inline(never)]
    fn step(&mut self, f: &mut dyn FnMut()) {
        let Scope::Within(context) = &self.0 else { return self.step_in_span(f) };
        let _attached = current::attach(context.clone());
        f();
    }

    fn step_in_span(&mut self, f: &mut dyn FnMut()) {
        let attached = self.0.attach();
        // Unwind safe: a panic ends the span, and the captured state is not used after it.
        let result = catch_unwind(AssertUnwindSafe(f));
        drop(attached);
        if let Err(payload) = result {
            self.end(|| Outcome::from_panic(&*payload));
            resume_unwind(payload);
        }
    }

    /// Ends the span of a future that has completed.
    #[inline(never)]
    fn conclude(&mut self, outcome: &mut dyn FnMut() -> Outcome) {
        self.end(outcome);
    }

    /// Like [`attach`](Self::attach), but not inlined into each caller.
    #[inline(never)]
    fn attach_outlined(&self) -> Attached {
        self.attach()
    }
}

pin_project! {
    /// The future of an annotated `async fn`.
    ///
    /// It holds the arguments until it is first polled, and from then on the span and the body, which owns the
    /// arguments. The two states share memory, so an argument takes no more space than without a span.
    #[must_use = "futures do nothing unless polled"]
    pub struct TracedFuture<M, F, O> {
        #[pin]
        state: State<M, F>,
        // Dropped in `PinnedDrop`, which makes no call if there is no span.
        span: ManuallyDrop<Span>,
        outcome: O,
    }

    impl<M, F, O> PinnedDrop for TracedFuture<M, F, O> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.span.is_none() {
                return;
            }
            let span = this.span.take();
            // Current while the body is dropped, so that its destructors are traced.
            let _attached = span.attach_outlined();
            this.state.set(State::Gone);
        }
    }
}

pin_project! {
    #[project = StateProjected]
    #[project_replace = StateReplaced]
    enum State<M, F> {
        /// Not polled yet.
        Unpolled { begin: M },
        Begun { #[pin] body: F },
        /// `begin` has panicked, or the future is being dropped.
        Gone,
    }
}

impl<M: FnOnce() -> (Span, F), F: Future, O: Fn(&F::Output) -> Outcome> TracedFuture<M, F, O> {
    /// `begin` starts the span and returns the body when the future is first polled.
    #[inline]
    pub(crate) fn new(begin: M, outcome: O) -> Self {
        Self { state: State::Unpolled { begin }, span: ManuallyDrop::new(Span::none()), outcome }
    }

    /// Not inlined, because the body is moved over the stack here, which must not enlarge the frame of `poll`.
    #[inline(never)]
    fn begin(self: Pin<&mut Self>) {
        let mut this = self.project();
        if let StateReplaced::Unpolled { begin } = this.state.as_mut().project_replace(State::Gone) {
            let begun = begin();
            // An empty span is neither moved nor dropped: a wide load right after narrow stores stalls.
            if begun.0.is_none() {
                std::mem::forget(begun.0);
            } else {
                *this.span = ManuallyDrop::new(begun.0);
            }
            this.state.set(State::Begun { body: begun.1 });
        }
    }
}

impl<M: FnOnce() -> (Span, F), F: Future, O: Fn(&F::Output) -> Outcome> Future for TracedFuture<M, F, O> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if let State::Unpolled { .. } = self.state {
            self.as_mut().begin();
        }
        let this = self.project();
        let StateProjected::Begun { mut body } = this.state.project() else { resumed_after_panicking() };
        if this.span.is_none() {
            return body.poll(cx);
        }
        let mut polled = Poll::Pending;
        this.span.step(&mut || polled = body.as_mut().poll(cx));
        if let Poll::Ready(output) = &polled {
            this.span.conclude(&mut || (this.outcome)(output));
        }
        polled
    }
}

/// Panics with the same message as an `async fn` without the attribute.
#[cold]
fn resumed_after_panicking() -> ! {
    panic!("`async fn` resumed after panicking")
}

impl<M, F, O> fmt::Debug for TracedFuture<M, F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TracedFuture").field("span", &self.span).finish_non_exhaustive()
    }
}
