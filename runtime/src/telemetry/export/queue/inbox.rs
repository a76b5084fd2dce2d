//! Where spans wait while another thread has the lock of the queue.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::QueueLimits;
use crate::tracer::encoded::EncodedSpans;

/// The part of the queue's limits that may wait here.
const SHARE: usize = 4;

/// Takes spans without waiting for a lock: whoever has the lock may have lost its processor, on a busy machine for many
/// milliseconds.
#[derive(Debug)]
pub(super) struct Inbox {
    sender: mpsc::Sender<EncodedSpans>,
    size: Size,
    limits: QueueLimits,
}

/// How much waits.
#[derive(Debug, Default)]
struct Size {
    spans: AtomicUsize,
    bytes: AtomicUsize,
}

impl Inbox {
    pub(super) fn new(limits: QueueLimits) -> (Self, mpsc::Receiver<EncodedSpans>) {
        let (sender, receiver) = mpsc::channel();
        let limits = QueueLimits { spans: limits.spans / SHARE, bytes: limits.bytes / SHARE };
        (Self { sender, size: Size::default(), limits }, receiver)
    }

    /// How many spans wait.
    pub(super) fn len(&self) -> usize {
        self.size.spans.load(Ordering::Relaxed)
    }

    /// How many bytes they have.
    pub(super) fn bytes(&self) -> usize {
        self.size.bytes.load(Ordering::Relaxed)
    }

    /// Gives spans back if too many wait already.
    pub(super) fn leave(&self, spans: EncodedSpans) -> Result<(), EncodedSpans> {
        if self.len() >= self.limits.spans || self.bytes() >= self.limits.bytes {
            return Err(spans);
        }
        let (count, bytes) = (spans.count as usize, spans.bytes.len());
        // Before they can be collected.
        self.size.spans.fetch_add(count, Ordering::Relaxed);
        self.size.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.sender.send(spans).map_err(|unsent| {
            self.collected(count, bytes);
            unsent.0
        })
    }

    /// Spans were taken out.
    pub(super) fn collected(&self, spans: usize, bytes: usize) {
        self.size.spans.fetch_sub(spans, Ordering::Relaxed);
        self.size.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether so much waits that whoever gets the lock has to help.
    pub(super) fn is_filling(&self) -> bool {
        self.len() > self.limits.spans / 16 || self.bytes() > self.limits.bytes / 16
    }
}
