//! What the application and the thread that sends have in common.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::sync::Notify;

use super::env::Batching;
use super::queue::Queue;
use super::sampler::Room;
use crate::open::Table;

/// How often the thread looks around without being called.
pub(super) const TICK: Duration = Duration::from_millis(500);

/// Between two looks at whether a thread has ended.
const PAUSE: Duration = Duration::from_millis(2);

/// How many spans went where, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Spans that the exporter has taken.
    pub exported: u64,
    /// Spans that the collector has refused for good.
    pub refused: u64,
    /// Traces that were not begun, because too many spans were waiting.
    pub traces_not_begun: u64,
    /// Traces that were thrown out as a whole, because the queue was full.
    pub traces_thrown_out: u64,
    /// The spans of those.
    pub spans_thrown_out: u64,
    /// Spans that were lost out of traces that had begun to leave, because the queue was full of
    /// such: as a rule one trace alone was larger than the queue.
    pub spans_torn_out: u64,
    /// Spans that still waited when the time for shutting down was over.
    pub left_behind: u64,
}

/// What the pipeline does besides sending.
pub(super) struct Watch {
    pub(super) room: Arc<Room>,
    pub(super) open: Option<Arc<Table>>,
    /// A span open for longer is told of, once.
    pub(super) overdue: Duration,
    pub(super) value_limit: Option<usize>,
    /// Where spans are sent to, for messages.
    pub(super) collector: String,
}

pub(super) struct Shared {
    pub(super) queue: Arc<Queue>,
    pub(super) batching: Batching,
    pub(super) watch: Watch,
    /// Rung when there is something to do before the next tick.
    pub(super) bell: Notify,
    pub(super) control: Mutex<Control>,
    pub(super) counts: Totals,
}

#[derive(Default)]
pub(super) struct Control {
    /// Who wants to know when all that waits now has left.
    pub(super) flushes: Vec<mpsc::SyncSender<()>>,
    /// When shutting down has to be over.
    pub(super) deadline: Option<Instant>,
    /// Nobody looks here any more.
    pub(super) ended: bool,
}

#[derive(Default)]
pub(super) struct Totals {
    pub(super) exported: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) not_begun: AtomicU64,
    pub(super) thrown_out: AtomicU64,
    pub(super) spans_thrown_out: AtomicU64,
    pub(super) torn: AtomicU64,
    pub(super) left_behind: AtomicU64,
    /// Not a total: the spans of the batch that is being sent.
    pub(super) on_their_way: AtomicU64,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The end of a time that may be as long as a `Duration` can be.
pub(super) fn in_future(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or_else(|| now + Duration::from_secs(60 * 60 * 24 * 365))
}

/// Waits for the end of a thread, for `limit` at most. Gives whether it has ended.
pub(super) fn has_ended<T>(thread: &JoinHandle<T>, limit: Duration) -> bool {
    let over = in_future(limit);
    while !thread.is_finished() && Instant::now() < over {
        thread::park_timeout(PAUSE);
    }
    thread.is_finished()
}

/// What the application may ask a pipeline.
#[derive(Clone)]
pub(super) struct Handle(pub(super) Arc<Shared>);

impl Handle {
    pub(super) fn counts(&self) -> Counts {
        self.0.settle();
        self.0.counts.read()
    }

    pub(super) fn waiting(&self) -> usize {
        self.0.queue.len()
    }

    /// Waits until the thread that sends has ended, for `limit` at most: somebody else may have told it to.
    pub(super) fn wait_for_end(&self, limit: Duration) {
        let over = in_future(limit);
        while !locked(&self.0.control).ended && Instant::now() < over {
            thread::park_timeout(PAUSE);
        }
    }

    /// The spans that were not sent, or not yet.
    pub(super) fn left(&self) -> u64 {
        let Shared { queue, control, counts, .. } = &*self.0;
        if locked(control).ended {
            return counts.left_behind.load(Ordering::Relaxed);
        }
        queue.len() as u64 + counts.on_their_way.load(Ordering::Relaxed)
    }
}

impl Totals {
    pub(super) fn read(&self) -> Counts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            exported: of(&self.exported),
            refused: of(&self.refused),
            traces_not_begun: of(&self.not_begun),
            traces_thrown_out: of(&self.thrown_out),
            spans_thrown_out: of(&self.spans_thrown_out),
            spans_torn_out: of(&self.torn),
            left_behind: of(&self.left_behind),
        }
    }
}

impl Shared {
    pub(super) fn new(queue: Arc<Queue>, batching: Batching, watch: Watch) -> Self {
        Self { queue, batching, watch, bell: Notify::new(), control: Mutex::default(), counts: Totals::default() }
    }

    /// So many spans are worth a request: a batch, but never so many that the queue would be nearly
    /// full of them.
    pub(super) fn enough(&self) -> usize {
        self.batching.batch.min(self.queue.limit() / 4).max(1)
    }

    /// Counts what has not been sent, once: the thread does it, or who waits for it in vain.
    pub(super) fn leave_behind(&self) {
        let mut control = locked(&self.control);
        if !std::mem::replace(&mut control.ended, true) {
            let rest = self.queue.len() as u64 + self.counts.on_their_way.load(Ordering::Relaxed);
            self.counts.left_behind.fetch_add(rest, Ordering::Relaxed);
        }
    }

    /// Brings the totals up to date.
    pub(super) fn settle(&self) {
        let not_begun = self.watch.room.take_shed();
        let losses = self.queue.take_losses();
        for (total, more) in [
            (&self.counts.not_begun, not_begun),
            (&self.counts.thrown_out, losses.traces),
            (&self.counts.spans_thrown_out, losses.spans),
            (&self.counts.torn, losses.torn),
        ] {
            total.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Asks the thread for something, and waits for the answer.
    pub(super) fn ask(&self, limit: Duration, ask: impl FnOnce(&mut Control, mpsc::SyncSender<()>)) -> OTelSdkResult {
        let (tell, told) = mpsc::sync_channel(1);
        {
            let mut control = locked(&self.control);
            if control.ended {
                return Err(OTelSdkError::AlreadyShutdown);
            }
            ask(&mut control, tell);
        }
        self.bell.notify_one();
        match told.recv_timeout(limit) {
            Err(mpsc::RecvTimeoutError::Timeout) => Err(OTelSdkError::Timeout(limit)),
            // The thread has ended, with everything sent that could be.
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => Ok(()),
        }
    }
}
