//! A recorded `tracing` span takes at most half as many allocations as with `tracing-opentelemetry`.
//!
//! A process of its own, because it installs a provider.

use std::time::Duration;

use allocation_counter::measure;
use opentelemetry::Context;
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use throughline::telemetry::TracerProvider;
use tracing::{Subscriber, info_span, instrument};
use tracing_subscriber::layer::SubscriberExt as _;

#[instrument(skip_all, fields(tenant_id = tenant_id, order_no = order_no))]
fn leaf(tenant_id: &str, order_no: i64) {
    std::hint::black_box((tenant_id, order_no));
}

/// Ignores all spans.
#[derive(Debug)]
struct Ignore;

impl SpanProcessor for Ignore {
    fn on_start(&self, _: &mut Span, _: &Context) {}
    fn on_end(&self, _: SpanData) {}
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

const CALLS: u64 = 100;

fn allocations(subscriber: impl Subscriber + Send + Sync) -> u64 {
    tracing::subscriber::with_default(subscriber, || {
        info_span!("root").in_scope(|| {
            assert!(Context::current().span().is_recording());
            // The first calls fill the thread's pools.
            (0..CALLS).for_each(|_| leaf("acme", 1001));
            measure(|| (0..CALLS).for_each(|_| leaf("acme", 1001))).count_total
        })
    })
}

#[test]
fn a_recorded_span_takes_half_of_the_allocations() {
    let sdk = SdkTracerProvider::builder().with_span_processor(Ignore).build();
    let other = tracing_opentelemetry::layer().with_tracer(sdk.tracer("other"));
    let theirs = allocations(tracing_subscriber::registry().with(other));

    throughline::install(&TracerProvider::builder().build());
    let ours = allocations(tracing_subscriber::registry().with(throughline::tracing_layer()));
    println!("{CALLS} spans: {ours} allocations with this layer, {theirs} with tracing-opentelemetry");
    assert!(2 * ours <= theirs, "{ours} and {theirs}");
}
