//! Process-wide state: the registry of jobs, the hash key. Each has one test, and no other test in this process uses
//! it.

use std::time::Duration;

use futures::executor::block_on;
use throughline::jobs;
use throughline::traced_spawn;
use tokio::sync::oneshot;

#[traced_spawn]
async fn task(until: oneshot::Receiver<()>) {
    until.await.expect("the test sends");
}

#[traced_spawn(blocking)]
fn block(until: oneshot::Receiver<()>) {
    until.blocking_recv().expect("the test sends");
}

#[traced_spawn(thread)]
fn thread(until: oneshot::Receiver<()>) {
    until.blocking_recv().expect("the test sends");
}

#[tokio::test]
async fn jobs_are_counted_and_waited_for() {
    assert_eq!(jobs::running(), 0);
    assert_eq!(jobs::wait(Duration::ZERO).await, Ok(()), "nothing to wait for");

    let (ends, untils): (Vec<_>, Vec<_>) = (0..4).map(|_| oneshot::channel()).unzip();
    let mut untils = untils.into_iter();
    let mut next = || untils.next().expect("there are four");
    let _detached = task(next());
    let _blocking = block(next());
    let _thread = thread(next());
    let _function = throughline::spawn({
        let until = next();
        async move { until.await.expect("the test sends") }
    });
    assert_eq!(jobs::running(), 4);
    let left = jobs::wait(Duration::from_millis(1)).await;
    assert_eq!(left.as_ref().map_err(|left| left.jobs), Err(4));
    assert_eq!(left.expect_err("it is").to_string(), "4 detached jobs are still running");

    for end in ends {
        end.send(()).expect("the job waits");
    }
    assert_eq!(jobs::wait(Duration::from_secs(60)).await, Ok(()));
    assert_eq!(jobs::running(), 0);

    // Aborted and panicked jobs have ended, too.
    let (_kept, until) = oneshot::channel();
    let aborted = task(until);
    aborted.abort();
    drop(throughline::spawn(async { panic!("lost") }));
    assert_eq!(jobs::wait(Duration::from_secs(60)).await, Ok(()));

    // With another executor, outside of Tokio's runtime.
    let (end, until) = oneshot::channel();
    let _detached = thread(until);
    let elsewhere = std::thread::spawn(move || {
        let left = block_on(jobs::wait(Duration::from_millis(1)));
        end.send(()).expect("the job waits");
        (left, block_on(jobs::wait(Duration::from_secs(60))))
    });
    let (left, ended) = elsewhere.join().expect("no panic");
    assert_eq!((left.map_err(|left| left.jobs), ended), (Err(1), Ok(())));
}

#[test]
fn the_key_of_hashes_is_set_once_and_makes_them_comparable() {
    use throughline::testing::Capture;
    use throughline::{biz_tags, set_hash_key, traced};

    #[traced]
    #[biz_tags(hash(user_id))]
    fn pay(user_id: &str) {
        let _ = user_id;
    }
    set_hash_key(*b"0123456789abcdef").expect("no tag has been hashed");
    set_hash_key([0; 16]).expect_err("the key is set");
    let capture = Capture::new();
    capture.run(|| pay("u-1"));
    let hash = capture.span("pay").attribute("user_id").map(ToString::to_string);
    // SipHash-2-4-128 of `u-1` with this key: every service with the key computes the same.
    assert_eq!(hash.as_deref(), Some("140d926ab361937c1af65dbc9af5d99b"));
}

#[test]
fn a_required_tag_without_a_value_is_counted() {
    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};
    use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
    use throughline::testing::Capture;
    use throughline::{biz_tags, traced};

    #[traced]
    #[biz_tags(required(tenant_id))]
    fn place(tenant_id: Option<&str>) {
        let _ = tenant_id;
    }
    let exporter = InMemoryMetricExporter::default();
    let meters = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(exporter.clone()).build()).build();
    opentelemetry::global::set_meter_provider(meters.clone());
    Capture::new().run(|| {
        place(None);
        place(Some("acme"));
        place(None);
    });
    meters.force_flush().expect("the exporter is in this process");

    let batches = exporter.get_finished_metrics().expect("it was flushed");
    let metrics = batches.iter().flat_map(ResourceMetrics::scope_metrics).flat_map(ScopeMetrics::metrics);
    let counted: Vec<_> = metrics
        .filter(|metric| metric.name() == "throughline.tags.missing")
        .filter_map(|metric| match metric.data() {
            AggregatedMetrics::U64(MetricData::Sum(sum)) => sum.data_points().next(),
            _ => None,
        })
        .map(|point| {
            (point.value(), point.attributes().map(|a| (a.key.to_string(), a.value.to_string())).collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(counted, [(2, vec![("throughline.tag.key".to_owned(), "tenant_id".to_owned())])]);
}

#[test]
fn a_propagator_applies_to_every_carrier() {
    use opentelemetry::trace::TraceContextExt as _;
    use std::collections::{BTreeMap, HashMap};
    use throughline::propagation::{self, Format, Propagator};
    use throughline::{Context, Origin as _};

    const B3: &str = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1";
    let extracted = || -> Vec<Context> {
        let pair = [("b3", B3)];
        vec![
            propagation::extract_with(|name| (name == "b3").then_some(B3)),
            HashMap::from(pair).origin(),
            HashMap::from([("B3", B3)]).origin(),
            BTreeMap::from(pair).origin(),
            pair.origin(),
        ]
    };
    assert!(extracted().iter().all(|context| !context.span().span_context().is_valid()));
    propagation::set(Propagator::new([Format::B3]));
    for context in extracted() {
        let mut headers = HashMap::new();
        propagation::inject_context(&context, &mut headers);
        assert_eq!(headers, HashMap::from([("b3".to_owned(), B3.to_owned())]));
    }
    propagation::set(Propagator::default());
}

/// No test in this process may use a log formatter with tags, which would enable their evaluation.
#[test]
fn tags_are_not_evaluated_in_an_unsampled_trace() {
    use opentelemetry_sdk::trace::Sampler;
    use throughline::testing::Capture;
    use throughline::{biz_tags, in_span, traced};

    fn never() -> u8 {
        panic!("evaluated")
    }
    #[traced(tags(own = never()))]
    #[biz_tags(scoped = never())]
    fn place() -> u8 {
        3
    }
    #[biz_tags(scoped = never())]
    fn alone() -> u8 {
        4
    }
    #[traced]
    #[biz_tags(propagate(tenant_id = "acme"))]
    fn outer() -> u8 {
        place() + alone()
    }
    let off = Capture::with_sampler(Sampler::AlwaysOff);
    assert_eq!(off.run(|| in_span("root", || place() + alone())), 7);
    // Baggage with other keys makes no difference.
    assert_eq!(off.run(|| in_span("root", outer)), 7);
}
