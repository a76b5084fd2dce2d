//! What does a span of `#[instrument]` cost with Throughline's layer, compared with that of `tracing-opentelemetry`?
//!
//! One call of a function with two fields below an open span, in CPU time, each with its own pipeline behind it.
//! With `--unsampled`, nothing is sampled; with `--without-unsampled`, the layer leaves out such spans. The columns
//! `registry` and `floor` have nothing behind them: a registry without a layer, and one with a layer that has its own
//! filter and does nothing. No layer with a filter costs less. The column `traced` is the same work with `#[traced]`,
//! which needs no registry.
#![forbid(unsafe_code)]

use throughline::tracing_layer::Builder;
use throughline_performance::calls::Mode;
use throughline_performance::options::Options;
use throughline_performance::rounds::{Bench, Variant, time};
use throughline_performance::stack::Setup;
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::{Identity, SubscriberExt as _};

fn main() {
    let unsampled = Options::from_arguments().flag("--unsampled");
    let bench = Bench::new(
        if unsampled { "layer_unsampled" } else { "layer" },
        &Setup { queue: Some(65_536), unsampled, ..Setup::default() },
    );
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
    let rows = [("sync", Mode::leaf as fn(Mode, &'static str, i64) -> usize), ("yields", Mode::leaf_yielding)];
    for (row, leaf) in rows {
        if only_row.as_deref().is_some_and(|only| only != row) {
            continue;
        }
        let below_root =
            move |calls| Mode::Instrument.below_root(|| time(calls, || _ = leaf(Mode::Instrument, "acme", 1001)));
        let within = move |dispatch: &Dispatch, calls| dispatcher::with_default(dispatch, || below_root(calls));
        let (layer, nothing, floor) = (layer.clone(), nothing.clone(), floor.clone());
        // The bench sets the subscriber of `tracing-opentelemetry` for this mode.
        variants.push(Variant::new(row, "instrument", Mode::Instrument, below_root));
        variants.push(Variant::new(row, "layer", Mode::Ours, move |calls| within(&layer, calls)));
        variants.push(Variant::new(row, "registry", Mode::Ours, move |calls| within(&nothing, calls)));
        variants.push(Variant::new(row, "floor", Mode::Ours, move |calls| within(&floor, calls)));
        variants.push(Variant::new(row, "traced", Mode::Ours, move |calls| {
            Mode::Ours.below_root(|| time(calls, || _ = leaf(Mode::Ours, "acme", 1001)))
        }));
    }
    if let Some(column) = Options::from_arguments().value("--only") {
        // For a profiler.
        variants.retain(|variant| variant.is_of(column));
    }
    bench.run(variants);
}
