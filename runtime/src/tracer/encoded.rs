//! Encoded spans that have ended, and the sink that takes them to the exporter.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TraceId;
use opentelemetry_sdk::error::OTelSdkResult;

use super::shared::Shared;
pub(crate) use crate::encoding::ScopeId;
use crate::encoding::reader::Reader;
use crate::encoding::wire;
use crate::guard::reentrance::Busy;

/// Encoded spans of one trace. Each is the field `spans` of OTLP's `ScopeSpans`: a tag, a length and the message. A
/// request is built by concatenation.
#[derive(Clone)]
pub(crate) struct EncodedSpans<B = Box<[u8]>> {
    pub(crate) trace_id: TraceId,
    /// The number of spans.
    pub(crate) count: u32,
    /// Whether the local root span of the trace is among them.
    pub(crate) has_local_root: bool,
    pub(crate) bytes: B,
    /// The scope of the first spans.
    pub(crate) first_scope: ScopeId,
    /// The offsets in `bytes` at which the scope changes, each with the new scope.
    pub(crate) other_scopes: Vec<(usize, ScopeId)>,
}

impl<B> EncodedSpans<B> {
    /// Replaces the bytes.
    #[inline]
    pub(crate) fn with<C>(&self, bytes: C) -> EncodedSpans<C> {
        let Self { trace_id, count, has_local_root, first_scope, .. } = *self;
        EncodedSpans { trace_id, count, has_local_root, bytes, first_scope, other_scopes: self.other_scopes.clone() }
    }
}

#[cfg(all(test, feature = "otlp"))]
impl<B> EncodedSpans<B> {
    /// A complete trace, with our own scope.
    pub(crate) fn complete(trace: u128, count: u32, bytes: B) -> Self {
        let (trace_id, first_scope, other_scopes) = (TraceId::from(trace), ScopeId::OURS, Vec::new());
        Self { trace_id, count, has_local_root: true, bytes, first_scope, other_scopes }
    }
}

#[cfg(feature = "otlp")]
impl<B> EncodedSpans<B> {
    /// Converts the bytes.
    pub(crate) fn map<C>(self, bytes: impl FnOnce(B) -> C) -> EncodedSpans<C> {
        let Self { trace_id, count, has_local_root, bytes: old, first_scope, other_scopes } = self;
        EncodedSpans { trace_id, count, has_local_root, bytes: bytes(old), first_scope, other_scopes }
    }
}

/// Spans in the queue. Complete traces that were handed over together share an allocation.
#[cfg(feature = "otlp")]
pub(crate) type QueuedSpans = EncodedSpans<bytes::Bytes>;

impl<B: AsRef<[u8]>> EncodedSpans<B> {
    /// Calls `f` with each run of spans that have the same scope.
    pub(crate) fn each_run<'a>(&'a self, mut f: impl FnMut(ScopeId, &'a [u8])) {
        let (mut scope, mut start) = (self.first_scope, 0);
        for &(end, next) in &self.other_scopes {
            f(scope, &self.bytes.as_ref()[start..end]);
            (scope, start) = (next, end);
        }
        f(scope, &self.bytes.as_ref()[start..]);
    }
}

#[cfg(feature = "otlp")]
impl EncodedSpans<&[u8]> {
    /// The longest prefix with at most `max_spans` spans and `max_bytes` bytes.
    #[cold]
    pub(crate) fn first(&self, max_spans: usize, max_bytes: usize) -> EncodedSpans {
        let (mut count, mut end) = (0, 0);
        for frame in frames(self.bytes) {
            if count as usize == max_spans || end + frame.len() > max_bytes {
                break;
            }
            count += 1;
            end += frame.len();
        }
        EncodedSpans {
            trace_id: self.trace_id,
            count,
            has_local_root: self.has_local_root && count == self.count,
            bytes: self.bytes[..end].into(),
            first_scope: self.first_scope,
            other_scopes: self.other_scopes.iter().copied().filter(|(start, _)| *start < end).collect(),
        }
    }
}

impl<B> fmt::Debug for EncodedSpans<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedSpans")
            .field("trace_id", &self.trace_id)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// Splits a run of spans. Each slice is a complete field: tag, length and message.
pub(crate) fn frames(mut run: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let mut reader = Reader::new(run);
        reader.field()?;
        let (frame, rest) = run.split_at(run.len() - reader.left());
        run = rest;
        Some(frame)
    })
}

/// The message within a frame.
pub(crate) fn message(frame: &[u8]) -> &[u8] {
    let field = Reader::new(frame).field();
    field.filter(|field| field.number_and_type == u64::from(wire::SPANS)).map_or(&[], |field| field.bytes)
}

/// The maximum number of instrumentation scopes of a provider that are told apart: scopes are kept for as long as it
/// exists, because encoded spans refer to them.
pub(crate) const MAX_SCOPES: usize = 1 << 12;

/// The name of the scope that stands for all others.
const OTHERS: &str = "(other)";

/// The instrumentation scopes of the tracers of a provider.
#[derive(Debug, Default)]
pub(crate) struct Scopes(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    ids: HashMap<InstrumentationScope, ScopeId>,
    scopes: Vec<Arc<InstrumentationScope>>,
}

impl Scopes {
    /// Returns the ID of a scope, and adds the scope if it is new.
    pub(crate) fn id(&self, scope: &InstrumentationScope) -> ScopeId {
        if let Some(id) = self.0.read().unwrap_or_else(PoisonError::into_inner).ids.get(scope) {
            return *id;
        }
        // A traced allocator would record spans here, and observers would read the locked scopes.
        let _busy = Busy::begin();
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let Known { ids, scopes } = &mut *known;
        let is_full = scopes.len() >= MAX_SCOPES && !ids.contains_key(scope);
        let scope = if is_full { InstrumentationScope::builder(OTHERS).build() } else { scope.clone() };
        *ids.entry(scope).or_insert_with_key(|scope| {
            scopes.push(Arc::new(scope.clone()));
            ScopeId(u32::try_from(scopes.len() - 1).unwrap_or(u32::MAX))
        })
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).scopes.len()
    }

    pub(crate) fn get(&self, id: ScopeId) -> Option<Arc<InstrumentationScope>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).scopes.get(id.index()).cloned()
    }
}

/// Receives finished spans.
pub(crate) trait SpanSink: Send + Sync + 'static {
    /// Called once, by the provider whose spans the sink receives.
    fn attach(&self, provider: &Arc<Shared>) {
        let _ = provider;
    }

    /// Called on the thread that ends a span; must not block.
    fn push(&self, spans: &EncodedSpans<Vec<u8>>);

    /// Exports the spans that have been pushed.
    fn force_flush(&self) -> OTelSdkResult;

    /// Exports the spans that have been pushed, within `timeout`, and rejects further ones.
    fn shutdown(&self, timeout: Duration) -> OTelSdkResult;
}
