//! Trace IDs and tags in JSON log lines.

use allocation_counter::measure;
use opentelemetry::trace::SpanContext;
use serde::Serialize;
use serde_json::{Value, json};
use throughline::log::{self, Current};
use throughline::testing::{Capture, FinishedSpan};
use throughline::{biz_tags, in_span, span, traced, traced_spawn};
use tracing::{info, instrument};
use tracing_subscriber::layer::SubscriberExt as _;

use super::{HOSTILE, Noon, Output, in_unsampled_span};

const HERE: &str = module_path!();

fn subscriber(output: &Output) -> impl tracing::Subscriber + Send + Sync + use<> {
    tracing_subscriber::registry()
        .with(throughline_json_subscriber::layer().with_timer(Noon).with_writer(output.writer()))
}

fn written(f: impl FnOnce()) -> Output {
    let output = Output::default();
    crate::subscriber::with_default(subscriber(&output), f);
    output
}

/// The members of a line that identify the trace, in the order in which they are written.
fn ids(span: &FinishedSpan) -> String {
    format!(r#""trace_id":"{}","span_id":"{}","trace_flags":"01""#, span.trace_id(), span.span_id())
}

fn parsed(output: &Output) -> Vec<Value> {
    output.lines().iter().map(|line| serde_json::from_str(line).expect("a line is one value")).collect()
}

#[test]
fn a_line_has_the_ids_and_tags_of_the_current_span() {
    #[traced]
    #[biz_tags(tenant_id, order_no, express = true, sum = 1.5, items = ["a b", "c"], sizes = [1u8, 2], flags = [true, false], shares = [0.5, 1.5])]
    fn place(tenant_id: &str, order_no: u64) {
        let _ = (tenant_id, order_no);
        info!(count = 2, "placed");
        pay();
    }
    #[traced]
    #[biz_tags(express = false)]
    fn pay() {
        info!("paid");
    }
    let capture = Capture::new();
    let output = written(|| {
        capture.run(|| {
            info!("before");
            place("acme", 1001);
        });
    });
    let place = ids(&capture.span("place"));
    let pay = ids(&capture.span("pay"));
    let before = r#""level":"INFO","target":"#;
    assert_eq!(
        output.lines(),
        [
            format!(r#"{{"fields":{{"message":"before"}},{before}"{HERE}","timestamp":"12:00:00"}}"#),
            format!(
                r#"{{"fields":{{"count":2,"message":"placed"}},{before}"{HERE}","timestamp":"12:00:00",{place},"tags":{{"tenant_id":"acme","order_no":1001,"express":true,"sum":1.5,"items":["a b","c"],"sizes":[1,2],"flags":[true,false],"shares":[0.5,1.5]}}}}"#
            ),
            format!(
                r#"{{"fields":{{"message":"paid"}},{before}"{HERE}","timestamp":"12:00:00",{pay},"tags":{{"express":false,"tenant_id":"acme","order_no":1001,"sum":1.5,"items":["a b","c"],"sizes":[1,2],"flags":[true,false],"shares":[0.5,1.5]}}}}"#
            ),
        ]
    );
}

#[tokio::test]
async fn a_detached_job_has_its_own_ids_and_the_tags_of_its_caller() {
    #[traced_spawn]
    async fn job() {
        info!("started");
        tokio::task::yield_now().await;
        info!("done");
    }
    let output = Output::default();
    let _default = crate::subscriber::set_default(subscriber(&output));
    let capture = Capture::new();
    let handle = capture.run(|| span("request").biz_tag("tenant_id", "acme").run(job));
    handle.await.expect("no panic");
    let (request, job) = (capture.span("request"), capture.span("job"));
    assert_eq!(request.trace_id(), job.trace_id());
    for (line, message) in parsed(&output).iter().zip(["started", "done"]) {
        assert_eq!(line["fields"]["message"], message);
        assert_eq!(line["trace_id"], job.trace_id().to_string());
        assert_eq!(line["span_id"], job.span_id().to_string());
        assert_eq!(line["tags"], json!({ "tenant_id": "acme" }));
    }
    assert_eq!(output.lines().len(), 2);
}

#[test]
fn a_line_has_the_spans_of_tracing_too() {
    #[instrument]
    fn below(n: u8) {
        info!("x");
        let _ = n;
    }
    let capture = Capture::new();
    let output = Output::default();
    let subscriber = tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(capture.tracer("tracing")))
        .with(throughline_json_subscriber::layer().with_timer(Noon).with_writer(output.writer()));
    crate::subscriber::with_default(subscriber, || capture.run(|| in_span("ours", || below(7))));
    let [line] = &parsed(&output)[..] else { panic!("not one line: {}", output.text()) };
    assert_eq!(line["span"], json!({ "n": 7, "name": "below" }));
    assert_eq!(line["span_id"], capture.span("below").span_id().to_string());
    capture.assert_tree("ours\n└── below");
}

#[test]
fn where_the_trace_is_not_sampled_the_flags_say_so() {
    let mut seen = SpanContext::NONE;
    let output = written(|| seen = in_unsampled_span(|| info!("x")));
    let line = &parsed(&output)[0];
    assert_eq!(line["trace_flags"], "00");
    assert_eq!(line["span_id"], seen.span_id().to_string());
    assert_eq!(line.get("tags"), None);
}

#[test]
fn values_cannot_forge_lines() {
    let output = written(|| {
        Capture::new().run(|| {
            span("order").biz_tag("tag", HOSTILE).biz_tag(HOSTILE, [HOSTILE].as_slice()).run(|| {
                info!(text = HOSTILE, shown = %HOSTILE, "message {HOSTILE}");
            });
        });
    });
    assert_eq!(output.text().matches(['\n', '\r', '\u{1b}', '\0']).collect::<String>(), "\n");
    let line = &parsed(&output)[0];
    assert_eq!(line["tags"], json!({ "tag": HOSTILE, HOSTILE: [HOSTILE] }));
    assert_eq!(line["fields"]["shown"], HOSTILE);
}

/// A tag cannot be mistaken for another member, and keys are unique.
#[test]
fn tags_are_a_nested_object() {
    let capture = Capture::new();
    let output = written(|| {
        capture.run(|| {
            span("order").biz_tag("trace_id", "mine").biz_tag("level", "x").biz_tag("level", "y").run(|| info!("x"));
        });
    });
    let text = output.text();
    let line = &parsed(&output)[0];
    assert_eq!(line["trace_id"], capture.span("order").trace_id().to_string());
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["tags"], json!({ "trace_id": "mine", "level": "y" }));
    assert_eq!(text.matches("\"level\"").count(), 2, "{text}");
}

#[test]
fn a_layer_of_the_user_can_write_them() {
    let output = Output::default();
    let mut layer = json_subscriber::JsonLayer::new(output.writer());
    layer.with_level("severity");
    throughline_json_subscriber::add_to(&mut layer);
    let capture = Capture::new();
    crate::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        info!("x");
        capture.run(|| in_span("order", || info!("x")));
    });
    let ids = ids(&capture.span("order"));
    assert_eq!(output.lines(), [r#"{"severity":"INFO"}"#.to_owned(), format!(r#"{{"severity":"INFO",{ids}}}"#)]);
}

#[test]
fn current_can_be_part_of_a_custom_line() {
    #[derive(Serialize)]
    struct Line {
        message: &'static str,
        #[serde(flatten)]
        current: Current,
    }
    let line = || serde_json::to_string(&Line { message: "x", current: log::current() }).expect("it is JSON");
    assert_eq!(line(), r#"{"message":"x"}"#);
    let capture = Capture::new();
    let inside = capture.run(|| span("order").biz_tag("n", 7).run(line));
    assert_eq!(inside, format!(r#"{{"message":"x",{},"tags":{{"n":7}}}}"#, ids(&capture.span("order"))));
}

#[test]
fn the_ids_and_tags_are_written_without_allocating() {
    fn counted() -> u64 {
        let line = || info!(count = 2, "placed");
        line();
        measure(|| (0..10).for_each(|_| line())).count_total
    }
    let plain = json_subscriber::fmt::layer().with_timer(Noon).with_writer(std::io::sink);
    let without = crate::subscriber::with_default(tracing_subscriber::registry().with(plain), counted);
    let ours = tracing_subscriber::registry()
        .with(throughline_json_subscriber::layer().with_timer(Noon).with_writer(std::io::sink));
    crate::subscriber::with_default(ours, || {
        assert_eq!(counted(), without);
        let within = || span("order").biz_tag("tenant_id", "acme").biz_tag("names", ["a"].as_slice()).run(counted);
        assert_eq!(Capture::new().run(within), without);
    });
    assert!(without > 0);
}
