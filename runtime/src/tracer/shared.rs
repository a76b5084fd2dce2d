//! The state of a provider, shared by its tracers and spans, and their references to it.

use std::array;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{IdGenerator, ShouldSample};

use super::buffer::{OpenBuffers, SHARDS, shard_of_thread};
use super::encoded::Scopes;
use super::observer::SpanObserver;
use crate::encoding::fields::Limits;

/// The state of a provider.
pub(crate) struct Shared {
    pub(super) limits: Limits,
    pub(super) scopes: Arc<Scopes>,
    pub(super) observers: Vec<Box<dyn SpanObserver>>,
    /// `None` if nothing is exported.
    pub(super) open: Option<OpenBuffers>,
    pub(super) sampler: Box<dyn ShouldSample>,
    /// Whether spans with a local parent inherit its sampling decision, without a call of the sampler.
    pub(super) follows_local_parent: bool,
    /// Whether the sampler reads attributes and links.
    pub(super) samples_by_attributes: bool,
    /// Whether starting a span calls no application code: no sampler, ID generator or observer.
    pub(super) is_plain: bool,
    pub(super) ids: Box<dyn IdGenerator>,
    pub(super) resource: Resource,
    pub(super) is_shut_down: AtomicBool,
}

impl Shared {
    #[inline]
    pub(super) fn is_shut_down(&self) -> bool {
        self.is_shut_down.load(Ordering::Relaxed)
    }

    /// The buffers of open traces, for the exporter. `None` if nothing is exported.
    pub(crate) fn open_buffers(&self) -> Option<&OpenBuffers> {
        self.open.as_ref()
    }

    /// The instrumentation scopes, to which encoded spans refer.
    pub(crate) fn scopes(&self) -> &Arc<Scopes> {
        &self.scopes
    }

    pub(super) fn force_flush(&self) -> OTelSdkResult {
        let mut result = Ok(());
        if let Some(open) = &self.open {
            open.hand_over_all();
            result = open.sink.force_flush();
        }
        self.observers.iter().map(|observer| observer.force_flush()).fold(result, Result::and)
    }

    /// Shuts the exporter down first: a span processor of the application might use up the timeout.
    pub(super) fn shut_down(&self, timeout: Duration) -> OTelSdkResult {
        if self.is_shut_down.swap(true, Ordering::Relaxed) {
            return Err(OTelSdkError::AlreadyShutdown);
        }
        let mut result = Ok(());
        if let Some(open) = &self.open {
            open.hand_over_all();
            result = open.sink.shutdown(timeout);
        }
        self.observers.iter().map(|observer| observer.shutdown(timeout)).fold(result, Result::and)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = self.shut_down(Duration::from_secs(5));
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("limits", &self.limits).field("sampler", &self.sampler).finish_non_exhaustive()
    }
}

/// A provider as its tracers hold it. Each trace also keeps the provider alive, through one of several [`Reference`]s,
/// chosen by thread: threads would contend for a single reference count.
pub(crate) struct Provider {
    shared: Arc<Shared>,
    references: [Arc<Reference>; SHARDS],
}

/// A reference to a provider, with a reference count of its own. Aligned to avoid false sharing.
#[repr(align(128))]
pub(crate) struct Reference(Arc<Shared>);

impl Provider {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { references: array::from_fn(|_| Arc::new(Reference(Arc::clone(&shared)))), shared }
    }

    #[inline]
    pub(super) fn reference(&self) -> Arc<Reference> {
        Arc::clone(&self.references[shard_of_thread()])
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Deref for Provider {
    type Target = Shared;

    #[inline]
    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Reference {
    /// Whether this refers to `provider`.
    #[inline]
    pub(super) fn is_of(&self, provider: &Provider) -> bool {
        Arc::ptr_eq(&self.0, &provider.shared)
    }
}

impl Deref for Reference {
    type Target = Shared;

    #[inline]
    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Tracer as _, TracerProvider as _};

    use crate::tracer::TracerProvider;

    use super::*;

    #[test]
    fn a_trace_keeps_its_provider_alive_without_a_shared_reference_count() {
        let provider = TracerProvider::builder().build();
        let tracer = provider.tracer("tests");
        let shared = Arc::downgrade(provider.shared());
        let before = shared.strong_count();
        let spans = [tracer.start("root"), tracer.start("other root")];
        assert_eq!(shared.strong_count(), before);
        drop((provider, tracer));
        assert_eq!(shared.strong_count(), 1, "this thread's `Reference`");
        drop(spans);
        assert_eq!(shared.strong_count(), 0);
    }
}
