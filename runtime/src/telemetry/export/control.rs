//! Requests of the application to the export thread: flush and shutdown.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::sync::Notify;

/// The interval between checks of whether a thread has finished.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Shared by the span processor and the export thread.
#[derive(Debug, Default)]
pub(super) struct Control {
    requests: Mutex<Requests>,
    wake: Notify,
    /// Whether a batch is being exported.
    is_exporting: AtomicBool,
}

#[derive(Debug, Default)]
struct Requests {
    /// Pending flushes, numbered. Each is answered when everything queued before it has been exported.
    flushes: Vec<(u64, Flush)>,
    /// The number of flushes so far.
    flush_count: u64,
    /// The deadline of a shutdown.
    deadline: Option<Instant>,
    /// Whether the export has ended.
    closed: bool,
}

/// Answers a flush.
pub(super) type Flush = mpsc::SyncSender<()>;

impl Control {
    fn lock(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the export thread before its next tick.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Wakes the export thread because a batch is full, unless it is already exporting: it then checks for the next
    /// batch itself, and during an outage it may retry for a long time.
    pub(super) fn batch_is_full(&self) {
        fence(Ordering::SeqCst);
        if !self.is_exporting.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    /// Marks the export thread as exporting, which suppresses [`batch_is_full`](Self::batch_is_full). So after clearing
    /// the mark, the caller has to check whether a batch is full.
    pub(super) fn set_exporting(&self, is_exporting: bool) {
        self.is_exporting.store(is_exporting, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Requests a flush and waits for it, for `timeout` at most.
    pub(super) fn flush(&self, timeout: Duration) -> OTelSdkResult {
        let (flush, flushed) = mpsc::sync_channel(1);
        let number = {
            let mut requests = self.lock();
            if requests.closed {
                return Err(OTelSdkError::AlreadyShutdown);
            }
            requests.flush_count += 1;
            let number = requests.flush_count;
            requests.flushes.push((number, flush));
            number
        };
        self.wake();
        match flushed.recv_timeout(timeout) {
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let mut requests = self.lock();
                // One request stays, so that the flush still happens.
                if requests.flushes.len() > 1 {
                    requests.flushes.retain(|(other, _)| *other != number);
                }
                Err(OTelSdkError::Timeout(timeout))
            }
            // Disconnected: the thread has shut down, and has exported what it could.
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => Ok(()),
        }
    }

    /// Requests a shutdown that completes within `timeout`.
    pub(super) fn shut_down(&self, timeout: Duration) {
        self.lock().deadline = Some(deadline_after(timeout));
        self.wake();
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.lock().deadline
    }

    pub(super) fn is_past_deadline(&self) -> bool {
        self.deadline().is_some_and(|deadline| Instant::now() >= deadline)
    }

    pub(super) fn has_request(&self) -> bool {
        let requests = self.lock();
        requests.deadline.is_some() || !requests.flushes.is_empty()
    }

    pub(super) fn take_requests(&self) -> (Vec<Flush>, Option<Instant>) {
        let mut requests = self.lock();
        let flushes = std::mem::take(&mut requests.flushes);
        (flushes.into_iter().map(|(_, flush)| flush).collect(), requests.deadline)
    }

    /// Ends the export: rejects flushes from now on.
    pub(super) fn close(&self) {
        self.lock().closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Wakes all waiters for a flush, because the export thread has finished.
    pub(super) fn release_flushes(&self) {
        self.lock().flushes.clear();
    }

    /// Waits until the export thread is done, for at most `timeout`, without requesting a shutdown.
    pub(super) fn wait_closed(&self, timeout: Duration) {
        poll_until(timeout, || self.is_closed());
    }
}

/// Waits until a thread has finished, for at most `timeout`. Returns whether it has.
pub(crate) fn wait_for_thread<T>(thread: &JoinHandle<T>, timeout: Duration) -> bool {
    poll_until(timeout, || thread.is_finished())
}

/// Polls, because a thread cannot be joined with a timeout.
fn poll_until(timeout: Duration, is_done: impl Fn() -> bool) -> bool {
    let deadline = deadline_after(timeout);
    while !is_done() && Instant::now() < deadline {
        thread::park_timeout(POLL_INTERVAL);
    }
    is_done()
}

/// The deadline for a timeout. Saturates at a year, because an `Instant` cannot be arbitrarily late.
fn deadline_after(timeout: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or_else(|| now + YEAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// During an outage, the export thread does not take requests.
    #[test]
    fn flushes_that_have_timed_out_do_not_accumulate() {
        let control = Control::default();
        for _ in 0..100 {
            assert!(matches!(control.flush(Duration::ZERO), Err(OTelSdkError::Timeout(_))));
        }
        assert!(control.has_request(), "a flush is still due");
        assert_eq!(control.take_requests().0.len(), 1);
    }

    #[test]
    fn only_the_flush_that_has_timed_out_is_removed() {
        let control = Control::default();
        let (other, is_answered) = mpsc::sync_channel(1);
        control.lock().flushes.push((0, other));
        assert!(matches!(control.flush(Duration::ZERO), Err(OTelSdkError::Timeout(_))));
        let (flushes, _) = control.take_requests();
        assert_eq!(flushes.len(), 1);
        flushes[0].send(()).expect("the receiver is alive");
        assert_eq!(is_answered.try_recv(), Ok(()));
    }
}
