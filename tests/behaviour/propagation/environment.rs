//! Environment variables as a carrier: the context of a process that starts another one.

use std::process::Command;

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue};
use throughline::propagation::{self, Environment, EnvironmentMut, Format, Propagator};
use throughline::testing::Capture;
use throughline::{Origin as _, traced};

use super::*;

/// The variables that are set or removed for a process.
fn changed(command: &Command) -> Vec<(String, Option<String>)> {
    let text = |text: &std::ffi::OsStr| text.to_str().expect("text").to_owned();
    command.get_envs().map(|(name, value)| (text(name), value.map(text))).collect()
}

fn set(name: &str, value: &str) -> (String, Option<String>) {
    (name.to_owned(), Some(value.to_owned()))
}

fn removed(name: &str) -> (String, Option<String>) {
    (name.to_owned(), None)
}

fn traceparent() -> String {
    format!("00-{TRACE}-{SPAN}-01")
}

#[test]
fn the_environment_is_a_parent() {
    #[traced(parent = environment)]
    fn run(environment: &Environment) {}
    let capture = Capture::new();
    let variables = [("TRACEPARENT", traceparent()), ("TRACESTATE", "a=1".to_owned()), ("PATH", "/bin".to_owned())];
    capture.run(|| run(&Environment::from_iter(variables)));
    let span = capture.span("run");
    assert_eq!(
        (span.trace_id().to_string(), span.parent_id().map(|id| id.to_string())),
        (TRACE.into(), Some(SPAN.into()))
    );
    // A variable whose name is not normalized is another one.
    let other = Environment::from_iter([("traceparent", traceparent())]).origin();
    assert!(!other.span().span_context().is_valid());
    assert!(!Environment::of_process().origin().span().span_context().is_valid(), "the tests have no caller");
}

#[test]
fn every_format_is_injected_and_extracted() {
    let expected = remote(1).span().span_context().clone();
    for (format, names) in [
        (Format::TraceContext, &["TRACEPARENT", "TRACESTATE"][..]),
        (Format::B3, &["B3"]),
        (Format::B3Multi, &["X_B3_SAMPLED", "X_B3_SPANID", "X_B3_TRACEID"]),
        (Format::Jaeger, &["UBER_TRACE_ID"]),
        (Format::XRay, &["X_AMZN_TRACE_ID"]),
    ] {
        let propagator = Propagator::new([format]);
        let mut command = Command::new("true");
        propagator.inject(&remote(1), &mut EnvironmentMut::new(&mut command));
        let variables: Vec<_> =
            changed(&command).into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        assert!(variables.iter().all(|(name, _)| names.contains(&&**name)), "{variables:?}");
        let context = propagator.extract(&Environment::from_iter(variables));
        assert_eq!(context.span().span_context(), &expected, "{format:?}");
    }
}

/// The variables with which this process was started belong to another span.
#[test]
fn variables_that_would_be_inherited_are_removed() {
    let mut command = Command::new("true");
    command.env("TRACESTATE", "old=1").env("BAGGAGE", "old=1").env("OTHER", "kept");
    // Without a context, they are inherited.
    propagation::inject_context(&Context::new(), &mut EnvironmentMut::new(&mut command));
    assert_eq!(changed(&command), [set("BAGGAGE", "old=1"), set("OTHER", "kept"), set("TRACESTATE", "old=1")]);
    propagation::inject_context(&remote(1), &mut EnvironmentMut::new(&mut command));
    let expected =
        [removed("BAGGAGE"), set("OTHER", "kept"), set("TRACEPARENT", &traceparent()), removed("TRACESTATE")];
    assert_eq!(changed(&command), expected);
}

#[cfg(unix)]
#[test]
fn a_child_process_is_in_the_trace_and_has_the_baggage() {
    use opentelemetry::baggage::BaggageExt as _;

    let incoming = [("traceparent", traceparent()), ("tracestate", "a=1,b=2".to_owned())];
    let context = incoming.origin().with_baggage([KeyValue::new("tenant_id", "acme, inc")]);
    let capture = Capture::new();
    let (output, sent) = capture.run(|| {
        throughline::span("start").parent(&context).run(|| {
            let mut command = Command::new("env");
            command.env("BAGGAGE", "tenant_id=other").env("TRACESTATE", "old=1");
            propagation::inject(&mut EnvironmentMut::new(&mut command));
            (command.output().expect("it is installed"), Context::current().span().span_context().clone())
        })
    });
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let received: Environment = output.lines().filter_map(|line| line.split_once('=')).collect();
    let received = received.origin();
    let span = received.span().span_context().clone();
    assert_eq!((span.trace_id(), span.span_id(), span.is_remote()), (sent.trace_id(), sent.span_id(), true));
    assert_eq!((span.trace_state().header(), span.is_sampled()), ("a=1,b=2".to_owned(), true));
    assert_eq!(received.baggage().get("tenant_id").map(ToString::to_string).as_deref(), Some("acme, inc"));
    assert_eq!(sent.span_id(), capture.span("start").span_id());
}
