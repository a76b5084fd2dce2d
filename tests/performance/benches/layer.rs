//! What does a span of `#[instrument]` cost with Throughline's layer, next to that of `tracing-opentelemetry`?
//!
//! One call of a function with two fields below an open span, by processor time, each with its own pipeline behind it.
//! With `--unsampled`, nothing is sampled; with `--without-unsampled`, the layer leaves out such spans. The columns
//! `registry` and `floor` have nothing behind them: a registry without a layer, and one with a layer that has a filter of
//! its own and does nothing. No layer with a filter costs less. The column `traced` is the same work with `#[traced]`, which
//! needs no registry.
#![forbid(unsafe_code)]

use std::future::{Future, poll_fn};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use throughline::traced;
use throughline::tracing_layer::Builder;
use throughline_performance::calls::Mode;
use throughline_performance::options::Options;
use throughline_performance::rounds::{Bench, Variant, time};
use throughline_performance::stack::Setup;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, dispatcher, info_span, instrument};
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::{Identity, SubscriberExt as _};

#[instrument(skip_all, fields(tenant_id = tenant_id, order_no = order_no))]
fn leaf(tenant_id: &str, order_no: i64) {
    black_box((tenant_id, order_no));
}

/// Yields three times.
#[instrument(skip_all, fields(tenant_id = tenant_id, order_no = order_no))]
async fn yielding(tenant_id: &str, order_no: i64) {
    yield_thrice().await;
    black_box((tenant_id, order_no));
}

#[traced(tags(tenant_id = tenant_id, order_no = order_no))]
fn traced_leaf(tenant_id: &str, order_no: i64) {
    black_box((tenant_id, order_no));
}

#[traced(tags(tenant_id = tenant_id, order_no = order_no))]
async fn traced_yielding(tenant_id: &str, order_no: i64) {
    yield_thrice().await;
    black_box((tenant_id, order_no));
}

async fn yield_thrice() {
    for _ in 0..3 {
        let mut polled = false;
        poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

fn finish(future: impl Future<Output = ()>) {
    let (mut future, mut context) = (pin!(future), Context::from_waker(Waker::noop()));
    while future.as_mut().poll(&mut context).is_pending() {}
}

fn main() {
    let unsampled = Options::from_arguments().flag("--unsampled");
    let bench =
        Bench::new(if unsampled { "layer_unsampled" } else { "layer" }, &Setup { unsampled, ..Setup::default() });
    let layer = if Options::from_arguments().flag("--without-unsampled") {
        Builder::new().without_unsampled().build()
    } else {
        throughline::tracing_layer()
    };
    let layer = Dispatch::new(tracing_subscriber::registry().with(layer));
    let nothing = Dispatch::new(tracing_subscriber::registry());
    let floor = Dispatch::new(tracing_subscriber::registry().with(Identity::new().with_filter(LevelFilter::DEBUG)));
    let mut variants = Vec::new();
    let only_row = Options::from_arguments().value("--row").map(String::from);
    let sync: [fn(); 2] = [|| leaf("acme", 1001), || traced_leaf("acme", 1001)];
    let yields: [fn(); 2] = [|| finish(yielding("acme", 1001)), || finish(traced_yielding("acme", 1001))];
    for (row, [call, traced]) in [("sync", sync), ("yields", yields)] {
        if only_row.as_deref().is_some_and(|only| only != row) {
            continue;
        }
        let below_root = move |calls| info_span!("root").in_scope(|| time(calls, call));
        let within = move |dispatch: &Dispatch, calls| dispatcher::with_default(dispatch, || below_root(calls));
        let (layer, nothing, floor) = (layer.clone(), nothing.clone(), floor.clone());
        // The bench sets the subscriber of `tracing-opentelemetry` for this mode.
        variants.push(Variant::new(row, "instrument", Mode::Instrument, below_root));
        variants.push(Variant::new(row, "layer", Mode::Ours, move |calls| within(&layer, calls)));
        variants.push(Variant::new(row, "registry", Mode::Ours, move |calls| within(&nothing, calls)));
        variants.push(Variant::new(row, "floor", Mode::Ours, move |calls| within(&floor, calls)));
        variants
            .push(Variant::new(row, "traced", Mode::Ours, move |calls| Mode::Ours.below_root(|| time(calls, traced))));
    }
    if let Some(column) = Options::from_arguments().value("--only") {
        // For a profiler.
        variants.retain(|variant| variant.is_of(column));
    }
    bench.run(variants);
}
