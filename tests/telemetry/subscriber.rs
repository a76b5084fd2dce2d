//! `init_with_subscriber` also sets up logging, and exports the spans of `tracing`.

use std::env;
use std::time::Duration;

use opentelemetry::trace::TraceContextExt as _;
use throughline::telemetry::{InitError, builder};
use tracing::{Level, info_span};

use crate::process::{Program, alone};
use crate::support::{Kept, hex, run};

const LIMIT: Duration = Duration::from_secs(30);

/// The role of the second process.
const REQUEST: &str = "a request, with the subscriber of `init_with_subscriber`";

pub(crate) fn play(role: &str) -> Option<()> {
    if role != REQUEST {
        return None;
    }
    let kept = Kept::start();
    let builder = kept.builder().variables(|name| env::var(name).ok());
    let telemetry = builder.init_with_subscriber().expect("no other is set");
    info_span!("request").in_scope(|| {
        throughline::in_span("charge", || tracing::info!(target: "shop", "charged"));
        tracing::debug!(target: "shop", "the details");
        tracing::error!(target: "shop", "out of stock");
        tracing_log::log::error!(target: "library", "a record");
    });
    run(telemetry.shutdown(LIMIT));
    let (request, charge) = (kept.span("request"), kept.span("charge"));
    assert_eq!((&charge.parent_span_id, &charge.trace_id), (&request.span_id, &request.trace_id));
    println!("the trace is {}", hex(&request.trace_id));
    Some(())
}

fn has_span() -> bool {
    throughline::current_context().has_active_span()
}

/// Runs the second process. Returns the messages that it logs in its trace, and what it writes to standard error.
fn request(directives: Option<&str>) -> (Vec<String>, Vec<String>) {
    let variables: Vec<_> = directives.map(|directives| ("RUST_LOG", directives)).into_iter().collect();
    let (out, _) = Program::start(REQUEST, &variables).succeed();
    let trace_id =
        out.lines().find_map(|line| Some(line.rsplit_once("the trace is ")?.1)).expect("the line is printed");
    let in_trace = format!("trace_id={trace_id} ");
    let after = |line: &str, target: &str| line.split_once(target).map(|(_, message)| message.to_owned());
    let logged = out.lines().filter(|line| line.contains(&in_trace));
    let logged = logged.filter_map(|line| after(line, "shop: ").or_else(|| after(line, "library: "))).collect();
    let warned = out.lines().filter(|line| line.contains("WARN")).filter_map(|line| after(line, "throughline: "));
    (logged, warned.collect())
}

#[test]
fn log_lines_have_the_trace_id_and_the_log_filter_does_not_affect_spans() {
    assert_eq!(request(None), (vec!["charged".into(), "out of stock".into(), "a record".into()], vec![]));
    assert_eq!(request(Some("error")).0, ["out of stock", "a record"]);
    assert_eq!(request(Some("warn,shop=debug")).0, ["charged", "the details", "out of stock", "a record"]);
    assert_eq!(request(Some("off")), (vec![], vec![]));
}

#[test]
fn a_directive_that_is_not_supported_is_ignored_with_a_warning() {
    let (logged, warned) = request(Some("warn,[request]=trace"));
    assert_eq!(logged, ["out of stock", "a record"]);
    let expected = "`[request]=trace` of `RUST_LOG` is ignored; expected a level, a target, or `target=level`";
    assert_eq!(warned, [expected]);
}

alone! {
    fn a_second_subscriber_is_an_error_with_a_remedy() {
        tracing_subscriber::fmt().with_max_level(Level::ERROR).with_writer(std::io::sink).init();
        let error = builder().init_with_subscriber().expect_err("one is set");
        assert!(matches!(error, InitError::Subscriber(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("remove the other setup of the log") && text.contains("`throughline::init()`"), "{text}");
        assert!(!throughline::in_span("span", has_span), "telemetry is not set up");
        let error = std::io::Error::from(error);
        assert_eq!((error.kind(), error.to_string()), (std::io::ErrorKind::AlreadyExists, text));
    }
}

alone! {
    with ["OTEL_TRACES_SAMPLER" = "sometimes"]
    fn an_invalid_variable_sets_no_subscriber() {
        let error = builder().init_with_subscriber().expect_err("an invalid variable");
        assert!(matches!(error, InitError::Config(_)), "{error:?}");
        assert!(!tracing::dispatcher::has_been_set());
    }
}
