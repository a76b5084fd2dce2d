//! What `#[traced]` costs apart from time: stack, the size of futures, and the depth of their types.
//!
//! `cargo test --release -p throughline-size -- --nocapture` prints the figures of docs/performance.md. The sizes of
//! futures are the same in every build; the frames are compared in optimized builds only.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;

use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

/// An address in the stack frame of the caller.
#[expect(clippy::inline_always, reason = "the address must be in the frame of the caller")]
#[inline(always)]
fn here() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(black_box(&here)).addr()
}

/// A function that calls itself, and pushes an address in each of its frames.
macro_rules! recursion {
    ($name:ident $(, #[$attribute:meta])?) => {
        $(#[$attribute])?
        #[inline(never)]
        fn $name(levels: usize, frames: &mut Vec<usize>) -> usize {
            frames.push(here());
            if levels == 0 { 0 } else { $name(black_box(levels - 1), frames) + 1 }
        }
    };
}

recursion!(plain);
recursion!(traced, #[throughline::traced]);
recursion!(instrumented, #[tracing::instrument(skip_all)]);

/// The bytes of stack that one level of the recursion takes.
fn bytes_per_level(recursion: fn(usize, &mut Vec<usize>) -> usize) -> usize {
    let mut frames = Vec::with_capacity(16);
    assert_eq!(recursion(10, &mut frames), 10);
    let distances: Vec<_> = frames.windows(2).map(|pair| pair[0] - pair[1]).collect();
    assert!(distances.iter().all(|distance| *distance == distances[0]), "{distances:?}");
    distances[0]
}

fn provider(sampler: Sampler) -> SdkTracerProvider {
    SdkTracerProvider::builder().with_sampler(sampler).build()
}

#[test]
fn a_traced_function_takes_little_stack() {
    let frame = bytes_per_level(traced);
    println!(
        "frame, nothing set up: plain {}, #[traced] {frame}, #[instrument] {}",
        bytes_per_level(plain),
        bytes_per_level(instrumented)
    );
    throughline::install(&provider(Sampler::AlwaysOff));
    let unsampled = throughline::in_span("unsampled", || bytes_per_level(traced));
    println!("frame, not sampled: #[traced] {unsampled}");
    throughline::install(&provider(Sampler::AlwaysOn));
    let recorded = bytes_per_level(traced);
    println!("frame, recorded: #[traced] {recorded}");
    if !cfg!(debug_assertions) {
        assert!(frame <= 112, "{frame} bytes of stack where nothing is set up");
        assert!(unsampled <= 112, "{unsampled} bytes of stack where nothing is recorded");
        assert!(recorded <= 192, "{recorded} bytes of stack where spans are recorded");
        // As deep as plain code, on a thread with the default stack of two mebibytes.
        let deep = thread::Builder::new().stack_size(2 << 20).spawn(|| traced(10_000, &mut Vec::new()));
        assert_eq!(deep.expect("there is a thread").join().expect("it returns"), 10_000);
    }
}

async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|_| if std::mem::replace(&mut paused, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// Functions, each of which awaits the next one.
macro_rules! nested {
    ([$($attribute:tt)*] $argument:ty: $last:ident) => {
        $($attribute)*
        pub(super) async fn $last(argument: $argument) -> usize {
            pause().await;
            std::mem::size_of_val(&black_box(argument))
        }
    };
    ([$($attribute:tt)*] $argument:ty: $outer:ident $inner:ident $($more:ident)*) => {
        $($attribute)*
        pub(super) async fn $outer(argument: $argument) -> usize {
            $inner(argument).await + usize::from(black_box(argument)[0])
        }

        nested!([$($attribute)*] $argument: $inner $($more)*);
    };
}

/// The same, but the functions do not need the argument after the call.
macro_rules! passed_on {
    ([$($attribute:tt)*] $argument:ty: $last:ident) => {
        nested!([$($attribute)*] $argument: $last);
    };
    ([$($attribute:tt)*] $argument:ty: $outer:ident $inner:ident $($more:ident)*) => {
        $($attribute)*
        pub(super) async fn $outer(argument: $argument) -> usize {
            $inner(argument).await
        }

        passed_on!([$($attribute)*] $argument: $inner $($more)*);
    };
}

macro_rules! futures {
    ($module:ident, $($attribute:tt)*) => {
        mod $module {
            use super::{black_box, pause};

            nested!([$($attribute)*] [u8; 8]: one);
            nested!([$($attribute)*] [u8; 1024]: a1 a2 a3 a4 a5 a6 a7 a8 a9 a10);
            passed_on!([$($attribute)*] [u8; 1024]: c1 c2 c3 c4 c5 c6 c7 c8 c9 c10);
        }
    };
}

futures!(plainly,);
futures!(with_traced, #[throughline::traced]);
futures!(with_instrument, #[tracing::instrument(skip_all)]);

mod deep {
    use super::{black_box, pause};

    nested!([#[throughline::traced]] [u8; 8]:
        b1 b2 b3 b4 b5 b6 b7 b8 b9 b10 b11 b12 b13 b14 b15 b16 b17 b18 b19 b20 b21);
}

fn run<F: Future + Send>(future: F) -> F::Output {
    let (mut future, mut context) = (pin!(future), Context::from_waker(Waker::noop()));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

#[test]
fn a_traced_future_is_no_larger_than_an_instrumented_one() {
    let small = [
        size_of_val(&plainly::one([1; 8])),
        size_of_val(&with_traced::one([1; 8])),
        size_of_val(&with_instrument::one([1; 8])),
    ];
    let large = [
        size_of_val(&plainly::a1([1; 1024])),
        size_of_val(&with_traced::a1([1; 1024])),
        size_of_val(&with_instrument::a1([1; 1024])),
    ];
    let passed_on = [
        size_of_val(&plainly::c1([1; 1024])),
        size_of_val(&with_traced::c1([1; 1024])),
        size_of_val(&with_instrument::c1([1; 1024])),
    ];
    println!("future: plain, #[traced], #[instrument]: {small:?}");
    println!("ten nested, with a kilobyte of arguments: {large:?}");
    println!("ten nested, which pass on a kilobyte: {passed_on:?}");
    assert!(small[1] <= small[2], "{small:?}");
    // The arguments are in it once: what the spans add does not depend on their size.
    for [plain, traced, _] in [large, passed_on] {
        assert!(traced <= plain + 10 * 64, "{traced} instead of {plain}");
    }
}

/// Compiles with the default recursion limit of 128.
#[test]
fn many_nested_futures_are_send() {
    assert_eq!(run(deep::b1([1; 8])), 8 + 20);
}
