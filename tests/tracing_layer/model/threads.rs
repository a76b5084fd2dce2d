//! Threads that run closures one after the other.

use std::sync::mpsc::{Receiver, Sender, channel};

use throughline::Attached;
use tracing::Dispatch;
use tracing::dispatcher::with_default;
use tracing::span::EnteredSpan;

/// A guard that keeps a span current.
pub(super) enum Guard {
    /// With the subscriber of the span, which must be the default where the registry closes the span.
    Entered(EnteredSpan, Dispatch),
    Attached(#[expect(dead_code, reason = "held until it is dropped")] Attached),
}

impl Guard {
    pub(super) fn end(self) {
        match self {
            Self::Entered(entered, dispatch) => with_default(&dispatch, || drop(entered)),
            Self::Attached(_) => {}
        }
    }
}

/// The state of a thread, whose guards are not `Send`.
#[derive(Default)]
pub(super) struct Local {
    pub(super) guards: Vec<Guard>,
}

pub(super) type Work = Box<dyn FnOnce(&mut Local) + Send>;

/// A thread that runs the closures it receives.
pub(super) struct Thread(Sender<Work>);

impl Thread {
    pub(super) fn new() -> (Self, Receiver<Work>) {
        let (sender, receiver) = channel();
        (Self(sender), receiver)
    }

    pub(super) fn run<R: Send + 'static>(&self, work: impl FnOnce(&mut Local) -> R + Send + 'static) -> R {
        let (sender, receiver) = channel();
        let work = move |local: &mut Local| drop(sender.send(work(local)));
        self.0.send(Box::new(work)).expect("the thread runs");
        receiver.recv().expect("no panic")
    }
}
