//! The thread that sends: it waits, empties the queue, and ends in time.

use std::cell::RefCell;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use opentelemetry_sdk::trace::SpanData;
use tokio::time;

use super::housekeeping::Housekeeping;
use super::prepare::prepared;
use super::sender::{Sender, Sent};
use super::shared::{Shared, TICK, locked};

/// The shortest time between two looks at the queue, whatever `OTEL_BSP_SCHEDULE_DELAY` says.
const SHORTEST_DELAY: Duration = Duration::from_millis(10);

/// Empties the queue into one sender.
pub(super) struct Worker<'a, S> {
    shared: &'a Shared,
    sender: S,
    housekeeping: Housekeeping,
}

impl<'a, S: Sender> Worker<'a, S> {
    pub(super) fn new(shared: &'a Shared, sender: S) -> Self {
        Self { shared, sender, housekeeping: Housekeeping::new() }
    }

    /// Until it is told to end.
    pub(super) async fn work(mut self) {
        let shared = self.shared;
        let delay = shared.batching.delay.clamp(SHORTEST_DELAY, TICK);
        let patience = u32::try_from(shared.batching.delay.as_millis() / delay.as_millis()).unwrap_or(u32::MAX);
        let mut ticked = Instant::now();
        let mut last = Instant::now();
        loop {
            let called = {
                let control = locked(&shared.control);
                control.deadline.is_some() || !control.flushes.is_empty()
            };
            if !called {
                let _ = time::timeout(delay, shared.bell.notified()).await;
            }
            unharmed(|| self.housekeeping.tick(shared));
            let (flushes, deadline) = {
                let mut control = locked(&shared.control);
                (std::mem::take(&mut control.flushes), control.deadline)
            };
            let everything = !flushes.is_empty() || deadline.is_some();
            if everything {
                shared.queue.release_all();
            } else if ticked.elapsed() >= delay {
                ticked = Instant::now();
                shared.queue.tick(patience);
            }
            if everything || shared.queue.ready() >= shared.enough() || last.elapsed() >= shared.batching.delay {
                last = Instant::now();
                self.empty(everything).await;
            }
            for flush in flushes {
                let _ = flush.send(());
            }
            let deadline = deadline.or_else(|| locked(&shared.control).deadline);
            if let Some(deadline) = deadline {
                if shared.queue.len() > 0 && Instant::now() < deadline {
                    continue;
                }
                // What is in flight is given up too.
                shared.leave_behind();
                unharmed(|| self.housekeeping.finish(shared, &self.sender.trouble()));
                self.sender.end(deadline.saturating_duration_since(Instant::now()));
                return;
            }
        }
    }

    /// Sends what may leave: all of it, or as long as it is worth a request.
    async fn empty(&mut self, everything: bool) {
        let shared = self.shared;
        // What comes in meanwhile is not waited for, or a flush might never end.
        let mut left = shared.queue.ready();
        while left > 0 {
            let batch = shared.queue.take(shared.largest_batch().min(left));
            let count = batch.len();
            if count == 0 || !self.send(batch).await {
                return;
            }
            left = match shared.queue.ready() {
                _ if everything => left - count,
                ready if ready >= shared.enough() => ready,
                _ => 0,
            };
        }
    }

    /// Sends one batch. False: time is up.
    async fn send(&mut self, batch: Vec<SpanData>) -> bool {
        let Self { shared, sender, housekeeping } = self;
        let batch = batch.into_iter().map(|span| prepared(span, shared.watch.value_limit)).collect();
        let begun = Instant::now();
        let refused = RefCell::new(Vec::new());
        let settle = |sent: Sent| {
            shared.queue.settle(sent.taken, sent.refused);
            if sent.refused > 0 {
                refused.borrow_mut().push(sent);
            }
        };
        let mut sending = pin!(sender.send(batch, &settle));
        let mut hurried = false;
        loop {
            let mut called = pin!(shared.bell.notified());
            let next = poll_fn(|cx| {
                // An exporter that is not ours may panic. That must not be the end of all export.
                match catch_unwind(AssertUnwindSafe(|| sending.as_mut().poll(cx))) {
                    Ok(Poll::Ready(())) => Poll::Ready(true),
                    Ok(Poll::Pending) => called.as_mut().poll(cx).map(|()| false),
                    Err(_) => {
                        let refused = shared.queue.in_flight() as u64;
                        settle(Sent { refused, why: "it has panicked".to_owned(), ..Sent::default() });
                        Poll::Ready(true)
                    }
                }
            });
            let deadline = locked(&shared.control).deadline;
            if deadline.is_some() && !std::mem::replace(&mut hurried, true) {
                sender.hurry();
            }
            let left = deadline.map_or(TICK, |deadline| deadline.saturating_duration_since(Instant::now()));
            let over = time::timeout(TICK.min(left), next).await == Ok(true);
            for sent in refused.take() {
                housekeeping.refused(sent);
            }
            if over {
                break;
            }
            unharmed(|| housekeeping.tick(shared));
            unharmed(|| housekeeping.waited(shared, begun, || sender.trouble()));
            if locked(&shared.control).deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return false;
            }
        }
        unharmed(|| housekeeping.answered(shared));
        true
    }
}

/// What is told of goes through a subscriber of the application's, which may panic, as one does whose
/// output is closed. That must not be the end of all export.
pub(super) fn unharmed(tell: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(tell));
}

/// Tells those who wait, however the thread ends.
pub(super) struct End<'a>(pub(super) &'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        // Also what a thread that panics has not sent.
        self.0.leave_behind();
        locked(&self.0.control).flushes.clear();
    }
}
