//! The end of a process: `main` returns or panics, or a signal arrives.

use throughline_load::trace::status::StatusCode;

use crate::process::Program;
use crate::support::{Kept, attributes};

fn start(role: &str, kept: &Kept) -> Program {
    Program::start(role, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &kept.collector.endpoint())])
}

#[test]
fn dropping_flushes_the_queue_in_any_runtime() {
    for role in [
        "drop without a runtime",
        "drop in a current-thread runtime",
        "drop in a multi-thread runtime",
        "drop in a task",
    ] {
        let kept = Kept::start();
        start(role, &kept).succeed();
        let tally = kept.tally();
        assert_eq!((tally.traces, tally.complete), (100, 100), "{role}");
    }
}

#[test]
fn spans_are_exported_after_a_panic_in_main() {
    let kept = Kept::start();
    let (status, _, err) = start("panic", &kept).end();
    assert!(!status.success() && err.contains("lost the thread"), "{err}");
    assert_eq!(kept.spans().iter().filter(|span| span.name == "root").count(), 100);
    let main = kept.span("main");
    assert_eq!(main.status.unwrap_or_default().code(), StatusCode::Error);
    let job = kept.span("job");
    assert_eq!(attributes(&job.attributes)["throughline.unfinished"], "true");
}

#[test]
fn a_panic_hook_can_flush_before_the_process_aborts() {
    let kept = Kept::start();
    let (status, _, _) = start("panic that aborts", &kept).end();
    assert!(!status.success());
    let tally = kept.tally();
    assert_eq!((tally.traces, tally.complete), (100, 100));
}

#[test]
fn a_signal_leads_to_an_orderly_shutdown() {
    for signal in ["-TERM", "-INT"] {
        let kept = Kept::start();
        let program = start("signal", &kept);
        program.wait_for("ready");
        program.signal(signal);
        let (out, _) = program.succeed();
        assert!(out.contains("jobs 1"), "{out}");
        assert_eq!(kept.spans().iter().filter(|span| span.name == "root").count(), 100);
        assert!(!attributes(&kept.span("job").attributes).contains_key("throughline.unfinished"));
    }
    let kept = Kept::start();
    let program = start("shutdown on signal", &kept);
    program.wait_for("ready");
    program.signal("-TERM");
    program.succeed();
    assert_eq!(kept.tally().complete, 100);
}

#[test]
fn a_second_signal_does_not_interrupt_the_shutdown() {
    let kept = Kept::start();
    let program = start("two signals", &kept);
    for moment in ["ready", "ending"] {
        program.wait_for(moment);
        program.signal("-TERM");
    }
    program.succeed();
    assert!(!attributes(&kept.span("job").attributes).contains_key("throughline.unfinished"));
}
