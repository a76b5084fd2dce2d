//! A recorded span allocates no more than the two objects that a context needs.
//!
//! `cargo bench -p throughline-performance --features peers --bench allocations` counts the same for all other ways to
//! record a span.

use allocation_counter::measure;
use throughline::telemetry::Protocol;
use throughline::traced;

/// How many spans are counted, so that buffers that grow now and then show as a fraction in the mean.
const SPANS: u64 = 1000;

#[traced(tags(tenant_id, order_no))]
fn leaf(tenant_id: &str, order_no: i64) -> usize {
    tenant_id.len() + usize::from(order_no == 0)
}

#[test]
fn a_recorded_child_with_two_tags_allocates_no_more_than_it_did() {
    // Nothing listens there, and nothing is exported meanwhile. Only this thread's allocations are counted.
    let telemetry = throughline::telemetry::builder().collector("http://127.0.0.1:9", Protocol::Grpc);
    let telemetry = telemetry.init().expect("telemetry is set up");
    let counted = throughline::in_span("request", || {
        assert_eq!(leaf("acme", 1001), 4);
        measure(|| {
            for _ in 0..SPANS {
                leaf("acme", 1001);
            }
        })
    });
    // Thousandths, so that nothing depends on how floating-point numbers are compared.
    let thousandths = counted.count_total * 1000 / SPANS;
    assert!(thousandths <= 2_100, "{thousandths} thousandths of an allocation for each span");
    // Dropping it would wait for the collector.
    std::mem::forget(telemetry);
}
