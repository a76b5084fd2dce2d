//! The OpenTelemetry span of a `tracing` span.

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanId, TraceContextExt as _};
use opentelemetry::{Context, time};
use tracing::Metadata;

use super::place;
use crate::guard::reentrance::Busy;
use crate::span::unstarted::{Recording, Unstarted};

/// A span, shared by the layer and the threads that have entered it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) metadata: &'static Metadata<'static>,
    /// The parent where it was created.
    pub(super) parent: SpanId,
    /// Its context, once it has started.
    context: OnceLock<Context>,
    state: Mutex<State>,
    /// When it was last exited, in nanoseconds since the epoch; zero if it was not.
    exited: AtomicU64,
}

#[derive(Debug)]
enum State {
    Unstarted(Unstarted),
    /// With what ends it, if it is recorded.
    Started(Option<Recording>),
    Ended,
}

/// A span that can be changed.
pub(super) enum On<'a> {
    Unstarted(&'a mut Unstarted),
    /// The context of a span that is recorded.
    Started(&'a Context),
}

/// In place of the time, for a span that is not recorded.
const NOT_RECORDED: u64 = u64::MAX;

impl Shared {
    /// A span below a parent that is not [off](crate::span::handle::is_off), which `describe` completes.
    #[inline]
    pub(super) fn below(
        parent: Context,
        metadata: &'static Metadata<'static>,
        describe: impl FnOnce(&mut Unstarted),
    ) -> Arc<Self> {
        let parent_id = parent.span().span_context().span_id();
        let mut span = Unstarted::below(parent, metadata.name(), &place::of(metadata));
        describe(&mut span);
        Arc::new(Self {
            metadata,
            parent: parent_id,
            context: OnceLock::new(),
            state: Mutex::new(State::Unstarted(span)),
            exited: AtomicU64::new(0),
        })
    }

    /// Calls `f` with the state. `None` if this thread holds it already: samplers and span processors are called while
    /// a span starts, and may look at that very span.
    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> Option<R> {
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

    /// The context of the span, which starts now if it has not. `None` if it has ended before it started.
    #[inline]
    pub(super) fn context(&self) -> Option<Context> {
        if self.context.get().is_none() {
            self.with(|state| self.start(state));
        }
        self.context.get().cloned()
    }

    /// Calls `f` with the span, unless it has ended or is not recorded.
    pub(super) fn change(&self, f: impl FnOnce(On<'_>)) {
        self.with(|state| match (state, self.context.get()) {
            (State::Unstarted(span), _) => f(On::Unstarted(span)),
            (State::Started(Some(_)), Some(context)) => f(On::Started(context)),
            _ => {}
        });
    }

    fn start(&self, state: &mut State) {
        if !matches!(state, State::Unstarted(_)) {
            return;
        }
        // In between it is `Ended`, and stays so if a sampler or a span processor panics.
        if let State::Unstarted(span) = mem::replace(state, State::Ended) {
            let (context, recording) = span.start();
            if recording.is_none() {
                self.exited.store(NOT_RECORDED, Ordering::Relaxed);
            }
            // It was not set: the state was `Unstarted`.
            let _ = self.context.set(context);
            *state = State::Started(recording);
        }
    }

    /// Replaces the parent of a span that has not started. Returns whether it was not too late.
    pub(super) fn set_parent(&self, parent: Context) -> bool {
        let set = self.with(|state| match state {
            State::Unstarted(span) => {
                span.set_parent(parent);
                true
            }
            _ => false,
        });
        set.unwrap_or(false)
    }

    /// Notes the time at which the span was exited.
    #[inline]
    pub(super) fn exit(&self) {
        if self.exited.load(Ordering::Relaxed) != NOT_RECORDED {
            self.exited.store(nanos(time::now()), Ordering::Relaxed);
        }
    }

    /// Ends the span, at the time when it was last exited.
    pub(super) fn end(&self) {
        match self.with(|state| mem::replace(state, State::Ended)) {
            Some(State::Unstarted(span)) => {
                if let (context, Some(recording)) = span.start() {
                    recording.end(&context, None);
                }
            }
            Some(State::Started(Some(recording))) => {
                let Some(context) = self.context.get() else { return };
                let exited = self.exited.load(Ordering::Relaxed);
                recording.end(context, (exited > 0).then(|| UNIX_EPOCH + Duration::from_nanos(exited)));
            }
            _ => {}
        }
    }
}

impl Drop for Shared {
    /// Ends the span of a subscriber that is dropped before its spans are closed.
    fn drop(&mut self) {
        if let Ok(State::Started(Some(_))) = self.state.get_mut() {
            self.end();
        }
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
