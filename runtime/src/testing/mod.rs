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

mod span;
mod store;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    Sampler, SdkTracer, SdkTracerProvider, ShouldSample, SpanLimits, TracerProviderBuilder,
};

pub use self::span::FinishedSpan;
use self::store::{Collector, Store};
use crate::context::data::Ambient;
use crate::context::snapshot::Snapshot;
use crate::render::tree;
use crate::span::tracer;
use crate::telemetry::{RequestIdGenerator, TagProcessor};

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
            .with_id_generator(RequestIdGenerator::new())
            .with_span_processor(TagProcessor::new());
        let provider = build(builder).with_span_processor(Collector::new(Arc::clone(&store))).build();
        let ambient = Ambient { source: Some(tracer::of(&provider)), ..Ambient::default() };
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
        let lines = tree::rows(&places).into_iter().map(|row| {
            let parent = if row.parent.is_some() { "" } else { inner.parent_note(&spans[row.at]) };
            (row.depth, inner.line(&spans[row.at], parent, keys))
        });
        let mut tree = tree::draw(lines);
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

/// Removes blank lines around `text`, and the indentation that all its lines have in common.
fn dedent(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    let indentation = |line: &&str| line.len() - line.trim_start().len();
    let common = lines.iter().filter(|line| !line.is_empty()).map(indentation).min().unwrap_or_default();
    let lines: Vec<_> = lines.iter().map(|line| line.get(common..).unwrap_or_default()).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}
