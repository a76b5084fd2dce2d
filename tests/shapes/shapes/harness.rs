//! Runs the same source with a `#[traced]` that does nothing and with the real one, and compares.
//!
//! [`shape!`] takes items and a call; [`both!`] takes a function without `async`, and creates two shapes from it. Every
//! shape runs four times: without the attribute, recorded, not sampled, and without a tracer provider. An asynchronous
//! one is also dropped after each of its polls, in a run of its own.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{self, Poll, Waker};

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceContextExt as _};
use opentelemetry_sdk::trace::Sampler;
use throughline::testing::Capture;

thread_local! {
    static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Logs a line. Plain and traced code must log the same lines in the same order.
pub(crate) fn log(line: impl Into<String>) {
    LOG.with_borrow_mut(|log| log.push(line.into()));
}

/// Logs when it is dropped.
#[derive(Debug, PartialEq)]
pub(crate) struct Noisy(pub(crate) &'static str);

impl Drop for Noisy {
    fn drop(&mut self) {
        let how = if std::thread::panicking() { " (unwinding)" } else { "" };
        log(format!("drop {}{how}", self.0));
    }
}

/// Pending once.
pub(crate) fn pause() -> impl Future<Output = ()> {
    let mut paused = false;
    std::future::poll_fn(move |cx| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

/// The observable result of a run.
#[derive(Debug, PartialEq)]
struct Run {
    ended: Ended,
    log: Vec<String>,
}

#[derive(Debug, PartialEq)]
enum Ended {
    Returned(String),
    Panicked(String),
    Dropped,
}

fn panicked(payload: &(dyn Any + Send)) -> Ended {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    Ended::Panicked(text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".into()))
}

fn current_span() -> SpanId {
    Context::map_current(|current| current.span().span_context().span_id())
}

/// Runs `f`, and checks that the current span is the same afterwards.
fn tidy<R>(f: impl FnOnce() -> R) -> R {
    let before = current_span();
    let value = f();
    assert_eq!(current_span(), before, "the current span has changed");
    value
}

fn run(call: fn() -> String) -> Run {
    LOG.take();
    let ended = match tidy(|| catch_unwind(call)) {
        Ok(text) => Ended::Returned(text),
        Err(payload) => panicked(&*payload),
    };
    Run { ended, log: LOG.take() }
}

/// Polls until completion, or `polls` times, and drops the future. Also returns how often it was polled.
fn drive<F: Future<Output = String>>(make: fn() -> F, polls: usize) -> (Run, usize) {
    LOG.take();
    let mut ended = Ended::Dropped;
    let mut polled = 0;
    let made = tidy(|| catch_unwind(|| Box::pin(make())));
    let mut future: Option<Pin<Box<F>>> = match made {
        Ok(future) => Some(future),
        Err(payload) => {
            ended = panicked(&*payload);
            None
        }
    };
    while let Some(pinned) = future.as_mut().filter(|_| polled < polls && ended == Ended::Dropped) {
        assert!(polled < 100, "this future does not end");
        polled += 1;
        let mut cx = task::Context::from_waker(Waker::noop());
        match tidy(|| catch_unwind(AssertUnwindSafe(|| pinned.as_mut().poll(&mut cx)))) {
            Ok(Poll::Pending) => log("pending"),
            Ok(Poll::Ready(text)) => ended = Ended::Returned(text),
            Err(payload) => ended = panicked(&*payload),
        }
    }
    if let Err(payload) = tidy(|| catch_unwind(AssertUnwindSafe(|| drop(future)))) {
        log(format!("dropped: {:?}", panicked(&*payload)));
    }
    (Run { ended, log: LOG.take() }, polled)
}

/// Runs `f` below a span `outer`, and returns the captured spans.
fn below_outer<R>(f: impl FnOnce() -> R) -> (R, Capture) {
    let capture = Capture::new();
    let value = capture.run(|| throughline::in_span("outer", f));
    assert_eq!(capture.open(), 0, "a span has not ended");
    assert!(!Context::current().has_active_span());
    (value, capture)
}

/// Checks that the captured spans are `outer` and, below it, `tree`: one line, or several with their branches.
fn assert_below_outer(capture: &Capture, tree: &str) {
    let expected = match tree {
        "" => "outer".to_owned(),
        tree if tree.contains('─') => format!("outer\n{tree}"),
        line => format!("outer\n└── {line}"),
    };
    assert_eq!(capture.tree(), expected);
}

pub(crate) fn check(tree: &str, plain: fn() -> String, traced: fn() -> String) {
    let expected = run(plain);
    let (recorded, capture) = below_outer(|| run(traced));
    assert_eq!(recorded, expected);
    assert_below_outer(&capture, tree);

    let unsampled = Capture::with_sampler(Sampler::AlwaysOff);
    assert_eq!(unsampled.run(|| throughline::in_span("outer", || run(traced))), expected);
    assert!(unsampled.spans().is_empty());
    assert_eq!(run(traced), expected);
}

/// Where the span of an asynchronous function starts.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Starts {
    /// At the first poll.
    Polled,
    /// With the call, which returns a future.
    Called,
    /// Unknown: the future under test is only a part of the polled one.
    Somewhere,
}

pub(crate) fn check_async<P, T>(tree: &str, starts: Starts, plain: fn() -> P, traced: fn() -> T)
where
    P: Future<Output = String>,
    T: Future<Output = String>,
{
    let (expected, polls) = drive(plain, usize::MAX);
    let (recorded, capture) = below_outer(|| drive(traced, usize::MAX).0);
    assert_eq!(recorded, expected);
    assert_below_outer(&capture, tree);

    let unsampled = Capture::with_sampler(Sampler::AlwaysOff);
    assert_eq!(unsampled.run(|| throughline::in_span("outer", || drive(traced, usize::MAX).0)), expected);
    assert!(unsampled.spans().is_empty());
    assert_eq!(drive(traced, usize::MAX).0, expected);

    for polls in 0..polls {
        let (expected, _) = drive(plain, polls);
        let (dropped, capture) = below_outer(|| drive(traced, polls).0);
        assert_eq!(dropped, expected, "dropped after {polls} polls");
        let name = tree.trim_start_matches(['└', '├', '─', ' ']).split([' ', '\n']).next().unwrap_or_default();
        match starts {
            Starts::Polled if polls == 0 => assert!(capture.named(name).is_empty(), "{}", capture.tree()),
            Starts::Polled | Starts::Called => {
                let spans = capture.spans();
                let outer = capture.span("outer");
                let span = spans.iter().find(|span| span.name() == name && span.is_child_of(&outer));
                assert!(span.is_some_and(|span| span.is_cancelled()), "{}", capture.tree());
            }
            Starts::Somewhere => {}
        }
        // Without a span, the destructors run in the same order, too.
        assert_eq!(unsampled.run(|| throughline::in_span("outer", || drive(traced, polls).0)), expected);
    }
}

/// One source, without the attribute in `plain` and with it in `traced`.
///
/// `tests/lints/compare` lints it with `--cfg linted="plain"` and with `"traced"`: then there is one copy of it, with
/// the attributes of this kind.
macro_rules! twice {
    ($($source:tt)*) => {
        #[cfg(linted)]
        pub(crate) use self::traced as plain;

        #[cfg(not(linted))]
        pub(crate) mod plain {
            #[allow(unused_imports, reason = "a shape takes what it needs")]
            use {super::super::*, throughline_plain::{biz_tags, traced}};

            $($source)*
        }

        pub(crate) mod traced {
            #[allow(unused_imports, reason = "a shape takes what it needs")]
            use super::super::*;
            #[cfg(not(linted = "plain"))]
            #[allow(unused_imports, reason = "a shape takes what it needs")]
            use throughline::{biz_tags, traced};
            #[cfg(linted = "plain")]
            #[allow(unused_imports, reason = "a shape takes what it needs")]
            use throughline_plain::{biz_tags, traced};

            $($source)*
        }
    };
}

/// `shape!(name, tree, { items }, call)`: the items, and a call whose value is compared.
///
/// The keyword before the call is its kind: none for a value, `future` for a future whose span starts with its first
/// poll, `started` for a future whose span starts with the call, `block` for an expression that contains `.await`. A
/// closure after the call, such as `|f| f(1)`, is applied to the value.
macro_rules! shape {
    ($name:ident, $tree:expr, { $($item:tt)* }, future $call:expr $(, |$value:ident| $then:expr)? $(,)?) => {
        $crate::shapes::harness::shape!(@async $name, $tree, Polled, { $($item)* }, {
            let future = $call;
            async move {
                let value = future.await;
                $(let $value = value; let value = $then;)?
                format!("{value:?}")
            }
        });
    };
    ($name:ident, $tree:expr, { $($item:tt)* }, started $call:expr $(,)?) => {
        $crate::shapes::harness::shape!(@async $name, $tree, Called, { $($item)* }, {
            let future = $call;
            async move { format!("{:?}", future.await) }
        });
    };
    ($name:ident, $tree:expr, { $($item:tt)* }, block $call:expr $(,)?) => {
        $crate::shapes::harness::shape!(@async $name, $tree, Somewhere, { $($item)* }, {
            async {
                let value = $call;
                format!("{value:?}")
            }
        });
    };
    ($name:ident, $tree:expr, { $($item:tt)* }, $call:expr $(, |$value:ident| $then:expr)? $(,)?) => {
        mod $name {
            $crate::shapes::harness::twice! {
                $($item)*

                pub(crate) fn call() -> String {
                    let value = $call;
                    $(let $value = value; let value = $then;)?
                    format!("{value:?}")
                }
            }
        }

        #[test]
        fn $name() {
            $crate::shapes::harness::check($tree, $name::plain::call, $name::traced::call);
        }
    };
    (@async $name:ident, $tree:expr, $starts:ident, { $($item:tt)* }, $call:block) => {
        mod $name {
            $crate::shapes::harness::twice! {
                $($item)*

                pub(crate) fn call() -> impl Future<Output = String> $call
            }
        }

        #[test]
        fn $name() {
            let starts = $crate::shapes::harness::Starts::$starts;
            $crate::shapes::harness::check_async($tree, starts, $name::plain::call, $name::traced::call);
        }
    };
}

/// `both!(name, tree, { items }, { fn … }, call)`: a function, also as an `async fn`.
///
/// In its body, `pause!()` is a point at which the `async fn` waits. The call may pass values to the function, but no
/// borrows.
macro_rules! both {
    ($name:ident, $tree:expr, { $($item:tt)* }, { $($function:tt)* }, $call:expr $(, |$value:ident| $then:expr)? $(,)?) => {
        mod $name {
            #[allow(unused_imports, reason = "a shape takes what it needs")]
            use super::*;

            $crate::shapes::harness::shape!(
                sync,
                $tree,
                {
                    #[allow(unused_macros, reason = "not every function waits")]
                    macro_rules! pause {
                        () => {};
                    }
                    $($item)*
                    #[traced]
                    $($function)*
                },
                $call
                $(, |$value| $then)?
            );

            $crate::shapes::harness::shape!(
                asynchronous,
                $tree,
                {
                    #[allow(unused_macros, reason = "not every function waits")]
                    macro_rules! pause {
                        () => { $crate::shapes::harness::pause().await };
                    }
                    $($item)*
                    #[traced]
                    async $($function)*
                },
                future $call
                $(, |$value| $then)?
            );
        }
    };
}

pub(crate) use {both, shape, twice};
