//! The ids and the tags of a line: those of the innermost span.

use opentelemetry::trace::SpanContext;
use opentelemetry_sdk::trace::Sampler;
use throughline::log::Text;
use throughline::testing::Capture;
use throughline::{biz_tags, in_span, span, traced, traced_spawn};
use tracing::{Dispatch, info, instrument, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;

use super::{subscriber, written};
use crate::log::{Noon, Output, ids, in_unsampled_span};

const HERE: &str = module_path!();

#[tokio::test]
async fn a_detached_job_has_its_own_ids_and_the_tags_of_its_caller() {
    #[traced]
    #[biz_tags(tenant_id)]
    async fn request(tenant_id: &str) -> tokio::task::JoinHandle<()> {
        let _ = tenant_id;
        info!("accepted");
        let handle = job();
        tokio::task::yield_now().await;
        info!("answered");
        handle
    }
    #[traced_spawn]
    async fn job() {
        info!("started");
        tokio::task::yield_now().await;
        info!("done");
    }
    let output = Output::default();
    let format = Text::new().with_timer(Noon);
    let subscriber = subscriber().with_ansi(false).event_format(format).with_writer(output.writer()).finish();
    let _default = crate::subscriber::set_default(subscriber);
    let capture = Capture::new();
    let handle = capture.run_async(request("acme")).await;
    handle.await.expect("no panic");
    let (request, job) = (capture.span("request"), capture.span("job"));
    assert_eq!(request.trace_id(), job.trace_id());
    let line = |ids, message| format!("12:00:00  INFO {ids} tenant_id=acme {HERE}: {message}");
    assert_eq!(
        output.lines(),
        [
            line(ids(&request), "accepted"),
            line(ids(&job), "started"),
            line(ids(&request), "answered"),
            line(ids(&job), "done"),
        ]
    );
}

#[tokio::test]
async fn threads_and_blocking_workers_have_ids_of_their_own() {
    #[traced_spawn(thread)]
    fn thread(dispatch: Dispatch) {
        tracing::dispatcher::with_default(&dispatch, || info!("in a thread"));
    }
    #[traced_spawn(blocking)]
    fn blocking(dispatch: Dispatch) {
        tracing::dispatcher::with_default(&dispatch, || info!("on a worker"));
    }
    let output = Output::default();
    let format = Text::new().with_timer(Noon).with_target(false);
    let subscriber = subscriber().with_ansi(false).event_format(format).with_writer(output.writer()).finish();
    let dispatch = Dispatch::new(subscriber);
    let capture = Capture::new();
    let (thread, worker) = capture.run(|| {
        span("request").biz_tag("tenant_id", "acme").run(|| (thread(dispatch.clone()), blocking(dispatch.clone())))
    });
    thread.join().expect("no panic");
    worker.await.expect("no panic");
    let mut lines = output.lines();
    lines.sort_by_key(|line| line.ends_with("worker"));
    assert_eq!(
        lines,
        [
            format!("12:00:00  INFO {} tenant_id=acme in a thread", ids(&capture.span("thread"))),
            format!("12:00:00  INFO {} tenant_id=acme on a worker", ids(&capture.span("blocking"))),
        ]
    );
}

/// Spans of `tracing`, exported by its OpenTelemetry layer, above and below ours: the innermost one counts.
#[test]
fn between_spans_of_tracing_the_innermost_span_counts() {
    #[instrument(skip_all)]
    fn above() {
        info!("1");
        ours();
        info!("5");
    }
    #[traced]
    #[biz_tags(tenant_id = "acme")]
    fn ours() {
        info!("2");
        below(7);
        info!("4");
    }
    #[instrument]
    fn below(n: u8) {
        info!("3");
        let _ = n;
    }
    let capture = Capture::new();
    let output = Output::default();
    let format = Text::new().with_timer(Noon).with_target(false);
    let subscriber = tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(capture.tracer("tracing")))
        .with(tracing_subscriber::fmt::layer().with_ansi(false).event_format(format).with_writer(output.writer()));
    crate::subscriber::with_default(subscriber, || capture.run(above));
    capture.assert_tree("above\n└── ours\n    └── below");
    let [above, ours, below] = ["above", "ours", "below"].map(|name| ids(&capture.span(name)));
    assert_eq!(
        output.lines(),
        [
            format!("12:00:00  INFO {above} above: 1"),
            format!("12:00:00  INFO {ours} tenant_id=acme above: 2"),
            format!("12:00:00  INFO {below} tenant_id=acme above:below{{n=7}}: 3"),
            format!("12:00:00  INFO {ours} tenant_id=acme above: 4"),
            format!("12:00:00  INFO {above} above: 5"),
        ]
    );
}

#[test]
fn where_the_trace_is_not_sampled_the_flags_say_so() {
    let mut seen = SpanContext::NONE;
    let output = written(|| seen = in_unsampled_span(|| info!("x")));
    assert!(seen.is_valid());
    let (trace, span) = (seen.trace_id(), seen.span_id());
    let expected = format!("12:00:00  INFO trace_id={trace} span_id={span} trace_flags=00 {HERE}: x\n");
    assert_eq!(output.text(), expected);
}

#[test]
fn where_the_trace_is_not_sampled_the_tags_are_there_too() {
    fn never() -> u8 {
        panic!("evaluated")
    }
    #[traced(tags(own = never()))]
    #[biz_tags(tenant_id, hash(user = 7))]
    fn place(tenant_id: &str) {
        let _ = tenant_id;
        info!("placed");
        alone("visa");
        throughline::span("block").biz_tag("part", 2u8).run(|| info!("in a block"));
        std::thread::spawn(throughline::Snapshot::capture().wrap(throughline::current_tags)).join().expect("no panic");
    }
    #[biz_tags(method, tenant_id = "globex")]
    fn alone(method: &str) {
        let _ = method;
        info!("paid");
    }
    let capture = Capture::with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    let output = written(|| capture.run(|| in_span("root", || place("acme"))));
    let lines = output.lines();
    for (line, tags) in
        lines.iter().zip(["tenant_id=acme user=", "method=visa tenant_id=globex user=", "part=2 tenant_id=acme user="])
    {
        assert!(line.contains(&format!(" trace_flags=00 {tags}")), "{line}");
    }
    assert_eq!(lines.len(), 3);
    assert!(capture.spans().is_empty());
}

/// The formatter writes ids and tags, so the event of a failed job does not.
#[test]
fn a_failed_job_has_ids_and_tags_once() {
    #[traced_spawn]
    #[biz_tags(tenant_id = "acme")]
    async fn publish() -> Result<(), String> {
        Err("no broker".to_owned())
    }
    let capture = Capture::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let output = written(|| {
        runtime.block_on(capture.run_async(async {
            publish().await.expect("no panic").expect_err("it fails");
        }));
    });
    let ids = ids(&capture.span("publish"));
    assert_eq!(
        output.text(),
        format!(
            "12:00:00 ERROR {ids} tenant_id=acme throughline::jobs: detached job failed throughline.job.name=\"publish\" \
             error=\"no broker\" error.type=\"alloc::string::String\"\n"
        )
    );
    assert!(capture.span("publish").events.events.len() == 1, "the exception alone");
}

/// With the layer that exports spans of `tracing`, and the one that adds events to spans.
#[test]
fn a_failed_job_below_other_layers_ends_as_usual() {
    #[traced_spawn]
    async fn publish() -> Result<(), String> {
        Err("no broker".to_owned())
    }
    let capture = Capture::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let subscriber = tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(capture.tracer("tracing")))
        .with(throughline::log::SpanEvents::new());
    crate::subscriber::with_default(subscriber, || {
        runtime.block_on(capture.run_async(async {
            let around = tracing::info_span!("around");
            let job = around.in_scope(publish);
            job.await.expect("no panic").expect_err("it fails");
        }));
    });
    let job = capture.span("publish");
    let events: Vec<_> = job.events.iter().map(|event| event.name.clone()).collect();
    assert_eq!(events, ["exception"], "the span says it once");
}

/// It logs about contexts while these cannot be accessed.
#[test]
fn what_the_opentelemetry_api_reports_of_itself_has_no_ids() {
    let capture = Capture::new();
    let output = written(|| {
        capture.run(|| {
            in_span("order", || {
                warn!(target: "opentelemetry", "too many contexts");
                warn!(target: "opentelemetry_sdk", "the queue is full");
            });
        });
    });
    let ids = ids(&capture.span("order"));
    assert_eq!(
        output.lines(),
        [
            "12:00:00  WARN opentelemetry: too many contexts".to_owned(),
            format!("12:00:00  WARN {ids} opentelemetry_sdk: the queue is full"),
        ]
    );
}

/// Tags apply although nothing is recorded. The first discarded span of the process is logged, which is filtered out
/// here.
#[test]
fn tags_without_a_trace_are_shown() {
    let output = Output::default();
    let subscriber = subscriber()
        .with_ansi(false)
        .event_format(Text::new().with_timer(Noon))
        .with_env_filter(EnvFilter::new(HERE))
        .with_writer(output.writer())
        .finish();
    crate::subscriber::with_default(subscriber, || {
        span("order").biz_tag("tenant_id", "acme").run(|| info!("x"));
    });
    assert_eq!(output.text(), format!("12:00:00  INFO tenant_id=acme {HERE}: x\n"));
}
