//! The spans of a capture, and their lines in a tree.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::SpanData;

use super::span::FinishedSpan;
use crate::render::span::{Ending, ending, kind, tag};
use crate::text::escape;
use crate::tracer::{Additions, SpanObserver};

type Id = (TraceId, SpanId);

#[derive(Debug, Default)]
pub(super) struct Store {
    inner: Mutex<Inner>,
    /// Notified when no span is open and no job is running.
    pub(super) quiet: Condvar,
    #[cfg(feature = "tokio")]
    pub(super) notify: tokio::sync::Notify,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) ended: Vec<FinishedSpan>,
    pub(super) open: HashMap<Id, OpenSpan>,
    /// The number of running detached jobs.
    pub(super) jobs: usize,
    /// Every span that has started in the capture.
    known: HashSet<Id>,
}

#[derive(Debug)]
pub(super) struct OpenSpan {
    /// The data of the span when it started.
    pub(super) data: Arc<SpanData>,
    pub(super) order: usize,
}

impl Store {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        // A test that panics while holding the lock has failed already.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Explains why the parent of a span is not in the tree.
    pub(super) fn parent_note(&self, span: &FinishedSpan) -> &'static str {
        match span.parent_id() {
            None => "",
            Some(parent) if self.open.contains_key(&(span.trace_id(), parent)) => " (open parent)",
            Some(parent) if self.known.contains(&(span.trace_id(), parent)) => " (missing parent)",
            Some(_) => " (remote parent)",
        }
    }

    /// Returns a hint for the message if no span has started in the capture.
    pub(super) fn hint(&self) -> &'static str {
        if !self.known.is_empty() {
            return "";
        }
        "; no sampled span has started in `run`, `run_async` or `context()` of this capture: a bare `tokio::spawn` or \
         thread leaves it"
    }

    /// The open spans, in the order in which they started.
    pub(super) fn open_in_order(&self) -> Vec<&OpenSpan> {
        let mut open: Vec<_> = self.open.values().collect();
        open.sort_unstable_by_key(|open| open.order);
        open
    }

    pub(super) fn line(&self, span: &FinishedSpan, parent: &str, keys: &[&str]) -> String {
        let mut line = escape(span.name()).into_owned();
        // Writing to a `String` does not fail.
        let _ = match kind(&span.data.span_kind) {
            Some(kind) => write!(line, " [{kind}]{parent}"),
            None => write!(line, "{parent}"),
        };
        let _ = match ending(&span.data) {
            Ending::Ok => Ok(()),
            Ending::Error("") => write!(line, " !error"),
            Ending::Error(why) => write!(line, " !error: {}", escape(why)),
            Ending::Panicked(why) => write!(line, " !panicked: {}", escape(why)),
            Ending::Cancelled => write!(line, " !cancelled"),
        };
        for key in keys {
            if let Some(value) = span.attribute(key) {
                let _ = write!(line, " {}", tag(&key.to_string().into(), value));
            }
        }
        for link in span.data.links.iter() {
            let linked = self.ended.iter().find(|span| span.is(&link.span_context));
            let _ = write!(line, " ~> {}", linked.map_or("(other)".into(), |span| escape(span.name())));
        }
        line
    }
}

/// Records spans into the store of a capture.
#[derive(Debug)]
pub(super) struct Collector(Arc<Store>);

impl Collector {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self(store)
    }
}

impl SpanObserver for Collector {
    fn started(&self, span: &SpanData, _parent: &Context) -> Additions {
        let context = &span.span_context;
        // A span that is recorded but not sampled is not captured, as it would not be exported.
        if context.is_sampled() {
            let id = (context.trace_id(), context.span_id());
            let mut inner = self.0.lock();
            let order = inner.known.len();
            inner.known.insert(id);
            inner.open.insert(id, OpenSpan { data: Arc::new(span.clone()), order });
        }
        Additions::default()
    }

    fn ended(&self, span: &SpanData) {
        let mut inner = self.0.lock();
        let id = (span.span_context.trace_id(), span.span_context.span_id());
        if let Some(open) = inner.open.remove(&id) {
            inner.ended.push(FinishedSpan { data: Arc::new(span.clone()), order: open.order });
            self.0.notify(&inner);
        }
    }
}

#[cfg(feature = "tokio")]
impl crate::job::watched::Watcher for Store {
    fn started(&self) {
        self.lock().jobs += 1;
    }

    fn ended(&self) {
        let mut inner = self.lock();
        inner.jobs -= 1;
        self.notify(&inner);
    }
}
