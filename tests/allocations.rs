//! Code paths that must not allocate.

use allocation_counter::measure;
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::trace::Sampler;
use throughline::testing::Capture;
use throughline::{Carried, Snapshot, biz_tags, in_span, traced};

#[traced(tags(order_no))]
#[biz_tags(tenant_id)]
fn sync(tenant_id: &str, order_no: u64) -> u64 {
    order_no + tenant_id.len() as u64
}

#[traced(tags(order_no))]
#[biz_tags(tenant_id)]
async fn asynchronous(tenant_id: &str, order_no: u64) -> u64 {
    order_no + tenant_id.len() as u64
}

fn ready<F: Future>(future: F) -> F::Output {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut cx) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => unreachable!("nothing here waits"),
    }
}

#[test]
fn a_span_that_is_not_sampled_allocates_nothing() {
    let capture = Capture::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    capture.run(|| {
        in_span("root", || {
            assert!(Context::current().has_active_span());
            let counted = measure(|| {
                for _ in 0..100 {
                    assert_eq!(sync("acme", 1) + ready(asynchronous("acme", 1)), 10);
                    assert_eq!(in_span("block", || 1), 1);
                }
            });
            assert_eq!(counted.count_total, 0);
        });
    });
    // Guards against a counter that is always zero: the same calls allocate when they are recorded.
    let sampled = Capture::new();
    sampled.run(|| assert!(measure(|| assert_eq!(sync("acme", 1), 5)).count_total > 0));
}

/// A value is encoded in place, whether the tag names an argument or an expression.
#[test]
fn the_value_of_an_expression_is_not_copied() {
    struct Order {
        no: u64,
        sku: String,
    }
    #[traced(name = "sell", tags(no, sku))]
    #[biz_tags(shop)]
    fn by_argument(no: u64, sku: &str, shop: &str) -> usize {
        usize::from(no == 1) + sku.len() + shop.len()
    }
    #[traced(name = "sell", tags(no = order.no, sku = order.sku))]
    #[biz_tags(shop = shop.trim())]
    fn by_expression(order: &Order, shop: &str) -> usize {
        usize::from(order.no == 1) + order.sku.len() + shop.len()
    }

    let order = Order { no: 1, sku: "keyboard".to_owned() };
    let capture = Capture::new();
    let counted = capture.run(|| {
        in_span("root", || {
            let count = |sell: &dyn Fn() -> usize| {
                // The first call fills the thread's pools.
                assert_eq!(sell(), 13);
                measure(|| assert_eq!(sell(), 13)).count_total
            };
            [count(&|| by_argument(order.no, &order.sku, "acme")), count(&|| by_expression(&order, "acme"))]
        })
    });
    assert_eq!(counted[0], counted[1]);
    assert!(counted[0] > 0);
    for span in capture.spans().iter().filter(|span| span.name() == "sell") {
        assert_eq!(
            ["no", "sku", "shop"].map(|key| span.attribute(key).unwrap().to_string()),
            ["1", "keyboard", "acme"]
        );
    }
}

/// The processor copies the attributes of a span to find out which tags are set. For our own spans, it need not.
#[test]
fn the_tag_processor_costs_our_own_spans_nothing() {
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use throughline::telemetry::TagProcessor;

    let counted = |provider: &SdkTracerProvider| {
        throughline::install(provider);
        // The first call fills the thread's pools.
        assert_eq!(sync("acme", 1), 5);
        measure(|| assert_eq!(sync("acme", 1), 5)).count_total
    };
    let without = counted(&SdkTracerProvider::builder().build());
    let with = counted(&SdkTracerProvider::builder().with_span_processor(TagProcessor::new()).build());
    assert!(without > 0);
    assert_eq!(with, without);
}

#[test]
fn a_snapshot_allocates_nothing() {
    #[traced]
    #[biz_tags(propagate(tenant_id), order_no = 7)]
    fn request(tenant_id: &str) {
        let _ = tenant_id;
        assert!(!Context::current().baggage().is_empty());
        assert_eq!(throughline::current_tags().len(), 2);
        let counted = measure(|| {
            let snapshot = Snapshot::capture();
            let again = snapshot.clone();
            assert!(again.span_context().is_some());
            let message = Carried::new(1u8);
            let copies = [message.clone(), message];
            assert_eq!(copies.map(Carried::into_inner), [1, 1]);
        });
        assert_eq!(counted.count_total, 0);
    }
    Capture::new().run(|| request("acme"));
}

#[test]
fn outside_a_span_a_snapshot_allocates_nothing() {
    // OpenTelemetry allocates its context stack on a thread's first access.
    assert!(!Context::current().has_active_span());
    assert_eq!(measure(|| drop(Snapshot::capture().clone())).count_total, 0);
}
