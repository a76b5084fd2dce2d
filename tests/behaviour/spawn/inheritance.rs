//! Whether a job has a span, the parent of that span, and what the job inherits.

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::trace::Sampler;
use throughline::testing::Capture;
use throughline::{JoinSetExt as _, biz_tags, in_span, in_span_async, traced_spawn};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};

/// The inherited values of a tag and of a baggage member.
fn travelled() -> (Option<String>, Option<String>) {
    let tag =
        throughline::current_tags().iter().find(|tag| tag.key.as_str() == "tenant_id").map(|tag| tag.value.to_string());
    (tag, Context::current().baggage().get("tenant_id").map(ToString::to_string))
}

/// Replacing every `tokio::spawn` must not put the whole process below one span.
#[tokio::test]
async fn outside_of_a_span_a_plain_job_has_none_and_inherits_the_context() {
    #[biz_tags(propagate(tenant_id = "acme"))]
    async fn all() {
        let expected = (Some("acme".to_owned()), Some("acme".to_owned()));
        let job = || in_span("work", travelled);
        let asynchronous = move || async move { job() };
        assert_eq!(throughline::spawn(asynchronous()).await.expect("no panic"), expected);
        assert_eq!(throughline::spawn_local(asynchronous()).await.expect("no panic"), expected);
        assert_eq!(throughline::spawn_blocking(job).await.expect("no panic"), expected);
        assert_eq!(throughline::spawn_thread(job).join().expect("no panic"), expected);
        let mut set = JoinSet::new();
        set.spawn_traced(asynchronous());
        set.spawn_on_traced(asynchronous(), &tokio::runtime::Handle::current());
        set.spawn_local_traced(asynchronous());
        set.spawn_blocking_traced(job);
        assert_eq!(set.join_all().await, vec![expected.clone(); 4]);
        let (tell, told) = oneshot::channel();
        throughline::rayon::spawn(move || tell.send(job()).expect("the test waits"));
        assert_eq!(told.await.expect("the job ran"), expected);
    }
    let capture = Capture::new();
    LocalSet::new().run_until(capture.run_async(all())).await;
    let spans = capture.spans();
    assert_eq!(spans.len(), 9);
    let traces: std::collections::HashSet<_> = spans.iter().map(throughline::testing::FinishedSpan::trace_id).collect();
    assert_eq!(traces.len(), 9, "each is the entry of a trace of its own");
    assert!(spans.iter().all(|span| span.name() == "work"));
}

/// A span that is requested explicitly is started outside of a span, too.
#[tokio::test]
async fn a_job_that_asks_for_a_span_has_one_everywhere() {
    #[traced_spawn]
    async fn attribute() {}
    let capture = Capture::new();
    let run = async {
        attribute().await.expect("no panic");
        throughline::span("block").spawn(async {}).await.expect("no panic");
        throughline::span("blocking").spawn_blocking(|| {}).await.expect("no panic");
    };
    capture.run_async(run).await;
    capture.assert_tree("attribute\nblock\nblocking");
}

/// A remote span is a parent like any other.
#[tokio::test]
async fn below_a_remote_span_a_plain_job_has_a_span() {
    let capture = Capture::new();
    let above = capture.run(|| in_span("above", throughline::Snapshot::capture));
    let run = async { above.run_async(async { throughline::spawn(async {}).await.expect("no panic") }).await };
    capture.run_async(run).await;
    assert_eq!(capture.spans().len(), 2);
}

#[tokio::test]
async fn an_unsampled_job_keeps_its_span_context() {
    #[traced_spawn]
    async fn job() -> (bool, bool) {
        let current = Context::current();
        let span = current.span();
        (span.span_context().is_valid(), in_span("below", || span.span_context().is_sampled()))
    }
    let capture = Capture::with_sampler(Sampler::AlwaysOff);
    let run = in_span_async("root", async { job().await.expect("no panic") });
    assert_eq!(capture.run_async(run).await, (true, false));
    assert!(capture.spans().is_empty());
}

#[tokio::test]
async fn root_and_parent_of_a_block_hold_for_its_job() {
    #[traced_spawn(parent = above)]
    async fn attribute(above: throughline::Snapshot) {
        drop(above);
    }
    let capture = Capture::new();
    let above = capture.run(|| in_span("above", throughline::Snapshot::capture));
    let handle = tokio::runtime::Handle::current();
    let run = async {
        let span = throughline::span;
        let jobs = [
            span("root").root().spawn(async { travelled() }),
            span("root on").root().spawn_on(&handle, async { travelled() }),
            span("root blocking").root().spawn_blocking(travelled),
            span("root try")
                .root()
                .try_spawn_blocking(|| Ok::<_, String>(travelled()))
                .await
                .map(|ok| tokio::spawn(async { ok.expect("it is") }))
                .expect("no panic"),
            span("child").spawn(async { travelled() }),
        ];
        for job in jobs {
            assert_eq!(job.await.expect("no panic").0.as_deref(), Some("acme"));
        }
        span("parent").parent(&above).spawn(async {}).await.expect("no panic");
        span("parent blocking").parent(&above).spawn_blocking(|| {}).await.expect("no panic");
        attribute(above.clone()).await.expect("no panic");
    };
    let request = throughline::span("request").biz_tag("tenant_id", "acme").run_async(run);
    capture.run_async(request).await;
    capture.assert_tree(
        "
        above
        ├── parent ~> request
        ├── parent blocking ~> request
        └── attribute ~> request
        request
        └── child
        root ~> request
        root on ~> request
        root blocking ~> request
        root try ~> request
        ",
    );
}

#[tokio::test]
async fn root_in_an_unsampled_trace_starts_a_new_trace() {
    let off = Capture::with_sampler(Sampler::AlwaysOff);
    let ids = || Context::current().span().span_context().trace_id();
    let run =
        async move { (ids(), throughline::span("job").root().spawn(async move { ids() }).await.expect("no panic")) };
    let (above, job) = off.run_async(in_span_async("request", run)).await;
    assert_ne!(above, job);
}
