//! What the application and the thread that sends have in common.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use tokio::sync::Notify;

use super::counts::Counts;
use super::env::Batching;
use super::queue::Queue;
use super::sampler::Room;
use crate::span::registry::Table;

/// How often the thread looks around without being called.
pub(super) const TICK: Duration = Duration::from_millis(500);

/// Between two looks at whether a thread has ended.
const PAUSE: Duration = Duration::from_millis(2);

/// What the pipeline does besides sending.
pub(super) struct Watch {
    pub(super) room: Arc<Room>,
    pub(super) open: Option<Arc<Table>>,
    /// A span open for longer is told of, once.
    pub(super) overdue: Duration,
    pub(super) value_limit: Option<usize>,
    /// Where spans are sent to, for messages: `` `http://localhost:4317` (grpc) ``.
    pub(super) collector: String,
}

pub(super) struct Shared {
    pub(super) queue: Arc<Queue>,
    pub(super) batching: Batching,
    pub(super) watch: Watch,
    /// Rung when there is something to do before the next tick.
    pub(super) bell: Notify,
    pub(super) control: Mutex<Control>,
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
        self.0.counts()
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
}

impl Shared {
    pub(super) fn new(queue: Arc<Queue>, batching: Batching, watch: Watch) -> Self {
        Self { queue, batching, watch, bell: Notify::new(), control: Mutex::default() }
    }

    /// So many spans are worth a request: a batch, but never so many that the queue would be nearly
    /// full of them.
    pub(super) fn enough(&self) -> usize {
        self.batching.batch.min(self.queue.limit() / 4).max(1)
    }

    /// So many spans go in one batch at most: what is in flight takes up room, and the other half is for those that
    /// come meanwhile.
    pub(super) fn largest_batch(&self) -> usize {
        self.batching.batch.min(self.queue.limit() / 2).max(1)
    }

    /// Counts what has not been sent, once: the thread does it, or who waits for it in vain.
    pub(super) fn leave_behind(&self) {
        self.queue.close();
        locked(&self.control).ended = true;
    }

    pub(super) fn counts(&self) -> Counts {
        Counts { traces_not_begun: self.watch.room.shed(), ..self.queue.counts() }
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
