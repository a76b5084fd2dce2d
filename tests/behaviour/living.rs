//! Coexistence with `tracing`: its spans above and below ours have exact parents.

use std::future::Future;
use std::pin::Pin;

use opentelemetry_sdk::trace::Sampler;
use throughline::testing::Capture;
use throughline::{traced, traced_spawn};
use tracing::instrument;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;

/// Runs `f` with a `tracing-opentelemetry` layer over the capture's provider.
fn with_tracing<R>(capture: &Capture, filter: &str, f: impl FnOnce() -> R) -> R {
    let layer = tracing_opentelemetry::layer().with_tracer(capture.tracer("tracing"));
    let subscriber = tracing_subscriber::registry().with(EnvFilter::new(filter)).with(layer);
    crate::subscriber::with_default(subscriber, f)
}

type Chain = &'static [char];
type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Calls itself along the chain: `t` through `#[traced]`, `i` through `#[instrument]`.
fn go(chain: Chain) {
    match chain {
        ['t', rest @ ..] => ours(rest),
        ['i', rest @ ..] => theirs(rest),
        _ => {}
    }
}

#[traced("t")]
fn ours(rest: Chain) {
    go(rest);
}

#[instrument(name = "i", skip_all)]
fn theirs(rest: Chain) {
    go(rest);
}

fn go_async(chain: Chain) -> Boxed {
    match chain {
        ['t', rest @ ..] => Box::pin(ours_async(rest)),
        ['i', rest @ ..] => Box::pin(theirs_async(rest)),
        _ => Box::pin(async {}),
    }
}

#[traced("t")]
async fn ours_async(rest: Chain) {
    tokio::task::yield_now().await;
    go_async(rest).await;
    tokio::task::yield_now().await;
}

#[instrument(name = "i", skip_all)]
async fn theirs_async(rest: Chain) {
    tokio::task::yield_now().await;
    go_async(rest).await;
    tokio::task::yield_now().await;
}

/// All alternations of three.
const CHAINS: [Chain; 8] = [
    &['t', 't', 't'],
    &['t', 't', 'i'],
    &['t', 'i', 't'],
    &['t', 'i', 'i'],
    &['i', 't', 't'],
    &['i', 't', 'i'],
    &['i', 'i', 't'],
    &['i', 'i', 'i'],
];

fn expected(chain: Chain) -> String {
    format!("{}\n└── {}\n    └── {}", chain[0], chain[1], chain[2])
}

#[test]
fn every_alternation_in_one_thread() {
    for chain in CHAINS {
        let capture = Capture::new();
        with_tracing(&capture, "trace", || capture.run(|| go(chain)));
        capture.assert_tree(&expected(chain));
    }
}

#[tokio::test]
async fn every_alternation_across_awaits_at_once() {
    for chain in CHAINS {
        let capture = Capture::new();
        let layer = tracing_opentelemetry::layer().with_tracer(capture.tracer("tracing"));
        let subscriber = tracing_subscriber::registry().with(layer);
        let _default = crate::subscriber::set_default(subscriber);
        let futures = (0..4).map(|_| capture.run_async(go_async(chain)));
        futures::future::join_all(futures).await;
        let all: Vec<_> = std::iter::repeat_n(expected(chain), 4).collect();
        capture.assert_tree(&all.join("\n"));
    }
}

#[test]
fn every_alternation_across_threads() {
    for chain in CHAINS {
        let capture = Capture::new();
        with_tracing(&capture, "trace", || {
            let dispatch = tracing::dispatcher::get_default(Clone::clone);
            let run = || {
                let dispatch = dispatch.clone();
                throughline::spawn_thread(move || tracing::dispatcher::with_default(&dispatch, || go(chain)))
            };
            let threads: Vec<_> = capture.run(|| (0..4).map(|_| throughline::in_span("request", run)).collect());
            for thread in threads {
                thread.join().expect("no panic");
            }
        });
        // Each thread has a job's span, below that of the request, and below it the chain.
        assert_eq!(capture.spans().len(), 20);
        let jobs = capture.tree();
        let expected = expected(chain).lines().map(ToOwned::to_owned).collect::<Vec<_>>();
        for (at, name) in expected.iter().enumerate() {
            let indented = format!("{}└── {}", "    ".repeat(at + 1), name.trim_start_matches([' ', '└', '─']));
            assert_eq!(jobs.lines().filter(|line| **line == indented).count(), 4, "{jobs}");
        }
    }
}

#[test]
fn tags_reach_the_spans_of_tracing() {
    #[traced]
    #[throughline::biz_tags(tenant_id)]
    fn place(tenant_id: &str) {
        go(&['i', 't', 'i']);
        own(1);
        let _ = tenant_id;
    }
    #[instrument(skip_all, fields(tenant_id = "set there"))]
    fn own(_: u8) {}
    let capture = Capture::new();
    with_tracing(&capture, "trace", || capture.run(|| place("acme")));
    capture.assert_tree_with(
        &["tenant_id"],
        "
        place tenant_id=acme
        ├── i tenant_id=acme
        │   └── t tenant_id=acme
        │       └── i tenant_id=acme
        └── own tenant_id=\"set there\"
        ",
    );
}

#[tokio::test]
async fn a_detached_job_below_a_span_of_tracing_is_its_child_and_does_not_keep_it_open() {
    #[traced_spawn]
    async fn job(until: tokio::sync::oneshot::Receiver<()>) {
        until.await.expect("the test sends");
    }
    #[instrument(skip_all)]
    #[expect(
        clippy::async_yields_async,
        reason = "the block that `#[instrument]` makes of the function gives the handle"
    )]
    async fn request(until: tokio::sync::oneshot::Receiver<()>) -> tokio::task::JoinHandle<()> {
        job(until)
    }
    let capture = Capture::new();
    let layer = tracing_opentelemetry::layer().with_tracer(capture.tracer("tracing"));
    let _default = crate::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let (done, until) = tokio::sync::oneshot::channel();
    let handle = capture.run_async(request(until)).await;
    assert_eq!(capture.spans().len(), 1, "the request is exported while its job runs");
    done.send(()).expect("the job waits");
    handle.await.expect("no panic");
    assert!(capture.span("job").is_child_of(&capture.span("request")));
}

#[test]
fn a_log_filter_changes_nothing() {
    let capture = Capture::new();
    with_tracing(&capture, "off", || capture.run(|| go(&['t', 'i', 't'])));
    // The filter has disabled the span of `tracing` only.
    capture.assert_tree("t\n└── t");
}

#[test]
fn a_log_filter_does_not_affect_what_is_sent() {
    use opentelemetry::propagation::TextMapPropagator as _;
    use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

    #[traced]
    #[throughline::biz_tags(propagate(tenant_id))]
    fn send(tenant_id: &str) -> std::collections::HashMap<String, String> {
        let _ = tenant_id;
        let mut headers = std::collections::HashMap::new();
        TraceContextPropagator::new().inject(&mut headers);
        BaggagePropagator::new().inject(&mut headers);
        headers
    }
    let capture = Capture::new();
    let headers = with_tracing(&capture, "off", || capture.run(|| send("acme")));
    let span = capture.span("send");
    let expected = format!("00-{}-{}-01", span.trace_id(), span.span_id());
    assert_eq!(headers.get("traceparent"), Some(&expected));
    assert_eq!(headers.get("baggage").map(String::as_str), Some("tenant_id=acme"));
}

#[test]
fn both_libraries_follow_the_sampling_decision() {
    for (sampler, spans) in [(Sampler::AlwaysOn, 3), (Sampler::AlwaysOff, 0)] {
        let capture = Capture::with_sampler(Sampler::ParentBased(Box::new(sampler)));
        with_tracing(&capture, "trace", || capture.run(|| go(&['t', 'i', 't'])));
        assert_eq!(capture.spans().len(), spans);
    }
}
