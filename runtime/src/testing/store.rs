//! Where a capture keeps its spans, and how it writes them down.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, SpanId, TraceId};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::span::FinishedSpan;
use crate::render::tree::{self, End};
use crate::text::escape;

type Id = (TraceId, SpanId);

#[derive(Debug, Default)]
pub(super) struct Store(Mutex<Inner>);

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) ended: Vec<FinishedSpan>,
    pub(super) open: HashMap<Id, OpenSpan>,
    /// Every span that has started here.
    known: HashSet<Id>,
}

#[derive(Debug)]
pub(super) struct OpenSpan {
    pub(super) name: String,
    order: usize,
}

impl Store {
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        // A test that panics while it holds the lock has failed already; others may look on.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What the line of a span says of a parent that has no line.
    pub(super) fn parent_note(&self, span: &FinishedSpan) -> &'static str {
        match span.parent_id() {
            None => "",
            Some(parent) if self.open.contains_key(&(span.trace_id(), parent)) => " (open parent)",
            Some(parent) if self.known.contains(&(span.trace_id(), parent)) => " (missing parent)",
            Some(_) => " (remote parent)",
        }
    }

    pub(super) fn line(&self, span: &FinishedSpan, parent: &str, keys: &[&str]) -> String {
        let mut line = escape(span.name()).into_owned();
        // Writing to a `String` does not fail.
        let _ = match tree::kind(&span.data.span_kind) {
            Some(kind) => write!(line, " [{kind}]{parent}"),
            None => write!(line, "{parent}"),
        };
        let _ = match tree::end(&span.data) {
            End::Fine => Ok(()),
            End::Failed("") => write!(line, " !error"),
            End::Failed(why) => write!(line, " !error: {}", escape(why)),
            End::Panicked(why) => write!(line, " !panicked: {}", escape(why)),
            End::Cancelled => write!(line, " !cancelled"),
        };
        for key in keys {
            if let Some(value) = span.attribute(key) {
                let _ = write!(line, " {}", tree::tag(&key.to_string().into(), value));
            }
        }
        for link in span.data.links.iter() {
            let linked = self.ended.iter().find(|span| span.is(&link.span_context));
            let _ = write!(line, " ~> {}", linked.map_or("(other)".into(), |span| escape(span.name())));
        }
        line
    }
}

/// The processor of a capture.
#[derive(Debug)]
pub(super) struct Collector(Arc<Store>);

impl Collector {
    pub(super) fn new(store: Arc<Store>) -> Self {
        Self(store)
    }
}

impl SpanProcessor for Collector {
    fn on_start(&self, span: &mut Span, _context: &Context) {
        let context = span.span_context();
        // Recorded, but not sampled: no exporter would see it.
        if !context.is_sampled() {
            return;
        }
        let id = (context.trace_id(), context.span_id());
        let name = span.exported_data().map(|data| data.name.into_owned()).unwrap_or_default();
        let mut inner = self.0.lock();
        let order = inner.known.len();
        inner.known.insert(id);
        inner.open.insert(id, OpenSpan { name, order });
    }

    fn on_end(&self, data: SpanData) {
        let mut inner = self.0.lock();
        let id = (data.span_context.trace_id(), data.span_context.span_id());
        if let Some(open) = inner.open.remove(&id) {
            inner.ended.push(FinishedSpan { data: Arc::new(data), order: open.order });
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}
