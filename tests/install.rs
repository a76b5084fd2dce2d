//! The destination of spans without a capture. The provider is process-wide, so this is a single test in its own
//! process.

use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, global};
use throughline::testing::Capture;
use throughline::{Carrier, Snapshot, in_span, span, traced, traced_spawn};

#[traced]
fn work(n: u8) -> u8 {
    in_span("inside", || n)
}

#[traced_spawn]
async fn job(n: u8) -> u8 {
    work(n)
}

#[tokio::test]
async fn nothing_then_the_global_provider_then_an_installed_one() {
    // Nothing is set up: the code runs, and nothing is recorded or left current.
    assert_eq!(work(1), 1);
    assert_eq!(job(2).await.expect("no panic"), 2);
    assert!(!Context::current().has_active_span());

    // The caller's context is passed on, but not into a new trace.
    let caller = SpanContext::new(TraceId::from(1), SpanId::from(2), TraceFlags::SAMPLED, true, TraceState::NONE);
    let caller = Snapshot::from_context(&Context::new().with_remote_span_context(caller));
    assert!(caller.run(|| in_span("inside", Carrier::capture)).traceparent.is_some());
    assert!(caller.run(|| span("tick").root().run(Carrier::capture)).traceparent.is_none());

    // A global provider that is set after the first spans is used.
    let global = Capture::new();
    global::set_tracer_provider(global.provider().clone());
    assert_eq!(work(3), 3);
    assert_eq!(job(4).await.expect("no panic"), 4);
    let tree = "
        work
        └── inside
        job
        └── work
            └── inside
        ";
    global.assert_tree(tree);

    // An installed provider takes precedence, on every thread, and can be replaced.
    for _ in 0..2 {
        let installed = Capture::new();
        throughline::install(installed.provider());
        assert_eq!(work(5), 5);
        assert_eq!(job(6).await.expect("no panic"), 6);
        installed.assert_tree(tree);
        std::thread::spawn(|| work(7)).join().expect("no panic");
        assert_eq!(installed.named("work").len(), 3);
    }
    assert_eq!(global.spans().len(), 5);

    // After a shutdown, code still runs, and nothing is recorded.
    let last = Capture::new();
    throughline::install(last.provider());
    last.provider().shutdown_with_timeout(Duration::from_secs(5)).expect("nothing to flush");
    assert_eq!(work(8), 8);
    assert!(last.spans().is_empty());
}
