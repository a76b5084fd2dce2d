//! Subscribers for one test, beside other tests in the same process.
//!
//! `tracing` caches for each callsite whether any subscriber is interested, and rebuilds the cache when a subscriber is
//! added or dropped. A callsite that is reached for the first time while the subscriber of another thread is dropped
//! may be cached as of interest to none. A permanent subscriber whose interest is never fixed prevents that.

use std::sync::LazyLock;

use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{DefaultGuard, Interest};
use tracing::{Dispatch, Event, Metadata, Subscriber};

static UNDECIDED: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Undecided));

/// Interested in nothing, without letting `tracing` cache that.
struct Undecided;

impl Subscriber for Undecided {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

pub(crate) fn with_default<T>(subscriber: impl Subscriber + Send + Sync + 'static, f: impl FnOnce() -> T) -> T {
    LazyLock::force(&UNDECIDED);
    tracing::subscriber::with_default(subscriber, f)
}

pub(crate) fn set_default(subscriber: impl Subscriber + Send + Sync + 'static) -> DefaultGuard {
    LazyLock::force(&UNDECIDED);
    tracing::subscriber::set_default(subscriber)
}
