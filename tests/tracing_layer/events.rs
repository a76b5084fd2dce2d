//! Events are added to their span, and some report its outcome.

use opentelemetry::trace::Status;
use throughline::testing::Capture;
use throughline::tracing_layer::Builder;
use throughline::{in_span, span};
use tracing::{Level, debug, error, info, info_span, instrument, warn};

use crate::{event_names, with_built, with_layer};

#[test]
fn an_event_is_on_the_span_of_its_parent() {
    let capture = Capture::new();
    with_layer(&capture, || {
        let root = info_span!("root").entered();
        info!("1");
        info!(parent: &root, "2");
        info!(parent: None, "3");
        let child = info_span!(parent: &root, "child");
        child.in_scope(|| {
            info!("4");
            info!(parent: &root, "5");
            info!(parent: &child, "6");
            info!(parent: None, "7");
        });
        info!("8");
        info!(parent: &root, "9");
        info!(parent: &child, "10");
        info!(parent: None, "11");
        let root = root.exit();
        info!("12");
        info!(parent: &root, "13");
        info!(parent: &child, "14");
        info!(parent: None, "15");
    });
    assert_eq!(event_names(&capture.span("root")), ["1", "2", "5", "8", "9", "13"]);
    assert_eq!(event_names(&capture.span("child")), ["4", "6", "10", "14"]);
}

#[test]
fn an_event_is_on_the_innermost_span_of_either_kind() {
    let capture = Capture::new();
    with_layer(&capture, || {
        info_span!("outer").in_scope(|| in_span("inner", || info!("inside")));
        span("annotated").run(|| info_span!("instrumented").in_scope(|| info!("inside too")));
    });
    assert_eq!(event_names(&capture.span("inner")), ["inside"]);
    assert_eq!(event_names(&capture.span("instrumented")), ["inside too"]);
    assert!(capture.span("outer").events.is_empty() && capture.span("annotated").events.is_empty());
}

#[test]
fn events_are_filtered_by_level_and_target() {
    let log = || {
        info_span!("work").in_scope(|| {
            debug!("debug");
            info!("info");
            warn!("warn");
            error!(target: "hyper::client", "chatter");
            error!(target: "opentelemetry", "about itself");
        });
    };
    let capture = Capture::new();
    with_layer(&capture, log);
    assert_eq!(event_names(&capture.span("work")), ["info", "warn"]);

    let capture = Capture::new();
    with_built(&capture, Builder::new().events(Level::WARN), log);
    assert_eq!(event_names(&capture.span("work")), ["warn"]);

    let capture = Capture::new();
    with_built(&capture, Builder::new().without_events(), log);
    assert!(capture.span("work").events.is_empty());
}

#[test]
fn a_span_has_a_limited_number_of_events() {
    let capture = Capture::new();
    with_built(&capture, Builder::new().max_events(3), || {
        info_span!("loop").in_scope(|| (0..100).for_each(|n| info!(n, "again")));
    });
    let events = event_names(&capture.span("loop"));
    assert_eq!(events, ["again", "again", "again", "throughline.log.limit_reached"]);
}

#[test]
fn the_error_of_an_instrumented_function_is_the_outcome() {
    #[instrument(err)]
    fn charge() -> Result<(), &'static str> {
        Err("declined")
    }
    #[instrument(err(Debug, level = "info"))]
    fn charge_quietly() -> Result<(), &'static str> {
        Err("declined")
    }
    let capture = Capture::new();
    with_layer(&capture, || _ = (charge(), charge_quietly()));
    for (name, message) in [("charge", "declined"), ("charge_quietly", "\"declined\"")] {
        let span = capture.span(name);
        assert_eq!(span.status, Status::error(message));
        let exception = span.event("exception").expect("an exception");
        let text = exception.attributes.iter().find(|attribute| attribute.key.as_str() == "exception.message");
        assert_eq!(text.expect("a message").value.as_str(), message);
        assert!(!exception.attributes.iter().any(|attribute| attribute.key.as_str() == "error"));
    }

    let capture = Capture::new();
    with_built(&capture, Builder::new().error_outcomes(false), || _ = charge());
    let span = capture.span("charge");
    assert_eq!(span.status, Status::Unset);
    assert!(span.event("exception").is_none() && span.events.len() == 1);
}

#[test]
fn the_outcome_is_recorded_beyond_the_event_limit() {
    #[instrument(err)]
    fn charge() -> Result<(), &'static str> {
        (0..10).for_each(|_| info!("retry"));
        Err("declined")
    }
    let capture = Capture::new();
    with_built(&capture, Builder::new().max_events(3), || _ = charge());
    assert_eq!(capture.span("charge").status, Status::error("declined"));
}

#[test]
fn a_logged_error_sets_the_status_only_if_enabled() {
    let log = || {
        info_span!("work").in_scope(|| error!(error = "timeout", "trying again"));
        info_span!("plain").in_scope(|| error!("failed"));
    };
    let capture = Capture::new();
    with_layer(&capture, log);
    assert_eq!(capture.span("work").status, Status::Unset);
    assert_eq!(event_names(&capture.span("work")), ["trying again"]);

    let capture = Capture::new();
    with_built(&capture, Builder::new().error_levels(true), log);
    assert!(capture.span("work").is_error() && capture.span("plain").is_error());
}

/// A later log line is less specific than the outcome.
#[test]
fn a_later_logged_error_keeps_the_description() {
    let capture = Capture::new();
    with_built(&capture, Builder::new().error_levels(true), || {
        info_span!("work").in_scope(|| {
            error!(error = "declined");
            error!("giving up");
        });
    });
    assert_eq!(capture.span("work").status, Status::error("declined"));
}

#[test]
fn an_event_without_a_span_is_ignored() {
    let capture = Capture::new();
    with_layer(&capture, || info!("alone"));
    assert!(capture.spans().is_empty());
}

#[test]
fn events_are_not_added_while_telemetry_is_suppressed() {
    let capture = Capture::new();
    with_layer(&capture, || {
        info_span!("work").in_scope(|| {
            {
                let _suppressed = opentelemetry::Context::enter_telemetry_suppressed_scope();
                info!("suppressed");
            }
            info!("added");
        });
    });
    assert_eq!(event_names(&capture.span("work")), ["added"]);
}
