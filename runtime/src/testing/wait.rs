//! Waits for the spans and jobs of a capture.

use std::fmt;
use std::sync::PoisonError;
use std::time::Duration;

use super::Capture;
use super::store::{Inner, Store};
#[cfg(feature = "tokio")]
use crate::job::timeout::within;

impl Capture {
    /// Waits until no span of this capture is open and none of its detached jobs is running, for at most `limit`.
    /// Blocks the thread; in asynchronous code, use [`wait_async`](Self::wait_async).
    ///
    /// This includes spans and jobs that start while it waits. Unlike [`jobs::wait`](crate::jobs::wait), it does not
    /// wait for the jobs of other tests in the same process.
    ///
    /// # Errors
    ///
    /// Returns [`StillOpen`], with the names of the spans, if the limit is reached.
    ///
    /// ```
    /// use std::time::Duration;
    /// use throughline::testing::Capture;
    ///
    /// let capture = Capture::new();
    /// capture.run(|| {
    ///     throughline::in_span("request", || throughline::spawn_thread(|| throughline::in_span("step", || ())));
    /// });
    /// capture.wait(Duration::from_secs(5)).unwrap();
    /// assert_eq!(capture.spans().len(), 3);
    /// ```
    pub fn wait(&self, limit: Duration) -> Result<(), StillOpen> {
        let inner = self.store.lock();
        let waited = self.store.quiet.wait_timeout_while(inner, limit, |inner| !inner.is_quiet());
        let (inner, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if inner.is_quiet() { Ok(()) } else { Err(inner.still_open()) }
    }

    /// Like [`wait`](Self::wait), for asynchronous code. Cancel safe.
    ///
    /// In a Tokio runtime, the limit is measured by Tokio's clock. If that is paused, as with
    /// `#[tokio::test(start_paused = true)]`, it jumps to the limit as soon as the runtime is idle: sleeping tasks are
    /// awaited as in real time, but threads and other runtimes are not. Use `wait` for these. With any other executor, a
    /// thread keeps track of the time.
    ///
    /// # Errors
    ///
    /// Returns [`StillOpen`], with the names of the spans, if the limit is reached.
    ///
    /// # Panics
    ///
    /// Panics if there is something to wait for and this is called in a Tokio runtime whose timer is not enabled.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), throughline::testing::StillOpen> {
    /// use std::time::Duration;
    /// use throughline::testing::Capture;
    ///
    /// let capture = Capture::new();
    /// capture.run(|| throughline::in_span("request", || drop(throughline::span("receipt").spawn(async {}))));
    /// capture.wait_async(Duration::from_secs(5)).await?;
    /// capture.assert_tree("request\n└── receipt");
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tokio")]
    pub async fn wait_async(&self, limit: Duration) -> Result<(), StillOpen> {
        if self.store.lock().is_quiet() {
            return Ok(());
        }
        let is_quiet = within(limit, self.store.is_quiet()).await;
        if is_quiet { Ok(()) } else { Err(self.store.lock().still_open()) }
    }
}

impl Store {
    #[cfg(feature = "tokio")]
    async fn is_quiet(&self) {
        loop {
            let mut notified = std::pin::pin!(self.notify.notified());
            // Registered before the check, so that a notification in between is not missed.
            notified.as_mut().enable();
            if self.lock().is_quiet() {
                return;
            }
            notified.await;
        }
    }

    /// Wakes waiters if there is nothing left to wait for.
    pub(super) fn notify(&self, inner: &Inner) {
        if inner.is_quiet() {
            self.quiet.notify_all();
            #[cfg(feature = "tokio")]
            self.notify.notify_waiters();
        }
    }
}

impl Inner {
    fn is_quiet(&self) -> bool {
        self.open.is_empty() && self.jobs == 0
    }

    fn still_open(&self) -> StillOpen {
        let names = self.open_in_order().into_iter().map(|open| open.data.name.to_string());
        StillOpen { spans: names.collect(), jobs: self.jobs }
    }
}

/// The error returned by [`Capture::wait`] if spans are open or jobs are running when the limit is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StillOpen {
    /// The names of the open spans, in the order in which they started.
    pub spans: Vec<String>,
    /// The number of running detached jobs, with or without a span.
    pub jobs: usize,
}

impl fmt::Display for StillOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.spans.len() {
            0 => f.write_str("no span is open")?,
            1 => write!(f, "1 span is still open: `{}`", self.spans[0])?,
            spans => write!(f, "{spans} spans are still open: `{}`", self.spans.join("`, `"))?,
        }
        match self.jobs {
            0 => Ok(()),
            1 => f.write_str("; 1 detached job is still running"),
            jobs => write!(f, "; {jobs} detached jobs are still running"),
        }
    }
}

impl std::error::Error for StillOpen {}

#[cfg(all(test, feature = "tokio"))]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::{in_span, span, spawn, spawn_thread};

    const SOON: Duration = Duration::from_secs(30);

    #[test]
    fn threads_and_the_jobs_they_start_are_waited_for() {
        let capture = Capture::new();
        let (go, gone) = mpsc::channel::<()>();
        capture.run(|| {
            in_span("request", || {
                spawn_thread(move || {
                    gone.recv().unwrap();
                    spawn_thread(|| in_span("step", || ()));
                });
            });
        });
        let open = capture.wait(Duration::ZERO).unwrap_err();
        assert_eq!((open.spans.len(), open.jobs), (1, 1));
        assert!(open.to_string().starts_with("1 span is still open: `"), "{open}");
        assert!(open.to_string().ends_with("(spawned)`; 1 detached job is still running"), "{open}");
        go.send(()).unwrap();
        capture.wait(SOON).unwrap();
        assert_eq!((capture.open(), capture.spans().len()), (0, 4));
    }

    #[test]
    fn a_job_without_a_span_is_counted_by_its_own_capture() {
        let (capture, other) = (Capture::new(), Capture::new());
        let (go, gone) = mpsc::channel::<()>();
        capture.run(|| spawn_thread(move || gone.recv().unwrap()));
        assert_eq!(capture.wait(Duration::ZERO).unwrap_err(), StillOpen { spans: vec![], jobs: 1 });
        assert_eq!(other.wait(Duration::ZERO), Ok(()));
        go.send(()).unwrap();
        capture.wait(SOON).unwrap();
    }

    #[tokio::test(flavor = "current_thread")]
    async fn tasks_are_waited_for_without_blocking() {
        let capture = Capture::new();
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        capture.run(|| in_span("request", || drop(span("receipt").spawn(async { gone.await.unwrap() }))));
        let open = capture.wait_async(Duration::ZERO).await.unwrap_err();
        assert_eq!(open, StillOpen { spans: vec!["receipt".into()], jobs: 1 });
        assert_eq!(open.to_string(), "1 span is still open: `receipt`; 1 detached job is still running");
        go.send(()).unwrap();
        capture.wait_async(SOON).await.unwrap();
        capture.assert_tree("request\n└── receipt");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_aborted_job_is_not_waited_for() {
        let capture = Capture::new();
        let job = capture.run(|| spawn(std::future::pending::<()>()));
        assert_eq!(capture.wait_async(Duration::ZERO).await.unwrap_err().jobs, 1);
        job.abort();
        capture.wait_async(SOON).await.unwrap();
    }

    #[test]
    fn open_spans_are_named_in_the_order_in_which_they_started() {
        let capture = Capture::new();
        capture.run(|| {
            in_span("outer", || {
                in_span("inner", || {
                    let open = capture.wait(Duration::ZERO).unwrap_err();
                    assert_eq!(open.to_string(), "2 spans are still open: `outer`, `inner`");
                });
            });
        });
        assert_eq!(capture.wait(Duration::ZERO), Ok(()));
    }
}
