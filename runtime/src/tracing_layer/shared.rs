//! The OpenTelemetry span of a `tracing` span, as the registry stores it.

use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, time};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use crate::guard::reentrance::Busy;
use crate::span::handle::Span;
use crate::span::outcome::Outcome;
use crate::span::unstarted::Unstarted;

/// The state of a span.
#[derive(Debug)]
pub(super) enum State {
    Unstarted(Unstarted),
    Started(Span),
    Ended,
}

/// A span, shared by the registry and the threads that have entered it.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// When it was last exited, in nanoseconds since the epoch; zero if it was not.
    exited: AtomicU64,
    /// Whether it is not recorded, so that the time does not matter.
    is_off: AtomicBool,
}

impl Shared {
    pub(super) fn new(span: Unstarted) -> Arc<Self> {
        let is_off = AtomicBool::new(span.is_off());
        Arc::new(Self { state: Mutex::new(State::Unstarted(span)), exited: AtomicU64::new(0), is_off })
    }

    /// The span of ours of a span in the registry.
    pub(super) fn of<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>) -> Option<Arc<Self>> {
        span.extensions().get::<Arc<Self>>().cloned()
    }

    /// Calls `f` with the state. `None` if this thread holds it already: samplers and span processors are called while
    /// a span starts, and may look at that very span.
    pub(super) fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> Option<R> {
        let busy = Busy::begin();
        let mut state = if busy.is_nested() {
            match self.state.try_lock() {
                Ok(state) => state,
                Err(TryLockError::Poisoned(state)) => state.into_inner(),
                Err(TryLockError::WouldBlock) => return None,
            }
        } else {
            self.state.lock().unwrap_or_else(PoisonError::into_inner)
        };
        Some(f(&mut state))
    }

    /// The context of the span, which starts now if it has not.
    pub(super) fn context(&self) -> Option<Context> {
        self.with(|state| state.started().and_then(|span| span.0.context().cloned())).flatten()
    }

    /// Replaces the parent of a span that has not started. Returns whether it was not too late.
    pub(super) fn set_parent(&self, parent: Context) -> bool {
        let set = self.with(|state| match state {
            State::Unstarted(span) => {
                span.set_parent(parent);
                self.is_off.store(span.is_off(), Ordering::Relaxed);
                true
            }
            _ => false,
        });
        set.unwrap_or(false)
    }

    /// Notes the time at which the span was exited.
    pub(super) fn exit(&self) {
        if self.is_off.load(Ordering::Relaxed) {
            return;
        }
        self.exited.store(nanos(time::now()), Ordering::Relaxed);
    }

    /// Ends the span, at the time when it was last exited.
    pub(super) fn end(&self) {
        let Some(state) = self.with(|state| mem::replace(state, State::Ended)) else { return };
        let mut span = match state {
            State::Unstarted(span) => span.start(),
            State::Started(span) => span,
            State::Ended => return,
        };
        let exited = self.exited.load(Ordering::Relaxed);
        if let (true, Some(context), 1..) = (span.is_recording(), span.0.context(), exited) {
            let _busy = Busy::begin();
            context.span().end_with_timestamp(UNIX_EPOCH + Duration::from_nanos(exited));
        }
        // Frees its slot in the registry of open spans. The span itself ends once.
        span.end(Outcome::ok);
    }
}

impl State {
    /// The span, which starts now if it has not. `None` if it has ended.
    pub(super) fn started(&mut self) -> Option<&Span> {
        if let Self::Unstarted(_) = self {
            // In between it is `Ended`, and stays so if a sampler or a span processor panics.
            if let Self::Unstarted(span) = mem::replace(self, Self::Ended) {
                *self = Self::Started(span.start());
            }
        }
        match self {
            Self::Started(span) => Some(span),
            _ => None,
        }
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
