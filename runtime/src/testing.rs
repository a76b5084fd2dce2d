//! Capture spans in a test, and compare them as trees.
//!
//! A [`Capture`] has a tracer provider of its own, and it reaches the code under test through the
//! context. Nothing is global, so any number of tests can run in one process at the same time.
//!
//! ```
//! use throughline::testing::Capture;
//!
//! let capture = Capture::new();
//! capture.run(|| {
//!     throughline::in_span("checkout", || {
//!         throughline::span("price").biz_tag("sku", "A-7").run(|| 1200);
//!         let _ = throughline::try_in_span("pay", || Err::<(), _>("card declined"));
//!     });
//! });
//!
//! capture.assert_tree(
//!     "
//!     checkout
//!     ├── price
//!     └── pay !error: card declined
//!     ",
//! );
//! assert_eq!(capture.span("price").attribute("sku"), Some(&"A-7".into()));
//! ```

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};
use std::future::Future;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::trace::{Event, SpanId, TraceId, TracerProvider as _};
use opentelemetry::{Context, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SdkTracer, SdkTracerProvider, ShouldSample, Span, SpanData, SpanLimits, SpanProcessor,
    TracerProviderBuilder,
};

use crate::ambient::Ambient;
use crate::forest::{self, End, Place};
use crate::snapshot::Snapshot;
use crate::source;
use crate::telemetry::TagProcessor;

/// Collects the spans of one test.
///
/// Spans come here when they start below [`run`](Self::run), [`run_async`](Self::run_async) or
/// [`context`](Self::context), however far: detached jobs, snapshots and carried messages take the
/// way with them. Spans that start elsewhere go where they would go without a capture.
///
/// The environment (`OTEL_TRACES_SAMPLER` and its like) has no say. Cloning is cheap, and the
/// clone is the same capture.
#[derive(Clone)]
pub struct Capture {
    provider: SdkTracerProvider,
    context: Context,
    store: Arc<Store>,
}

impl Capture {
    /// A capture that records every trace, unless its parent says that it is not sampled.
    pub fn new() -> Self {
        Self::with_provider(|builder| builder)
    }

    /// A capture that records what `sampler` decides.
    ///
    /// ```
    /// use opentelemetry_sdk::trace::Sampler;
    /// use throughline::testing::Capture;
    ///
    /// let capture = Capture::with_sampler(Sampler::AlwaysOff);
    /// capture.run(|| throughline::in_span("quiet", || ()));
    /// assert!(capture.spans().is_empty());
    /// ```
    pub fn with_sampler(sampler: impl ShouldSample + 'static) -> Self {
        Self::with_provider(|builder| builder.with_sampler(Box::new(sampler) as Box<dyn ShouldSample>))
    }

    /// A capture whose provider `build` has set up further: an id generator, limits, more
    /// processors. They come after the [`TagProcessor`] and before the capture's own.
    pub fn with_provider(build: impl FnOnce(TracerProviderBuilder) -> TracerProviderBuilder) -> Self {
        let store = Arc::new(Store::default());
        let builder = SdkTracerProvider::builder()
            .with_resource(Resource::builder_empty().build())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
            .with_span_limits(SpanLimits::default())
            .with_span_processor(TagProcessor::new());
        let provider = build(builder).with_span_processor(Collector(Arc::clone(&store))).build();
        let ambient = Ambient { source: Some(source::of(&provider)), ..Ambient::default() };
        Self { context: ambient.put(&Context::new()), provider, store }
    }

    /// An otherwise empty context below which spans come here. Without a span, tags or baggage,
    /// whatever is current.
    pub fn context(&self) -> Context {
        self.context.clone()
    }

    /// Runs `f` in [`context`](Self::context).
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        let _attached = self.context().attach();
        f()
    }

    /// Runs the future in [`context`](Self::context), which is current whenever the future is
    /// polled and when it is dropped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use throughline::testing::Capture;
    ///
    /// let capture = Capture::new();
    /// let job = capture.run_async(throughline::in_span_async("request", async {
    ///     throughline::span("receipt").spawn(async {})
    /// }));
    /// job.await.await.unwrap();
    /// assert_eq!(capture.tree(), "request\n└── receipt");
    /// # }
    /// ```
    pub fn run_async<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        Snapshot::of(&self.context).future(future)
    }

    /// A tracer of this capture, for code that uses the OpenTelemetry API, or a subscriber of
    /// `tracing-opentelemetry`.
    pub fn tracer(&self, name: &'static str) -> SdkTracer {
        self.provider.tracer(name)
    }

    /// The provider of this capture. Once it is shut down, nothing is captured any more.
    pub fn provider(&self) -> &SdkTracerProvider {
        &self.provider
    }

    /// The spans that have ended, in the order of their ends.
    pub fn spans(&self) -> Vec<FinishedSpan> {
        self.store.lock().ended.clone()
    }

    /// The only span with this name that has ended.
    ///
    /// # Panics
    ///
    /// If there is none, or more than one. The message names the spans that there are.
    #[track_caller]
    pub fn span(&self, name: &str) -> FinishedSpan {
        let mut named = self.named(name);
        match (named.len(), named.pop()) {
            (1, Some(span)) => span,
            (count, _) => panic!("{count} finished spans are named `{name}`, expected one; {}", self.inventory()),
        }
    }

    /// The spans with this name that have ended, in the order of their ends.
    pub fn named(&self, name: &str) -> Vec<FinishedSpan> {
        self.store.lock().ended.iter().filter(|span| span.name() == name).cloned().collect()
    }

    /// How many spans have started and not ended.
    pub fn open(&self) -> usize {
        self.store.lock().open.len()
    }

    /// Takes the spans that have ended out of the capture, in the order of their ends.
    #[must_use = "to throw them away, use `clear`"]
    pub fn take(&self) -> Vec<FinishedSpan> {
        std::mem::take(&mut self.store.lock().ended)
    }

    /// Forgets the spans that have ended. Those that are open will still come here.
    pub fn clear(&self) {
        drop(self.take());
    }

    /// The spans that have ended, as text that is the same in every run: [`tree_with`] without
    /// tags.
    ///
    /// [`tree_with`]: Self::tree_with
    pub fn tree(&self) -> String {
        self.tree_with(&[])
    }

    /// The spans that have ended, as text that is the same in every run, with the tags named in
    /// `keys`.
    ///
    /// One tree per root below one another; children in the order of their start; no line feed
    /// at the end. A line is made of the parts that apply, in this order:
    ///
    /// | part | when |
    /// |---|---|
    /// | `name` | |
    /// | `[server]` | the kind, unless it is internal |
    /// | `(remote parent)` | the parent was not started here |
    /// | `(open parent)` | the parent has not ended |
    /// | `(missing parent)` | the parent was taken out with [`take`](Self::take) or [`clear`](Self::clear) |
    /// | `!error: description` | the status is Error |
    /// | `!panicked: message` | the code panicked |
    /// | `!cancelled` | the work was given up |
    /// | `tenant_id=acme` | the tag is set on the span; a value with spaces is quoted |
    /// | `~> name` | a link, with the name of the span linked to, or `(other)` |
    ///
    /// ```
    /// use throughline::SpanKind;
    /// use throughline::testing::Capture;
    ///
    /// let capture = Capture::new();
    /// capture.run(|| {
    ///     let order = throughline::span("order").kind(SpanKind::Server).biz_tag("tenant_id", "acme");
    ///     order.run(|| throughline::in_span("store", || ()));
    /// });
    /// assert_eq!(
    ///     capture.tree_with(&["tenant_id"]),
    ///     "order [server] tenant_id=acme\n└── store tenant_id=acme"
    /// );
    /// ```
    pub fn tree_with(&self, keys: &[&str]) -> String {
        let inner = self.store.lock();
        let spans = &inner.ended;
        let places: Vec<_> = spans.iter().map(FinishedSpan::place).collect();
        let lines = forest::rows(&places).into_iter().map(|row| {
            let parent = if row.parent.is_some() { "" } else { inner.parent_note(&spans[row.at]) };
            (row.depth, inner.line(&spans[row.at], parent, keys))
        });
        let mut tree = forest::draw(lines);
        tree.truncate(tree.trim_end_matches('\n').len());
        tree
    }

    /// Compares [`tree`](Self::tree) with `expected`, which may be indented and surrounded by
    /// blank lines.
    ///
    /// # Panics
    ///
    /// If they differ. The message shows both.
    #[track_caller]
    pub fn assert_tree(&self, expected: &str) {
        self.assert_tree_with(&[], expected);
    }

    /// Compares [`tree_with`](Self::tree_with) with `expected`, which may be indented and
    /// surrounded by blank lines.
    ///
    /// # Panics
    ///
    /// If they differ. The message shows both.
    #[track_caller]
    pub fn assert_tree_with(&self, keys: &[&str], expected: &str) {
        let (expected, actual) = (dedent(expected), self.tree_with(keys));
        assert!(expected == actual, "the spans differ\n\nexpected:\n{expected}\n\nactual:\n{actual}\n");
    }

    fn inventory(&self) -> String {
        let inner = self.store.lock();
        let list =
            |names: Vec<&str>| if names.is_empty() { "none".into() } else { format!("`{}`", names.join("`, `")) };
        let ended = list(inner.ended.iter().map(FinishedSpan::name).collect());
        let open = list(inner.open.values().map(|open| open.name.as_str()).collect());
        format!("finished: {ended}; open: {open}")
    }
}

impl Default for Capture {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture").field("spans", &self.spans()).field("open", &self.open()).finish_non_exhaustive()
    }
}

/// A span that has ended. Dereferences to the SDK's [`SpanData`], which has the rest.
#[derive(Clone)]
pub struct FinishedSpan {
    data: Arc<SpanData>,
    /// How many spans of the capture have started before it.
    order: usize,
}

impl FinishedSpan {
    /// The name.
    pub fn name(&self) -> &str {
        &self.data.name
    }

    /// The trace it belongs to.
    pub fn trace_id(&self) -> TraceId {
        self.data.span_context.trace_id()
    }

    /// Its own id.
    pub fn span_id(&self) -> SpanId {
        self.data.span_context.span_id()
    }

    /// The id of its parent; `None` for the first span of a trace.
    pub fn parent_id(&self) -> Option<SpanId> {
        Some(self.data.parent_span_id).filter(|&id| id != SpanId::INVALID)
    }

    /// Whether `parent` is its parent.
    pub fn is_child_of(&self, parent: &Self) -> bool {
        self.trace_id() == parent.trace_id() && self.parent_id() == Some(parent.span_id())
    }

    /// Whether it has a link to `other`.
    pub fn is_linked_to(&self, other: &Self) -> bool {
        self.data.links.iter().any(|link| link.span_context == other.data.span_context)
    }

    /// The value of an attribute. If it was set more than once, the last value.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        forest::attribute(&self.data, key)
    }

    /// The first event of this name.
    pub fn event(&self, name: &str) -> Option<&Event> {
        self.data.events.iter().find(|event| event.name == name)
    }

    /// Whether its status is Error. True also for a panic, false for cancelled work.
    pub fn is_error(&self) -> bool {
        matches!(forest::end(&self.data), End::Failed(_) | End::Panicked(_))
    }

    /// Whether its code panicked.
    pub fn is_panicked(&self) -> bool {
        matches!(forest::end(&self.data), End::Panicked(_))
    }

    /// Whether its work was given up half-way.
    pub fn is_cancelled(&self) -> bool {
        forest::end(&self.data) == End::Cancelled
    }

    /// The time from its start to its end; zero if the clock was set back in between.
    pub fn duration(&self) -> Duration {
        self.data.end_time.duration_since(self.data.start_time).unwrap_or_default()
    }

    fn place(&self) -> Place {
        Place {
            trace: self.trace_id(),
            span: self.span_id(),
            parent: self.data.parent_span_id,
            start: self.data.start_time,
            order: self.order,
        }
    }
}

impl Deref for FinishedSpan {
    type Target = SpanData;

    fn deref(&self) -> &SpanData {
        &self.data
    }
}

impl fmt::Debug for FinishedSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.data.fmt(f)
    }
}

type Id = (TraceId, SpanId);

#[derive(Debug, Default)]
struct Store(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    ended: Vec<FinishedSpan>,
    open: HashMap<Id, OpenSpan>,
    /// Every span that has started here.
    known: HashSet<Id>,
}

#[derive(Debug)]
struct OpenSpan {
    name: String,
    order: usize,
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A test that panics while it holds the lock has failed already; others may look on.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// What the line of a span says of a parent that has no line.
    fn parent_note(&self, span: &FinishedSpan) -> &'static str {
        match span.parent_id() {
            None => "",
            Some(parent) if self.open.contains_key(&(span.trace_id(), parent)) => " (open parent)",
            Some(parent) if self.known.contains(&(span.trace_id(), parent)) => " (missing parent)",
            // Only the ids tell: to a detached job its parent is "remote" even in the same process.
            Some(_) => " (remote parent)",
        }
    }

    fn line(&self, span: &FinishedSpan, parent: &str, keys: &[&str]) -> String {
        let mut line = forest::plain(span.name()).into_owned();
        // Writing to a `String` does not fail.
        let _ = match forest::kind(&span.data.span_kind) {
            Some(kind) => write!(line, " [{kind}]{parent}"),
            None => write!(line, "{parent}"),
        };
        let _ = match forest::end(&span.data) {
            End::Fine => Ok(()),
            End::Failed("") => write!(line, " !error"),
            End::Failed(why) => write!(line, " !error: {}", forest::plain(why)),
            End::Panicked(why) => write!(line, " !panicked: {}", forest::plain(why)),
            End::Cancelled => write!(line, " !cancelled"),
        };
        for key in keys {
            if let Some(value) = span.attribute(key) {
                let _ = write!(line, " {}", forest::tag(&key.to_string().into(), value));
            }
        }
        for link in span.data.links.iter() {
            let linked = self.ended.iter().find(|span| span.data.span_context == link.span_context);
            let _ = write!(line, " ~> {}", linked.map_or("(other)".into(), |span| forest::plain(span.name())));
        }
        line
    }
}

/// The processor of a capture.
#[derive(Debug)]
struct Collector(Arc<Store>);

impl SpanProcessor for Collector {
    fn on_start(&self, span: &mut Span, _context: &Context) {
        use opentelemetry::trace::Span as _;

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

/// Removes blank lines around `text`, and the indentation that all its lines have in common.
fn dedent(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    let indentation = |line: &&str| line.len() - line.trim_start().len();
    let common = lines.iter().filter(|line| !line.is_empty()).map(indentation).min().unwrap_or_default();
    let lines: Vec<_> = lines.iter().map(|line| line.get(common..).unwrap_or_default()).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use opentelemetry::trace::{SpanContext, SpanKind, TraceFlags, TraceState, Tracer as _};

    use super::*;
    use crate::{in_span, in_span_async, span};

    fn message(f: impl FnOnce()) -> String {
        let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
        payload.downcast_ref::<String>().expect("a message").clone()
    }

    #[test]
    fn spans_of_the_api_nest_with_ours_and_get_the_tags() {
        let capture = Capture::new();
        let tracer = capture.tracer("library");
        capture.run(|| {
            span("ours").biz_tag("tenant_id", "acme").run(|| {
                tracer.in_span("theirs", |_| in_span("ours again", || ()));
            });
        });
        capture.assert_tree_with(
            &["tenant_id"],
            "
            ours tenant_id=acme
            └── theirs tenant_id=acme
                └── ours again tenant_id=acme
            ",
        );
    }

    #[test]
    fn captures_do_not_see_each_other() {
        let (one, other) = (Capture::new(), Capture::new());
        std::thread::scope(|scope| {
            scope.spawn(|| one.run(|| in_span("one", || ())));
            scope.spawn(|| other.run(|| in_span("other", || in_span("below", || ()))));
        });
        assert_eq!(one.tree(), "one");
        assert_eq!(other.tree(), "other\n└── below");
        one.run(|| in_span("outer", || other.run(|| in_span("inner", || ()))));
        assert_eq!(one.tree(), "one\nouter");
        assert_eq!(other.named("inner").len(), 1);
    }

    #[cfg(feature = "tokio")]
    #[tokio::test(flavor = "current_thread")]
    async fn a_detached_job_comes_here_too() {
        let capture = Capture::new();
        let job = capture.run(|| in_span("request", || span("job").spawn(in_span_async("step", async {}))));
        assert_eq!(capture.open(), 1);
        job.await.unwrap();
        assert_eq!(capture.open(), 0);
        assert_eq!(capture.tree(), "request\n└── job\n    └── step");
    }

    #[test]
    fn lines_show_kind_outcome_and_links() {
        let capture = Capture::new();
        capture.run(|| {
            span("root").kind(SpanKind::Server).run(|| {
                let _ = span("failed").try_run(|| Err::<(), _>("bad\nrow"));
                let _ = catch_unwind(|| span("panicked").run(|| panic!("ouch")));
                drop(span("cancelled").start(false));
                span("linked").root().tag("note", "two words").run(|| ());
            });
            let remote =
                SpanContext::new(TraceId::from(7), SpanId::from(8), TraceFlags::SAMPLED, true, TraceState::NONE);
            span("continued").kind(SpanKind::Consumer).parent(&remote).link(&remote).run(|| ());
        });
        capture.assert_tree_with(
            &["note"],
            "
            root [server]
            ├── failed !error: bad\\nrow
            ├── panicked !panicked: ouch
            └── cancelled !cancelled
            linked note=\"two words\" ~> root
            continued [consumer] (remote parent) ~> (other)
            ",
        );
        assert!(capture.span("failed").is_error() && !capture.span("failed").is_panicked());
        assert!(capture.span("panicked").is_error() && capture.span("panicked").is_panicked());
        assert!(capture.span("cancelled").is_cancelled() && !capture.span("cancelled").is_error());
        assert!(capture.span("linked").is_linked_to(&capture.span("root")));
        assert!(capture.span("failed").is_child_of(&capture.span("root")));
        assert!(capture.span("failed").event("exception").is_some());
    }

    #[test]
    fn a_parent_without_a_line_is_explained() {
        let capture = Capture::new();
        capture.run(|| {
            in_span("parent", || {
                in_span("child", || ());
                assert_eq!(capture.tree(), "child (open parent)");
                assert_eq!(capture.open(), 1);
            });
        });
        assert_eq!(capture.take().len(), 2);
        assert_eq!(capture.tree(), "");
        capture.run(|| {
            in_span("parent", || {
                in_span("child", || ());
                capture.clear();
                in_span("child", || ());
                let snapshot = Snapshot::capture();
                in_span("lost", || ());
                span("late").parent(&snapshot).run(|| ());
            });
        });
        assert_eq!(capture.tree(), "parent\n├── child\n├── lost\n└── late");
        let request = capture.run(|| in_span("request", Snapshot::capture));
        capture.clear();
        capture.run(|| span("job").parent(&request).run(|| ()));
        assert_eq!(capture.tree(), "job (missing parent)");
    }

    #[test]
    fn the_last_value_of_an_attribute_counts() {
        let capture = Capture::new();
        capture.run(|| span("twice").tag("n", 1).tag("n", 2).run(|| ()));
        assert_eq!(capture.span("twice").attribute("n"), Some(&Value::I64(2)));
        assert_eq!(capture.span("twice").attribute("m"), None);
    }

    #[test]
    fn a_missing_span_is_answered_with_those_there_are() {
        let capture = Capture::new();
        capture.run(|| {
            in_span("open", || {
                in_span("one", || ());
                in_span("two", || ());
                in_span("two", || ());
                let none = message(|| drop(capture.span("three")));
                assert_eq!(
                    none,
                    "0 finished spans are named `three`, expected one; finished: `one`, `two`, `two`; open: `open`"
                );
                assert!(message(|| drop(capture.span("two"))).starts_with("2 finished spans are named `two`"));
            });
        });
        let differ = message(|| capture.assert_tree("open"));
        assert!(differ.contains("expected:\nopen\n") && differ.contains("actual:\nopen\n├── one"), "{differ}");
    }
}
