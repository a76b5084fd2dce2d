//! The OpenTelemetry span of a `tracing` span.

use std::mem;
use std::time::SystemTime;

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceContextExt as _};
use tracing::Metadata;

use super::place;
use crate::context::current::is_off;
use crate::guard::reentrance::Busy;
use crate::span::unstarted::{Recording, Unstarted};

/// A span that the layer records or passes through.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) metadata: &'static Metadata<'static>,
    /// The ID of the parent that it was created with.
    pub(super) parent: SpanId,
    pub(super) state: State,
}

#[derive(Debug)]
pub(super) enum State {
    /// Below an unsampled span. Only the context of the parent is kept.
    Off {
        context: Context,
        /// Whether the context has been used, so that the parent cannot be replaced.
        is_used: bool,
    },
    Unstarted(Unstarted),
    /// Taken out of the table by a thread that is starting the span, or changing it before its start.
    Taken,
    Started(Started),
    /// Lost, because a sampler or a span processor panicked.
    Lost,
}

#[derive(Debug)]
pub(super) struct Started {
    pub(super) context: Context,
    /// Ends the span, if it is recorded.
    pub(super) recording: Option<Recording>,
    /// When the span was last exited.
    pub(super) exited: Option<SystemTime>,
}

/// A span that can be changed.
pub(super) enum On<'a> {
    Unstarted(&'a mut Unstarted),
    /// The context of a span that is recorded.
    Started(&'a Context),
}

pub(super) fn span_id(context: &Context) -> SpanId {
    context.span().span_context().span_id()
}

impl Entry {
    /// Creates a span below `parent`. `describe` is called if it may be recorded.
    #[inline]
    pub(super) fn below(
        parent: Context,
        metadata: &'static Metadata<'static>,
        describe: impl FnOnce(&mut Unstarted),
    ) -> Self {
        Self { metadata, parent: span_id(&parent), state: State::below(parent, metadata, describe) }
    }

    /// Whether the span has started and is recorded.
    pub(super) fn has_started(&self) -> bool {
        matches!(self.state, State::Started(Started { recording: Some(_), .. }))
    }

    /// Ends the span, at the time when it was last exited.
    pub(super) fn end(self) {
        let _busy = Busy::begin();
        match self.state {
            State::Unstarted(span) => {
                if let (context, Some(recording)) = span.start() {
                    recording.end(&context, None);
                }
            }
            State::Started(Started { context, recording: Some(recording), exited }) => recording.end(&context, exited),
            _ => {}
        }
    }
}

impl State {
    #[inline]
    pub(super) fn below(
        parent: Context,
        metadata: &'static Metadata<'static>,
        describe: impl FnOnce(&mut Unstarted),
    ) -> Self {
        if is_off(&parent) {
            return Self::Off { context: parent, is_used: false };
        }
        let mut span = Unstarted::below(parent, metadata.name(), &place::of(metadata));
        describe(&mut span);
        Self::Unstarted(span)
    }

    /// Takes the span, if it has not started.
    #[inline]
    pub(super) fn take_unstarted(&mut self) -> Option<Unstarted> {
        if !matches!(self, Self::Unstarted(_)) {
            return None;
        }
        match mem::replace(self, Self::Taken) {
            Self::Unstarted(span) => Some(span),
            // Checked above.
            _ => None,
        }
    }
}
