//! What an audit expects of traces.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::SpanKind;

/// What an audit expects of traces, and how much it keeps.
///
/// Without further rules, it knows from the spans alone what is wrong. What a team expects of its own traces is added:
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
    /// Rules for all spans of all services together.
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

    /// The spans are those of one process or of some services only: a parent in another process is not missing.
    pub fn partial(mut self) -> Self {
        self.is_partial = true;
        self
    }

    /// This service is called from outside, so that a server's span of it may be a root. As soon as one service is
    /// named, a server's span without a parent is [a break](super::BreakKind::UnparentedEntry) in all others. Can be
    /// called for several.
    pub fn edge(mut self, service: impl Into<Arc<str>>) -> Self {
        self.edges.push(service.into());
        self
    }

    /// Spans with this name may be roots, whatever their kind: a job that a timer starts, for example. Can be called
    /// for several.
    pub fn allow_root(mut self, name: impl Into<Arc<str>>) -> Self {
        self.allowed_roots.push(name.into());
        self
    }

    /// Spans of these kinds only may be roots. By default, all but consumers and detached jobs.
    ///
    /// With `[SpanKind::Server]`, a span that lost its parent to a bare `tokio::spawn` is found, whatever recorded it.
    pub fn root_kinds(mut self, kinds: impl IntoIterator<Item = SpanKind>) -> Self {
        self.root_kinds = Some(kinds.into_iter().collect());
        self
    }

    /// Below each entry point of a service, at least one span of that service must have this attribute. Can be called
    /// for several.
    ///
    /// A tag that the code marks `required` and that had no value is reported without this.
    pub fn require_tag(mut self, key: impl Into<Arc<str>>) -> Self {
        self.required_tags.push(key.into());
        self
    }

    /// All spans of a trace that have this attribute must have the same value. Can be called for several.
    pub fn business_tag(mut self, key: impl Into<Arc<str>>) -> Self {
        self.business_tags.push(key.into());
        self
    }

    /// How much the clocks of two services may differ; 100 ms by default.
    pub fn clock_bound(mut self, bound: Duration) -> Self {
        self.clock_bound = bound;
        self
    }

    /// How many span names a service may have before these are suspiciously many; 500 by default.
    pub fn max_names(mut self, names: usize) -> Self {
        self.max_names = names;
        self
    }

    /// How many attribute keys a service may have before these are suspiciously many; 500 by default.
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// Which share of the traces to look at, from 0 to 1; all of them by default. The trace id decides, so that every
    /// process looks at the same ones.
    ///
    /// A share below 0 is 0, and one above 1 is 1. So is NaN, the result of a computation without a result: an audit
    /// that looks at nothing would report that nothing is wrong.
    pub fn sample(mut self, share: f64) -> Self {
        self.sample = if share.is_nan() { 1.0 } else { share.clamp(0.0, 1.0) };
        self
    }

    /// How long a trace must have been quiet before it is judged in a running process; 30 s by default. One with an open
    /// span of Throughline is not quiet, and one that lacks a parent is waited for ten times as long. What comes later is
    /// counted as [late](super::Skipped::spans_late).
    pub fn quiet(mut self, time: Duration) -> Self {
        self.quiet = time;
        self
    }

    /// How many spans of traces that are not judged yet are kept at most; 1,048,576 by default, and 65,536 in a
    /// running process. When there are more, traces that are complete are judged at once, and of those that are not,
    /// the ones that have been quiet for longest are [given up](super::Skipped::traces_given_up).
    pub fn max_spans(mut self, spans: usize) -> Self {
        self.max_spans = Some(spans.max(1));
        self
    }

    /// How many traces with something wrong are kept as examples; 50 by default.
    pub fn max_broken_traces(mut self, traces: usize) -> Self {
        self.max_broken_traces = traces;
        self
    }

    /// How many spans of such a trace, and of one break, are kept; 500 by default. The span of a break always is.
    pub fn max_spans_shown(mut self, spans: usize) -> Self {
        self.max_spans_shown = spans;
        self
    }

    /// How many breaks that are alike are kept one by one; 5 by default.
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
