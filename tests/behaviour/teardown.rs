//! Destructors that run while a thread unwinds or is destroyed.

use std::cell::RefCell;
use std::sync::mpsc::{Sender, channel};

use opentelemetry::trace::Status;
use throughline::testing::Capture;
use throughline::{Carried, Snapshot, traced};

#[track_caller]
#[traced]
fn clean_up() -> Result<(), String> {
    Ok(())
}

#[track_caller]
#[traced]
fn clean_up_early(early: bool) -> Option<()> {
    if early {
        return None;
    }
    Some(())
}

#[track_caller]
#[traced]
fn clean_up_badly() -> Result<(), String> {
    Err("still there".to_owned())
}

#[test]
fn a_span_in_a_destructor_can_succeed_while_the_thread_unwinds() {
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            assert!(std::thread::panicking());
            clean_up().expect("it returns so");
            assert_eq!(clean_up_early(true), None);
            clean_up_badly().expect_err("it returns so");
        }
    }
    #[track_caller]
    #[traced]
    fn panics() {
        let _guard = Guard;
        panic!("lost")
    }
    let capture = Capture::new();
    capture.run(|| std::panic::catch_unwind(panics).expect_err("it panics"));
    for name in ["clean_up", "clean_up_early"] {
        let span = capture.span(name);
        assert!(!span.is_panicked() && span.status == Status::Unset, "{name}: {:?}", span.status);
    }
    assert_eq!(capture.span("clean_up_badly").status, Status::error("still there"));
    assert!(capture.span("panics").is_panicked());
}

/// Runs its closure when its thread is destroyed.
struct AtExit(Option<(Sender<&'static str>, Vec<throughline::Attached>)>);

impl Drop for AtExit {
    fn drop(&mut self) {
        let Some((done, held)) = self.0.take() else { return };
        drop(held);
        let say = |what| done.send(what).expect("the test waits");
        {
            let _attached = Snapshot::capture().attach();
            say("attach");
        }
        Carried::new("run").run(say);
        let future = Carried::new("run_async").run_async(|what| async move { say(what) });
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(std::pin::pin!(future).poll(&mut cx).is_ready());
        Snapshot::capture().wrap(|| say("wrap"))();
        Snapshot::capture().wrap_fn(say)("wrap_fn");
        throughline::record("key", 1);
        throughline::record_error(&std::fmt::Error);
        say("record");
    }
}

#[test]
fn a_context_may_be_attached_while_the_thread_is_torn_down() {
    thread_local! {
        static BEFORE: RefCell<AtExit> = const { RefCell::new(AtExit(None)) };
        static AFTER: RefCell<AtExit> = const { RefCell::new(AtExit(None)) };
    }
    let (done, said) = channel();
    let context = Capture::new().context();
    let thread = std::thread::spawn(move || {
        // The first is destroyed after OpenTelemetry's thread-local, and the last before it.
        BEFORE.with_borrow_mut(|it| it.0 = Some((done.clone(), Vec::new())));
        let _attached = context.attach();
        throughline::in_span("work", || {});
        BEFORE.with_borrow_mut(|it| it.0.as_mut().expect("as set").1.push(Snapshot::capture().attach()));
        AFTER.with_borrow_mut(|it| it.0 = Some((done, Vec::new())));
    });
    thread.join().expect("no panic");
    let mut said: Vec<_> = said.iter().collect();
    said.sort_unstable();
    let all = ["attach", "record", "run", "run_async", "wrap", "wrap_fn"];
    assert_eq!(said, all.iter().flat_map(|it| [*it; 2]).collect::<Vec<_>>());
}

#[test]
fn telemetry_may_be_used_for_the_first_time_while_the_thread_is_torn_down() {
    thread_local! {
        static AT_EXIT: RefCell<AtExit> = const { RefCell::new(AtExit(None)) };
    }
    let (done, said) = channel();
    let thread = std::thread::spawn(move || {
        AT_EXIT.with_borrow_mut(|it| it.0 = Some((done, Vec::new())));
        // As a library would. OpenTelemetry's thread-local is destroyed before `AT_EXIT`.
        let _ = opentelemetry::Context::current();
    });
    thread.join().expect("no panic");
    assert_eq!(said.iter().count(), 6);
}
