//! Timeouts, also where there is no Tokio runtime.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How long a thread blocks between two polls if no other thread can keep track of the time.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Whether `future` completes within `timeout`, by Tokio's clock if there is a runtime. Panics if its timer is not enabled.
pub(crate) async fn within(timeout: Duration, future: impl Future<Output = ()>) -> bool {
    match Handle::try_current() {
        Ok(_) => tokio::time::timeout(timeout, future).await.is_ok(),
        Err(_) => completes_within(timeout, future).await,
    }
}

/// Whether `future` completes within `timeout`. If it is not ready, a thread keeps track of the time, because there may
/// be no runtime, or one without a timer.
pub(crate) async fn completes_within(timeout: Duration, future: impl Future<Output = ()>) -> bool {
    let mut future = pin!(future);
    if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
        return true;
    }
    let (elapsed, mut is_elapsed) = oneshot::channel::<Infallible>();
    let (_waiting, is_over) = mpsc::channel::<Infallible>();
    let begun = Instant::now();
    let timer = thread::Builder::new().name("throughline-timeout".to_owned()).spawn(move || {
        let _elapsed = elapsed;
        let _ = is_over.recv_timeout(timeout);
    });
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending if timer.is_ok() => Pin::new(&mut is_elapsed).poll(cx).map(|_| false),
        Poll::Pending if begun.elapsed() >= timeout => Poll::Ready(false),
        // The system has no more threads. Other tasks, which may be the jobs, run between two polls.
        Poll::Pending => {
            thread::sleep(POLL_INTERVAL);
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}
