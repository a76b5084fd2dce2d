//! Captures spans in tests, and compares them as trees.
//!
//! A [`Capture`] has its own tracer provider, which the code under test finds through the context. There is no global
//! state, so tests can run in parallel in one process.
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
//!
//! [`Capture::wait`] waits for the detached jobs of the code under test. With the feature `audit`,
//! `throughline::assert_unbroken!(capture)` asserts that every trace is complete, without listing its spans.
//!
//! # Servers
//!
//! A server handles each connection in a task that it spawns itself, which is outside of the capture. To capture the
//! spans of a tower service, call it directly, as with `tower::ServiceExt::oneshot`, and read the body of the response: if
//! that is dropped unread, the span of the request is marked as cancelled.
//!
//! To test with real connections, send all spans of the process to the capture. The test should be the only one in its
//! file, because other tests of the same process would be captured, too:
//!
//! ```no_run
//! use throughline::testing::Capture;
//!
//! let capture = Capture::new();
//! throughline::install(capture.provider());
//! // … start the services, and send requests …
//! capture.wait(std::time::Duration::from_secs(5)).unwrap();
//! println!("{}", capture.tree());
//! ```

mod side_by_side;
mod span;
mod store;
#[cfg(test)]
mod tests;
#[cfg(feature = "audit")]
mod unbroken;
mod wait;

use std::fmt;
use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::ShouldSample;

pub use self::span::FinishedSpan;
use self::store::{Collector, Store};
#[cfg(feature = "audit")]
pub use self::unbroken::assert_unbroken;
pub use self::wait::StillOpen;
use crate::context::data;
use crate::context::snapshot::Snapshot;
use crate::render::tree;
use crate::span::tracer;
use crate::telemetry::{RequestIdGenerator, Tracer, TracerProvider, TracerProviderBuilder};

/// Captures the spans of a test.
///
/// It captures the spans that start within [`run`](Self::run), [`run_async`](Self::run_async) or
/// [`context`](Self::context), at any depth, including those in detached jobs and in code that runs in a `Snapshot` or
/// handles a `Carried` message. Spans that start elsewhere are not affected.
///
/// Environment variables such as `OTEL_TRACES_SAMPLER` are not read. Cloning is cheap; all clones refer to the same
/// capture.
#[derive(Clone)]
pub struct Capture {
    provider: TracerProvider,
    context: Context,
    store: Arc<Store>,
}

impl Capture {
    /// Creates a capture that records every trace, except those whose remote parent is not sampled.
    pub fn new() -> Self {
        Self::with_provider(|builder| builder)
    }

    /// Creates a capture that records the traces selected by `sampler`.
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
        Self::with_provider(|builder| builder.with_sampler(sampler))
    }

    /// Creates a capture whose provider is configured by `build`, for example with an ID generator, limits or span
    /// processors.
    pub fn with_provider(build: impl FnOnce(TracerProviderBuilder) -> TracerProviderBuilder) -> Self {
        let store = Arc::new(Store::default());
        let builder = TracerProvider::builder().with_id_generator(RequestIdGenerator::new());
        let provider = build(builder).with_observer(Collector::new(Arc::clone(&store))).build();
        let context = data::edit(&Context::new(), |data| data.source = Some(tracer::of(&provider)));
        #[cfg(feature = "tokio")]
        let context = crate::job::watched::watch(&context, Arc::clone(&store) as _);
        Self { provider, context, store }
    }

    /// Returns a context in which spans are captured. It has no span, tags or baggage, regardless of the current
    /// context.
    pub fn context(&self) -> Context {
        self.context.clone()
    }

    /// Runs `f` with [`context`](Self::context) as the current context.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        let _attached = self.context().attach();
        f()
    }

    /// Wraps `future` so that [`context`](Self::context) is current whenever it is polled, and when it is dropped.
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
        Snapshot::from_context(&self.context).run_async(future)
    }

    /// Returns a tracer of this capture, for code that uses the OpenTelemetry API, and for the layer of
    /// `tracing-opentelemetry`.
    pub fn tracer(&self, name: &'static str) -> Tracer {
        self.provider.tracer(name)
    }

    /// Returns the tracer provider of this capture. Nothing is captured after it is shut down.
    pub fn provider(&self) -> &TracerProvider {
        &self.provider
    }

    /// Returns the spans that have ended, in the order in which they ended.
    pub fn spans(&self) -> Vec<FinishedSpan> {
        self.store.lock().ended.clone()
    }

    /// Returns the only span with this name that has ended.
    ///
    /// # Panics
    ///
    /// Panics if there is none, or more than one. The message lists the spans of the capture.
    #[track_caller]
    pub fn span(&self, name: &str) -> FinishedSpan {
        let mut named = self.named(name);
        match (named.len(), named.pop()) {
            (1, Some(span)) => span,
            (count, _) => panic!("expected one finished span named `{name}`, found {count}; {}", self.inventory()),
        }
    }

    /// Returns the spans with this name that have ended, in the order in which they ended.
    pub fn named(&self, name: &str) -> Vec<FinishedSpan> {
        self.store.lock().ended.iter().filter(|span| span.name() == name).cloned().collect()
    }

    /// Returns the number of open spans.
    pub fn open(&self) -> usize {
        self.store.lock().open.len()
    }

    /// Removes the spans that have ended from the capture and returns them, in the order in which they ended.
    #[must_use = "use `clear` to discard them"]
    pub fn take(&self) -> Vec<FinishedSpan> {
        std::mem::take(&mut self.store.lock().ended)
    }

    /// Discards the spans that have ended. Those that are open are still captured when they end.
    pub fn clear(&self) {
        drop(self.take());
    }

    /// Returns the spans that have ended as a text tree, without tags. Like [`tree_with`] with no keys.
    ///
    /// [`tree_with`]: Self::tree_with
    pub fn tree(&self) -> String {
        self.tree_with(&[])
    }

    /// Returns the spans that have ended as a text tree, with the tags in `keys`. The text contains no IDs and no
    /// times, so it is the same in every run.
    ///
    /// There is one tree per root span, and children are in the order in which they started. There is no trailing line
    /// feed. A line consists of the following parts, as far as they apply:
    ///
    /// | part | when |
    /// |---|---|
    /// | `name` | |
    /// | `[server]` | the kind, unless it is internal |
    /// | `(remote parent)` | the parent is not a span of this capture |
    /// | `(open parent)` | the parent has not ended |
    /// | `(missing parent)` | the parent was removed with [`take`](Self::take) or [`clear`](Self::clear) |
    /// | `!error: description` | the status is `Error` |
    /// | `!panicked: message` | the code panicked |
    /// | `!cancelled` | the work was dropped before it completed |
    /// | `tenant_id=acme` | the span has the tag; a value with spaces is quoted |
    /// | `~> name` | a link, with the name of the linked span, or `(other)` if the capture does not have it |
    ///
    /// Control characters, and others that could disguise a line, are [escaped](crate::text::needs_escape).
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
        let nodes: Vec<_> = spans.iter().map(FinishedSpan::node).collect();
        let lines = tree::layout(&nodes).into_iter().map(|row| {
            let parent = if row.parent.is_some() { "" } else { inner.parent_note(&spans[row.index]) };
            (row.depth, inner.line(&spans[row.index], parent, keys))
        });
        let mut tree = tree::draw(lines);
        tree.truncate(tree.trim_end_matches('\n').len());
        tree
    }

    /// Asserts that [`tree`](Self::tree) equals `expected`, which may be indented and surrounded by blank lines.
    ///
    /// # Panics
    ///
    /// Panics if they differ. The message shows both side by side and marks the lines that differ. If they do not fit
    /// into the available width, it shows a diff instead. The width is the value of the environment variable `COLUMNS`,
    /// or else the width of the terminal on standard error, or else 120 columns.
    #[track_caller]
    pub fn assert_tree(&self, expected: &str) {
        self.assert_tree_with(&[], expected);
    }

    /// Asserts that [`tree_with`](Self::tree_with) equals `expected`, which may be indented and surrounded by blank
    /// lines.
    ///
    /// # Panics
    ///
    /// Panics if they differ, with the message of [`assert_tree`](Self::assert_tree).
    #[track_caller]
    pub fn assert_tree_with(&self, keys: &[&str], expected: &str) {
        let actual = self.tree_with(keys);
        let expected = dedent(expected);
        // A line of the tree may end in spaces, such as those of an error's description. In the source, they may be a
        // mistake, so both forms are accepted.
        let trimmed = expected.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        assert!(
            expected == actual || trimmed == actual,
            "the span trees differ{}\n\n{}\nthe actual tree, to paste:\n{actual}\n",
            self.store.lock().hint(),
            side_by_side::side_by_side(&trimmed, &actual, side_by_side::available_width())
        );
    }

    fn inventory(&self) -> String {
        let inner = self.store.lock();
        let list =
            |names: Vec<&str>| if names.is_empty() { "none".into() } else { format!("`{}`", names.join("`, `")) };
        let ended = list(inner.ended.iter().map(FinishedSpan::name).collect());
        let open = list(inner.open_in_order().into_iter().map(|open| &*open.data.name).collect());
        format!("finished: {ended}; open: {open}{}", inner.hint())
    }
}

/// After a panic, a capture has the spans that ended before it and while unwinding, so tests may use it with
/// `std::panic::catch_unwind`.
impl UnwindSafe for Capture {}

/// See [`UnwindSafe`].
impl RefUnwindSafe for Capture {}

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

/// Removes surrounding blank lines, and the indentation that all lines share.
fn dedent(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| if line.trim().is_empty() { "" } else { line }).collect();
    let indentation = |line: &&str| line.len() - line.trim_start().len();
    let common = lines.iter().filter(|line| !line.is_empty()).map(indentation).min().unwrap_or_default();
    let lines: Vec<_> = lines.iter().map(|line| line.get(common..).unwrap_or_default()).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}
