//! What an audit expects of traces.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::SpanKind;

/// Configures an audit: what it expects of traces, and its limits.
///
/// Structural breaks, such as a missing parent, are detected without any configuration. Add what only you know about
/// your traces, such as which services are called from outside and which tags are required:
///
/// ```
/// use throughline::audit::Rules;
///
/// let rules = Rules::new()
///     .edge("gateway")
///     .require_tag("tenant_id")
///     .business_tag("tenant_id")
///     .allow_root("nightly report");
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "rules do nothing before they are given to an audit"]
pub struct Rules {
    pub(super) is_partial: bool,
    pub(super) edges: Vec<Arc<str>>,
    pub(super) allowed_roots: Vec<Arc<str>>,
    pub(super) root_kinds: Option<Vec<SpanKind>>,
    pub(super) required_tags: Vec<Arc<str>>,
    pub(super) business_tags: Vec<Arc<str>>,
    pub(super) clock_bound: Duration,
    pub(super) max_names: usize,
    pub(super) max_keys: usize,
    pub(super) sample: f64,
    pub(super) quiet: Duration,
    pub(super) max_spans: Option<usize>,
    pub(super) max_broken_traces: usize,
    pub(super) max_spans_shown: usize,
    pub(super) max_examples: usize,
}

impl Rules {
    /// Creates the default rules, for an audit that sees the spans of all services.
    pub fn new() -> Self {
        Self {
            is_partial: false,
            edges: Vec::new(),
            allowed_roots: Vec::new(),
            root_kinds: None,
            required_tags: Vec::new(),
            business_tags: Vec::new(),
            clock_bound: Duration::from_millis(100),
            max_names: 500,
            max_keys: 500,
            sample: 1.0,
            quiet: Duration::from_secs(30),
            max_spans: None,
            max_broken_traces: 50,
            max_spans_shown: 500,
            max_examples: 5,
        }
    }

    /// Declares that the audit sees the spans of only some services or of one process. A remote parent that is absent
    /// is then not reported as missing.
    pub fn partial(mut self) -> Self {
        self.is_partial = true;
        self
    }

    /// Adds a service that is called from outside, so that its server spans may be root spans. Once an edge service is
    /// named, a server span without a parent is [a break](super::BreakKind::UnparentedEntry) in every other service.
    pub fn edge(mut self, service: impl Into<Arc<str>>) -> Self {
        self.edges.push(service.into());
        self
    }

    /// Adds a span name that is allowed for root spans of any kind, such as that of a job started by a timer.
    pub fn allow_root(mut self, name: impl Into<Arc<str>>) -> Self {
        self.allowed_roots.push(name.into());
        self
    }

    /// Sets the span kinds that root spans may have; all kinds by default.
    ///
    /// Whatever the kinds, a consumer span or a detached job without a parent is reported, unless the job was spawned
    /// as a root or the operation received no message. A root span with a link is never reported.
    ///
    /// With `[SpanKind::Server]`, a span that lost its parent because of a bare `tokio::spawn` is reported, whichever
    /// tracer recorded it.
    pub fn root_kinds(mut self, kinds: impl IntoIterator<Item = SpanKind>) -> Self {
        self.root_kinds = Some(kinds.into_iter().collect());
        self
    }

    /// Adds a required attribute: for each entry point of a service, the entry span or at least one span of the service
    /// below it must have it.
    ///
    /// A tag that is marked `required` in the code and has no value is reported in any case.
    pub fn require_tag(mut self, key: impl Into<Arc<str>>) -> Self {
        self.required_tags.push(key.into());
        self
    }

    /// Adds an attribute that must have the same value on all spans of a trace that have it.
    pub fn business_tag(mut self, key: impl Into<Arc<str>>) -> Self {
        self.business_tags.push(key.into());
        self
    }

    /// Sets how much the clocks of two services may differ; 100 ms by default.
    pub fn clock_bound(mut self, bound: Duration) -> Self {
        self.clock_bound = bound;
        self
    }

    /// Sets how many distinct span names a service may have before [high
    /// cardinality](super::BreakKind::HighCardinality) is reported; 500 by default.
    pub fn max_names(mut self, names: usize) -> Self {
        self.max_names = names;
        self
    }

    /// Sets how many distinct attribute keys a service may have before [high
    /// cardinality](super::BreakKind::HighCardinality) is reported; 500 by default.
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// Sets the share of traces to audit, from 0 to 1; 1 by default. Traces are selected by trace ID, so every process
    /// selects the same ones.
    ///
    /// Values outside of this range are clamped. NaN counts as 1, because an audit that examines nothing would report
    /// that nothing is wrong.
    pub fn sample(mut self, share: f64) -> Self {
        self.sample = if share.is_nan() { 1.0 } else { share.clamp(0.0, 1.0) };
        self
    }

    /// Sets how long the audit of a running process waits for further spans of a trace before it judges the trace; 30 s
    /// by default. A trace with an open span of Throughline, or with one that is queued for export, is not judged, and a
    /// trace with a missing parent is judged after ten times as long. Spans that arrive afterwards are counted as
    /// [late](super::Skipped::spans_late).
    pub fn quiet(mut self, time: Duration) -> Self {
        self.quiet = time;
        self
    }

    /// Sets the maximum number of buffered spans of traces that have not been judged; 1,048,576 by default, and 65,536
    /// in a running process. At least 1. When the buffer is full, the least recently updated traces are removed from
    /// it: those with all parents present are judged, the others are [given up](super::Skipped::traces_given_up).
    pub fn max_spans(mut self, spans: usize) -> Self {
        self.max_spans = Some(spans.max(1));
        self
    }

    /// Sets how many broken traces are kept as examples; 50 by default.
    pub fn max_broken_traces(mut self, traces: usize) -> Self {
        self.max_broken_traces = traces;
        self
    }

    /// Sets how many spans of a broken trace, and of one break, are kept; 500 by default. Spans at which a break was
    /// found are kept in preference to others, and a break always keeps its own.
    pub fn max_spans_shown(mut self, spans: usize) -> Self {
        self.max_spans_shown = spans;
        self
    }

    /// Sets how many examples of similar breaks are kept; 5 by default.
    pub fn max_examples(mut self, examples: usize) -> Self {
        self.max_examples = examples;
        self
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::new()
    }
}
