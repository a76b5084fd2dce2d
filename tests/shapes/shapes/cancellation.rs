//! Futures that are dropped before they complete. For every asynchronous shape, the harness checks that the values are
//! then dropped in the right order.

use std::pin::pin;
use std::task::{Context, Waker};

use futures::FutureExt as _;
use throughline::testing::Capture;
use throughline::{in_span, traced};

use super::harness::{Noisy, pause};

struct Cleanup;

impl Drop for Cleanup {
    fn drop(&mut self) {
        clean_up();
    }
}

#[traced]
fn clean_up() {}

#[traced]
async fn work(argument: Cleanup) -> u8 {
    let local = Cleanup;
    pause().await;
    1
}

fn poll_once(future: impl Future) {
    let mut future = pin!(future);
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn never_polled_there_is_no_span() {
    let capture = Capture::new();
    capture.run(|| in_span("outer", || drop(work(Cleanup))));
    assert_eq!(capture.tree(), "outer\n└── clean_up");
}

#[test]
fn dropped_half_way_it_is_cancelled_and_cleans_up_in_the_span() {
    let capture = Capture::new();
    capture.run(|| in_span("outer", || poll_once(work(Cleanup))));
    assert_eq!(capture.tree(), "outer\n└── work !cancelled\n    ├── clean_up\n    └── clean_up");
    assert_eq!(capture.open(), 0);
}

#[test]
fn dropped_elsewhere_it_still_cleans_up_in_the_span() {
    let capture = Capture::new();
    let mut future = Box::pin(work(Cleanup));
    capture.run(|| in_span("outer", || future.as_mut().now_or_never()));
    std::thread::spawn(move || in_span("elsewhere", || drop(future))).join().unwrap();
    assert_eq!(capture.tree(), "outer\n└── work !cancelled\n    ├── clean_up\n    └── clean_up");
}

#[test]
fn polled_elsewhere_it_stays_where_it_began() {
    let capture = Capture::new();
    let mut future = Box::pin(work(Cleanup));
    capture.run(|| {
        in_span("first", || assert!(future.as_mut().now_or_never().is_none()));
        in_span("second", || assert_eq!(future.as_mut().now_or_never(), Some(1)));
    });
    drop(future);
    assert_eq!(capture.tree(), "first\n└── work\n    ├── clean_up\n    └── clean_up\nsecond");
}

#[test]
fn a_finished_future_that_is_kept_has_ended() {
    let capture = Capture::new();
    let mut future = Box::pin(work(Cleanup));
    capture.run(|| while future.as_mut().now_or_never().is_none() {});
    assert_eq!(capture.open(), 0);
    assert!(!capture.span("work").is_cancelled());
    drop(future);
    assert_eq!(capture.spans().len(), 3);
}

#[test]
fn a_future_that_it_awaits_is_cancelled_with_it() {
    #[traced]
    async fn above(a: Noisy) -> u8 {
        work(Cleanup).await
    }

    let capture = Capture::new();
    capture.run(|| poll_once(above(Noisy("a"))));
    assert_eq!(capture.tree(), "above !cancelled\n└── work !cancelled\n    ├── clean_up\n    └── clean_up");
}

#[tokio::test]
async fn a_timeout_cancels() {
    let capture = Capture::new();
    let timed = capture.run_async(tokio::time::timeout(std::time::Duration::ZERO, async {
        work(Cleanup).await;
        std::future::pending::<()>().await;
    }));
    assert!(timed.await.is_err());
    assert_eq!(capture.open(), 0);
}

#[tokio::test]
async fn an_aborted_task_cancels() {
    #[traced]
    async fn endless(started: tokio::sync::oneshot::Sender<()>) {
        let _cleanup = Cleanup;
        started.send(()).unwrap();
        std::future::pending::<()>().await;
    }

    let capture = Capture::new();
    let (started, has_started) = tokio::sync::oneshot::channel();
    let task = tokio::spawn(capture.run_async(endless(started)));
    has_started.await.unwrap();
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(capture.tree(), "endless !cancelled\n└── clean_up");
}
