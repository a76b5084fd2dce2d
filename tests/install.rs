//! The destination of spans without a capture. The provider is process-wide, so this is a single test in its own
//! process.

use std::time::Duration;

use opentelemetry::{Context, global};
use throughline::testing::Capture;
use throughline::{in_span, traced, traced_spawn};

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
    assert!(!opentelemetry::trace::TraceContextExt::has_active_span(&Context::current()));

    // A provider that is set after the first spans is found all the same.
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

    // An installed one goes before it, on every thread, and can be replaced.
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

    // After its shutdown the code runs on.
    let last = Capture::new();
    throughline::install(last.provider());
    last.provider().shutdown_with_timeout(Duration::from_secs(5)).expect("nothing to flush");
    assert_eq!(work(8), 8);
    assert!(last.spans().is_empty());
}
