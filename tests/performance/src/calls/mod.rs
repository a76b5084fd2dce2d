//! The work that is traced, the same for each way to trace it.
//!
//! - A *request* is six nested spans, each with two tags, a text and an integer, and the source location.
//! - A *leaf* is one such span below an open one.

mod by_hand;
mod fastrace;
mod floor;
mod inert;
mod instrument;
mod least;
mod ours;

use std::fmt;
use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::pin;
use std::str::FromStr;
use std::task::{Context, Poll, Waker};

pub use self::by_hand::set_tracer;

/// The prefix of the names of all spans of the workload.
pub const PREFIX: &str = "step_";

/// How many spans a request has.
pub const SPANS_PER_REQUEST: u64 = 6;

/// A way to trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Not at all.
    Plain,
    /// `#[traced]`, and `throughline::init`.
    Ours,
    /// The OpenTelemetry API by hand, with the SDK's tracer in a static.
    ByHand,
    /// `#[fastrace::trace]`.
    Fastrace,
    /// `#[tracing::instrument]`, and `tracing-opentelemetry`.
    Instrument,
    /// `#[tracing::instrument]`, and `throughline::tracing_layer`.
    Layer,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Plain, Self::Ours, Self::ByHand, Self::Fastrace, Self::Instrument, Self::Layer];

    /// The modes that are compared within one process.
    pub const BENCHED: [Self; 5] = [Self::Plain, Self::Ours, Self::ByHand, Self::Fastrace, Self::Instrument];

    /// The modes in which calls are traced, of [`BENCHED`](Self::BENCHED).
    pub const TRACED: [Self; 4] = [Self::Ours, Self::ByHand, Self::Fastrace, Self::Instrument];

    /// Its name in arguments and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Ours => "ours",
            Self::ByHand => "sdk",
            Self::Fastrace => "fastrace",
            Self::Instrument => "instrument",
            Self::Layer => "layer",
        }
    }

    /// A whole request.
    pub fn request(self, tenant_id: &str, order_no: i64) -> usize {
        match self {
            Self::Plain => plain_request(tenant_id, order_no),
            Self::Ours => ours::request(tenant_id, order_no),
            Self::ByHand => by_hand::request(tenant_id, order_no),
            Self::Fastrace => fastrace::request(tenant_id, order_no),
            Self::Instrument | Self::Layer => instrument::request(tenant_id, order_no),
        }
    }

    /// A request with one span less, in asynchronous functions that are ready at once.
    pub async fn request_async(self, tenant_id: &str, order_no: i64) -> usize {
        match self {
            Self::Plain => plain_request(tenant_id, order_no),
            Self::Ours => ours::request_async(tenant_id, order_no).await,
            Self::ByHand => by_hand::request_async(tenant_id, order_no).await,
            Self::Fastrace => fastrace::request_async(tenant_id, order_no).await,
            Self::Instrument | Self::Layer => instrument::request_async(tenant_id, order_no).await,
        }
    }

    /// One span below another.
    pub fn leaf(self, tenant_id: &str, order_no: i64) -> usize {
        match self {
            Self::Plain => plain(tenant_id, order_no),
            Self::Ours => ours::leaf(tenant_id, order_no),
            Self::ByHand => by_hand::leaf(tenant_id, order_no),
            Self::Fastrace => fastrace::leaf(tenant_id, order_no),
            Self::Instrument | Self::Layer => instrument::leaf(tenant_id, order_no),
        }
    }

    /// One span below another, in an asynchronous function that is ready at once.
    pub fn leaf_async(self, tenant_id: &str, order_no: i64) -> usize {
        match self {
            Self::Plain => ready(plain_async(tenant_id, order_no)),
            Self::Ours => ready(ours::leaf_async(tenant_id, order_no)),
            Self::ByHand => ready(by_hand::leaf_async(tenant_id, order_no)),
            Self::Fastrace => ready(fastrace::leaf_async(tenant_id, order_no)),
            Self::Instrument | Self::Layer => ready(instrument::leaf_async(tenant_id, order_no)),
        }
    }

    /// One span below another, in an asynchronous function that yields three times.
    pub fn leaf_yielding(self, tenant_id: &str, order_no: i64) -> usize {
        match self {
            Self::Plain => finished(yielding(tenant_id, order_no)),
            Self::Ours => finished(ours::leaf_yielding(tenant_id, order_no)),
            Self::ByHand => finished(by_hand::leaf_yielding(tenant_id, order_no)),
            Self::Fastrace => finished(fastrace::leaf_yielding(tenant_id, order_no)),
            Self::Instrument | Self::Layer => finished(instrument::leaf_yielding(tenant_id, order_no)),
        }
    }

    /// Runs `work` below a root span.
    pub fn below_root<R>(self, work: impl FnOnce() -> R) -> R {
        match self {
            Self::Plain => work(),
            Self::Ours => ours::root(work),
            Self::ByHand => by_hand::root(work),
            Self::Fastrace => fastrace::root(work),
            Self::Instrument | Self::Layer => instrument::root(work),
        }
    }

    /// `depth` nested spans, the innermost of which runs `work`.
    pub fn nested(self, depth: usize, work: &mut dyn FnMut()) {
        match self {
            Self::Plain => work(),
            Self::Ours => ours::nested(depth, work),
            Self::ByHand => by_hand::nested(depth, work),
            Self::Fastrace => fastrace::nested(depth, work),
            Self::Instrument | Self::Layer => instrument::nested(depth, work),
        }
    }

    /// A future with an open span, which is never ready.
    pub fn waiting(self) -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
        match self {
            Self::Plain => Box::pin(std::future::pending()),
            Self::Ours => Box::pin(ours::waiting("acme", 1001)),
            Self::ByHand => Box::pin(by_hand::waiting("acme", 1001)),
            Self::Fastrace => Box::pin(fastrace::waiting("acme", 1001)),
            Self::Instrument | Self::Layer => Box::pin(instrument::waiting("acme", 1001)),
        }
    }

    /// One span below another with this many integer tags, one of [`TAGS`].
    ///
    /// # Panics
    ///
    /// With another number of tags.
    pub fn tagged(self, tags: usize, value: i64) {
        match self {
            Self::Plain => _ = black_box(value),
            Self::Ours => ours::tagged(tags, value),
            Self::ByHand => by_hand::tagged(tags, value),
            Self::Fastrace => fastrace::tagged(tags, value),
            Self::Instrument | Self::Layer => instrument::tagged(tags, value),
        }
    }
}

/// A leaf of ours whose tags are those of `#[biz_tags]`.
pub fn biz_tags_leaf(tenant_id: &str, order_no: i64) -> usize {
    ours::biz_tags_leaf(tenant_id, order_no)
}

/// The same, in an asynchronous function.
pub fn biz_tags_leaf_async(tenant_id: &str, order_no: i64) -> usize {
    ready(ours::biz_tags_leaf_async(tenant_id, order_no))
}

/// Runs `work` below this many tags of `#[biz_tags]`, one of [`TAGS`].
///
/// # Panics
///
/// With another number of tags.
pub fn below_biz_tags(tags: usize, value: i64, work: &mut dyn FnMut()) {
    ours::below_biz_tags(tags, value, work);
}

/// The leaf of the OpenTelemetry API as in its documentation: with the global provider's tracer for each call.
pub fn global_leaf(tenant_id: &str, order_no: i64) -> usize {
    by_hand::global_leaf(tenant_id, order_no)
}

/// The same, in an asynchronous function.
pub fn global_leaf_async(tenant_id: &str, order_no: i64) -> usize {
    ready(by_hand::global_leaf_async(tenant_id, order_no))
}

/// The share of OpenTelemetry's API, the allocator and the clock in any leaf: a span that records nothing.
pub fn floor_leaf(tenant_id: &str, order_no: i64) -> usize {
    floor::leaf(tenant_id, order_no)
}

/// The same, in an asynchronous function.
pub fn floor_leaf_async(tenant_id: &str, order_no: i64) -> usize {
    ready(floor::leaf_async(tenant_id, order_no))
}

/// The floor, plus a span that is encoded into the buffer of its trace when it ends.
pub fn encoded_leaf(tenant_id: &str, order_no: i64) -> usize {
    least::leaf::<false>(tenant_id, order_no)
}

/// The same, plus an entry in a table of open spans.
pub fn listed_leaf(tenant_id: &str, order_no: i64) -> usize {
    least::leaf::<true>(tenant_id, order_no)
}

/// The minimum for finding out that the parent span is not sampled.
///
/// # Panics
///
/// If it is.
pub fn floor_unsampled(tenant_id: &str, order_no: i64) -> usize {
    floor::unsampled_leaf(tenant_id, order_no)
}

/// The same, in an asynchronous function.
///
/// # Panics
///
/// If it is.
pub fn floor_unsampled_async(tenant_id: &str, order_no: i64) -> usize {
    ready(floor::unsampled_leaf_async(tenant_id, order_no))
}

/// The numbers of tags for which there are functions.
pub const TAGS: [usize; 7] = [0, 1, 2, 4, 8, 16, 32];

/// Calls `$with!` with the name of a function and its tags, for each number of [`TAGS`] but 0.
macro_rules! for_each_number_of_tags {
    ($with:ident) => {
        $with! {
            1 => tags_1(t0);
            2 => tags_2(t0 t1);
            4 => tags_4(t0 t1 t2 t3);
            8 => tags_8(t0 t1 t2 t3 t4 t5 t6 t7);
            16 => tags_16(t0 t1 t2 t3 t4 t5 t6 t7 t8 t9 t10 t11 t12 t13 t14 t15);
            32 => tags_32(t0 t1 t2 t3 t4 t5 t6 t7 t8 t9 t10 t11 t12 t13 t14 t15
                t16 t17 t18 t19 t20 t21 t22 t23 t24 t25 t26 t27 t28 t29 t30 t31);
        }
    };
}
use for_each_number_of_tags;

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|mode| mode.name() == name).ok_or_else(|| {
            format!("unknown mode `{name}`; expected one of {}", Self::ALL.map(|mode| format!("`{mode}`")).join(", "))
        })
    }
}

fn plain(tenant_id: &str, order_no: i64) -> usize {
    black_box(tenant_id).len() + usize::from(black_box(order_no) == 0)
}

async fn plain_async(tenant_id: &str, order_no: i64) -> usize {
    plain(tenant_id, order_no)
}

async fn yielding(tenant_id: &str, order_no: i64) -> usize {
    for _ in 0..3 {
        let mut polled = false;
        poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
    plain(tenant_id, order_no)
}

#[inline(never)]
fn plain_request(tenant_id: &str, order_no: i64) -> usize {
    plain(tenant_id, order_no)
}

/// Runs a future that is ready at once: what is measured is the span, not a scheduler.
#[expect(clippy::inline_always, reason = "otherwise, only some of the compared calls would be inlined")]
#[inline(always)]
fn ready<F: Future>(future: F) -> F::Output {
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut cx) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

/// Runs a future that yields.
fn finished<F: Future>(future: F) -> F::Output {
    let (mut future, mut cx) = (pin!(future), Context::from_waker(Waker::noop()));
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
    }
}
