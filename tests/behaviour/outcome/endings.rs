//! Spans that end without a value: panics, cancellation, destructors.

use super::*;

#[test]
fn a_panic_is_recorded_and_continues() {
    #[traced]
    fn panics(what: &str) {
        panic!("lost {what}")
    }
    let span = one(|| {
        let payload = std::panic::catch_unwind(|| panics("order")).expect_err("it panics");
        assert_eq!(payload.downcast_ref::<String>().map(String::as_str), Some("lost order"));
    });
    assert_failed(&span, "lost order", "panic");
}

#[test]
fn a_panic_with_another_payload_is_recorded() {
    #[traced]
    fn panics() {
        std::panic::panic_any(7u8)
    }
    let span = one(|| {
        let payload = std::panic::catch_unwind(panics).expect_err("it panics");
        assert_eq!(payload.downcast_ref::<u8>(), Some(&7));
    });
    assert!(span.is_panicked() && span.is_error());
}

#[test]
fn the_span_ends_with_the_function_whatever_still_holds_its_context() {
    #[traced]
    fn leaks() -> opentelemetry::Context {
        opentelemetry::Context::current()
    }
    let capture = Capture::new();
    let held = capture.run(leaks);
    assert_eq!(capture.open(), 0);
    assert_eq!(capture.named("leaks").len(), 1);
    drop(held);
    assert_eq!(capture.named("leaks").len(), 1);
}

#[tokio::test]
async fn an_async_error_and_panic_are_recorded() {
    #[traced]
    async fn fails() -> Result<(), Shown> {
        tokio::task::yield_now().await;
        Err(Shown)
    }
    #[traced]
    async fn panics() {
        tokio::task::yield_now().await;
        panic!("lost")
    }
    let capture = Capture::new();
    capture.run_async(async { drop(fails().await) }).await;
    let joined = tokio::spawn(capture.run_async(async { panics().await })).await;
    assert!(joined.expect_err("it panics").is_panic());
    assert_failed(&capture.span("fails"), "card declined", "behaviour::outcome::Shown");
    assert_failed(&capture.span("panics"), "lost", "panic");
    assert_eq!(capture.open(), 0);
}

#[tokio::test]
async fn a_dropped_future_is_cancelled_and_its_destructors_run_in_the_span() {
    struct Cleanup;
    impl Drop for Cleanup {
        fn drop(&mut self) {
            throughline::in_span("clean_up", || {});
        }
    }
    #[traced]
    async fn waits() {
        let _cleanup = Cleanup;
        std::future::pending::<()>().await;
    }
    let capture = Capture::new();
    let mut future = Box::pin(capture.run_async(waits()));
    assert!(futures::poll!(&mut future).is_pending());
    drop(future);
    let span = capture.span("waits");
    assert!(span.is_cancelled());
    assert_eq!(span.status, Status::Unset);
    assert!(capture.span("clean_up").is_child_of(&span));
    assert!(capture.span("clean_up").end_time <= span.end_time);
}

#[tokio::test]
async fn with_cancel_off_a_dropped_future_is_not_cancelled() {
    struct Feed;

    #[traced(cancel = off)]
    impl Feed {
        async fn next(&self) {
            std::future::pending::<()>().await;
        }

        #[traced(cancel = on)]
        async fn told(&self) {
            std::future::pending::<()>().await;
        }

        /// The block's option has no effect on a synchronous method.
        fn len(&self) -> usize {
            0
        }
    }

    #[traced(cancel = off)]
    fn later() -> impl Future<Output = ()> {
        std::future::pending()
    }

    #[traced(stream, cancel = off)]
    fn items() -> impl Stream<Item = u8> {
        futures::stream::repeat(1)
    }

    #[traced(cancel = off)]
    async fn fails() -> Result<(), Shown> {
        Err(Shown)
    }

    let capture = Capture::new();
    capture
        .run_async(async {
            tokio::select! {
                biased;
                () = Feed.next() => {}
                () = Feed.told() => {}
                () = later() => {}
                () = throughline::span("block").cancel_off().run_async(std::future::pending()) => {}
                () = std::future::ready(()) => {}
            }
            let mut items = std::pin::pin!(items());
            assert_eq!(items.next().await, Some(1));
            Feed.len();
            fails().await.unwrap_err();
        })
        .await;
    assert_eq!(capture.open(), 0);
    for name in ["Feed::next", "later", "block", "items", "Feed::len"] {
        let span = capture.span(name);
        assert!(!span.is_cancelled() && !span.is_error(), "{name}");
    }
    assert!(capture.span("Feed::told").is_cancelled(), "the method's own option goes first");
    assert!(capture.span("fails").is_error(), "only a drop is not recorded");
}

#[tokio::test]
async fn a_future_that_is_never_polled_has_no_span() {
    #[traced]
    async fn lazy() {}
    let capture = Capture::new();
    capture.run(|| drop(lazy()));
    assert_eq!(capture.open() + capture.spans().len(), 0);
}

/// One thread-local of the user is destroyed after OpenTelemetry's, and one before.
#[test]
fn the_destructor_of_a_thread_local_may_be_traced() {
    use std::sync::mpsc::{Sender, channel};

    #[traced]
    fn flush(done: &Sender<&'static str>, name: &'static str) {
        throughline::in_span("inside", || {});
        done.send(name).expect("the test waits");
    }
    struct Buffer(Option<(Sender<&'static str>, &'static str)>);
    impl Drop for Buffer {
        fn drop(&mut self) {
            if let Some((done, name)) = self.0.take() {
                flush(&done, name);
                throughline::Snapshot::capture().run(|| flush(&done, name));
                throughline::span("root").root().run(|| {});
            }
        }
    }
    thread_local! {
        static EARLY: std::cell::RefCell<Buffer> = const { std::cell::RefCell::new(Buffer(None)) };
        static LATE: std::cell::RefCell<Buffer> = const { std::cell::RefCell::new(Buffer(None)) };
    }
    let (done, flushed) = channel();
    let capture = Capture::new();
    let context = capture.context();
    let thread = std::thread::spawn(move || {
        EARLY.with_borrow_mut(|buffer| buffer.0 = Some((done.clone(), "early")));
        let _attached = context.attach();
        throughline::in_span("work", || {});
        LATE.with_borrow_mut(|buffer| buffer.0 = Some((done, "late")));
    });
    thread.join().expect("no panic");
    let mut names: Vec<_> = flushed.iter().collect();
    names.sort_unstable();
    assert_eq!(names, ["early", "early", "late", "late"]);
    assert_eq!(capture.open(), 0);
}

#[test]
fn jobs_inherit_the_suppression_of_telemetry() {
    let capture = Capture::new();
    capture.run(|| {
        let _suppressed = opentelemetry::Context::enter_telemetry_suppressed_scope();
        throughline::in_span("export", || {});
        throughline::spawn_thread(|| throughline::in_span("on a thread", || {})).join().expect("no panic");
    });
    assert!(capture.spans().is_empty());
    capture.run(|| throughline::in_span("not suppressed", || {}));
    assert_eq!(capture.spans().len(), 1);
}
