//! What only integrations do with a span.

use opentelemetry::Context;

use crate::context::current;
use crate::context::snapshot::Snapshot;
use crate::span::handle::{Scope, Span, report_missing};

impl Span {
    /// Returns the context for work that may outlive the current span: that of this span, or without one, a snapshot
    /// of the current context, which does not hold the current span itself.
    pub fn detached_context(&self) -> Context {
        self.0.context().cloned().unwrap_or_else(|| Snapshot::capture().to_context())
    }

    /// Reports required tags without a value: an event for each, and the counter `throughline.tags.missing`.
    pub fn report_missing(&self, keys: &[&'static str]) {
        if let Scope::Open(open) = &self.0 {
            report_missing(keys, &open.context);
        }
    }

    /// Modifies the context that is current in the span. The span itself is unchanged.
    pub fn map_context(&mut self, change: impl FnOnce(&Context) -> Context) {
        match &mut self.0 {
            Scope::Off => self.0 = Scope::Within(change(&current::get())),
            Scope::Within(context) | Scope::Reported(context, _) => *context = change(context),
            Scope::Open(open) => open.context = change(&open.context),
        }
    }
}
