//! What one span costs, next to the other ways to get one.
//!
//! | ns per call, sync / async | no SDK | not sampled | recorded |
//! |---|---|---|---|
//! | plain | 1.2 / 5.9 | | |
//! | **`#[traced(tags(…))]`** | **103 / 115** | **3.8 / 17** | **275 / 290** |
//! | **`#[traced]` `#[biz_tags(…)]`** | 282 / 289 | 3.8 / 4.8 | 465 / 465 |
//! | by hand | 100 / 117 | 131 / 178 | 215 / 259 |
//! | by hand, the same | | 182 / 213 | 247 / 275 |
//! | `#[instrument]` | 599 / 799 | 698 / 925 | 814 / 1003 |
//! | fastrace | 4.6 / 25 | | 278 / 398 (700 / 1236 in another run) |
//!
//! So `#[traced]` costs, of `#[instrument]`: 0.34 / 0.29 recorded, 0.005 / 0.02 not sampled. Of the same
//! by hand: 1.12 / 1.05. Of the barest span by hand, without the place in the code and without an
//! explicit end: 1.28 / 1.12.
//!
//! `cargo bench -p throughline --bench overhead -- --warm-up-time 0.5 --measurement-time 1.5`,
//! 2026-11-20, rustc 1.95.0, x86-64 virtual machine with 2 cores, one run. Single rows move by a fifth
//! between runs and builds: the same by hand took 305 / 330 in another one. Instructions move by a
//! fiftieth between builds: 3,187 for a recorded call, 2,452 by hand, 2,712 the same by hand, 7,539 with
//! `#[instrument]` on 2026-11-21, as `valgrind --tool=callgrind --toggle-collect='overhead::count'
//! target/release/deps/overhead-… --count traced 2200` less the same for 200, by 2,000. (Names: `traced`,
//! `by_hand`, `same_by_hand`, `instrument`.)
//!
//! One call of an annotated function with two tags, a text and an integer, below a span that is
//! open already. `recorded`: sampled, and given to a span processor that throws it away.
//! `not sampled`: below a local span that is not sampled. `no SDK`: nothing was set up.
//!
//! - plain: the function without a span.
//! - by hand: the OpenTelemetry API with the SDK's own tracer in a static, and with the two tags alone.
//!   Without an SDK: `global::tracer` for each call, as its documentation shows it.
//! - by hand, the same: by hand, with all that `#[traced]` records: the place in the code, and an end
//!   that does not wait for clones of the context.
//! - `#[instrument]`: `tracing` with `tracing-opentelemetry`, over the same provider.
//! - fastrace: `#[fastrace::trace]` with `fastrace-opentelemetry`, whose reporter throws away. It
//!   collects on another thread, so a part of its work is not seen here. It has no samplers.

use std::borrow::Cow;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::trace::{FutureExt as _, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, InstrumentationScope, KeyValue, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor};
use throughline::{biz_tags, traced};
use tracing_subscriber::layer::SubscriberExt as _;

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

fn plain(tenant_id: &str, order_no: i64) -> usize {
    black_box(tenant_id).len() + usize::from(black_box(order_no) == 0)
}

#[expect(clippy::unused_async, reason = "the plain form of what is compared")]
async fn plain_async(tenant_id: &str, order_no: i64) -> usize {
    plain(tenant_id, order_no)
}

fn attributes(tenant_id: &str, order_no: i64) -> [KeyValue; 2] {
    [KeyValue::new("tenant_id", tenant_id.to_owned()), KeyValue::new("order_no", order_no)]
}

fn by_hand(tenant_id: &str, order_no: i64) -> usize {
    let tracer = TRACER.get().expect("set in main");
    let span = tracer.span_builder("by_hand").with_attributes(attributes(tenant_id, order_no)).start(tracer);
    let _attached = Context::current_with_span(span).attach();
    plain(tenant_id, order_no)
}

async fn by_hand_async(tenant_id: &str, order_no: i64) -> usize {
    let tracer = TRACER.get().expect("set in main");
    let span = tracer.span_builder("by_hand_async").with_attributes(attributes(tenant_id, order_no)).start(tracer);
    plain_async(tenant_id, order_no).with_context(Context::current_with_span(span)).await
}

/// What `#[traced]` gives, by hand: the place in the code, and a span that ends here even if a clone
/// of its context lives on.
fn same_by_hand(tenant_id: &str, order_no: i64) -> usize {
    let tracer = TRACER.get().expect("set in main");
    let [tenant, order] = attributes(tenant_id, order_no);
    let place = [
        KeyValue::new("code.function.name", "overhead::same_by_hand"),
        KeyValue::new("code.file.path", file!()),
        KeyValue::new("code.line.number", i64::from(line!())),
    ];
    let [function, file, line] = place;
    let span = tracer.span_builder("same_by_hand").with_attributes([function, file, line, tenant, order]).start(tracer);
    let context = Context::current_with_span(span);
    let value = {
        let _attached = context.clone().attach();
        plain(tenant_id, order_no)
    };
    context.span().end();
    value
}

async fn same_by_hand_async(tenant_id: &str, order_no: i64) -> usize {
    let tracer = TRACER.get().expect("set in main");
    let [tenant, order] = attributes(tenant_id, order_no);
    let place = [
        KeyValue::new("code.function.name", "overhead::same_by_hand_async"),
        KeyValue::new("code.file.path", file!()),
        KeyValue::new("code.line.number", i64::from(line!())),
    ];
    let [function, file, line] = place;
    let span = tracer.span_builder("same_by_hand").with_attributes([function, file, line, tenant, order]).start(tracer);
    let context = Context::current_with_span(span);
    let value = plain_async(tenant_id, order_no).with_context(context.clone()).await;
    context.span().end();
    value
}

fn by_hand_global(tenant_id: &str, order_no: i64) -> usize {
    let tracer = global::tracer("by_hand");
    let span = tracer.span_builder("by_hand").with_attributes(attributes(tenant_id, order_no)).start(&tracer);
    let _attached = Context::current_with_span(span).attach();
    plain(tenant_id, order_no)
}

async fn by_hand_global_async(tenant_id: &str, order_no: i64) -> usize {
    let tracer = global::tracer("by_hand");
    let span = tracer.span_builder("by_hand_async").with_attributes(attributes(tenant_id, order_no)).start(&tracer);
    plain_async(tenant_id, order_no).with_context(Context::current_with_span(span)).await
}

#[traced(tags(tenant_id, order_no))]
fn ours(tenant_id: &str, order_no: i64) -> usize {
    plain(tenant_id, order_no)
}

#[traced(tags(tenant_id, order_no))]
async fn ours_async(tenant_id: &str, order_no: i64) -> usize {
    plain(tenant_id, order_no)
}

#[traced]
#[biz_tags(tenant_id, order_no)]
fn ours_biz(tenant_id: &str, order_no: i64) -> usize {
    plain(tenant_id, order_no)
}

#[traced]
#[biz_tags(tenant_id, order_no)]
async fn ours_biz_async(tenant_id: &str, order_no: i64) -> usize {
    plain(tenant_id, order_no)
}

#[tracing::instrument(skip_all, fields(tenant_id = tenant_id, order_no = order_no))]
fn instrument(tenant_id: &str, order_no: i64) -> usize {
    plain(tenant_id, order_no)
}

#[tracing::instrument(skip_all, fields(tenant_id = tenant_id, order_no = order_no))]
async fn instrument_async(tenant_id: &str, order_no: i64) -> usize {
    plain(tenant_id, order_no)
}

#[fastrace::trace(properties = { "tenant_id": "{tenant_id}", "order_no": "{order_no}" })]
fn fast(tenant_id: &str, order_no: i64) -> usize {
    plain(tenant_id, order_no)
}

#[fastrace::trace(properties = { "tenant_id": "{tenant_id}", "order_no": "{order_no}" })]
async fn fast_async(tenant_id: &str, order_no: i64) -> usize {
    plain(tenant_id, order_no)
}

/// Runs a future that is ready at once: what is measured is the span, not a scheduler.
#[expect(clippy::inline_always, reason = "otherwise some of what is compared is copied into a call, and some is not")]
#[inline(always)]
fn ready<F: Future>(future: F) -> F::Output {
    let mut cx = TaskContext::from_waker(Waker::noop());
    match pin!(future).poll(&mut cx) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

#[derive(Debug)]
struct ThrowAway;

impl SpanProcessor for ThrowAway {
    fn on_start(&self, _span: &mut Span, _cx: &Context) {}

    fn on_end(&self, span: SpanData) {
        drop(black_box(span));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl SpanExporter for ThrowAway {
    fn export(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        drop(black_box(batch));
        std::future::ready(Ok(()))
    }
}

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn measure(
    group: &mut Group<'_>,
    name: &str,
    sync: fn(&str, i64) -> usize,
    mut run_async: impl FnMut(&str, i64) -> usize,
) {
    group.bench_function(format!("{name}/sync"), |b| b.iter(|| sync(black_box("acme"), black_box(1001))));
    group.bench_function(format!("{name}/async"), |b| b.iter(|| run_async(black_box("acme"), black_box(1001))));
}

fn ours_all(group: &mut Group<'_>) {
    measure(group, "traced", ours, |t, o| ready(ours_async(t, o)));
    measure(group, "traced + biz_tags", ours_biz, |t, o| ready(ours_biz_async(t, o)));
}

/// `#[instrument]` with the layer over the tracer, below one open span.
fn instrument_all<T>(group: &mut Group<'_>, tracer: T)
where
    T: opentelemetry::trace::Tracer + Send + Sync + 'static,
    T::Span: Send + Sync,
{
    let subscriber = tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer));
    tracing::subscriber::with_default(subscriber, || {
        measure(group, "instrument", instrument, |t, o| ready(instrument_async(t, o)));
    });
}

fn no_sdk(c: &mut Criterion) {
    let mut group = c.benchmark_group("no SDK");
    measure(&mut group, "plain", plain, |t, o| ready(plain_async(t, o)));
    measure(&mut group, "by hand", by_hand_global, |t, o| ready(by_hand_global_async(t, o)));
    ours_all(&mut group);
    instrument_all(&mut group, NoopTracerProvider::new().tracer("bench"));
    measure(&mut group, "fastrace", fast, |t, o| ready(fast_async(t, o)));
}

fn with_sdk(c: &mut Criterion, name: &str, sampler: Sampler) {
    let provider = SdkTracerProvider::builder().with_sampler(sampler).with_span_processor(ThrowAway).build();
    throughline::install(&provider);
    let tracer = provider.tracer("bench");
    // Set once per process: both scenarios keep the tracer that belongs to them.
    let by_hand_tracer = TRACER.get_or_init(|| tracer.clone());
    let mut group = c.benchmark_group(name);
    let _below = Context::current_with_span(tracer.start("request")).attach();
    let _ = by_hand_tracer;
    measure(&mut group, "by hand", by_hand, |t, o| ready(by_hand_async(t, o)));
    measure(&mut group, "by hand, the same", same_by_hand, |t, o| ready(same_by_hand_async(t, o)));
    ours_all(&mut group);
    instrument_all(&mut group, tracer.clone());
    if name == "recorded" {
        let scope = InstrumentationScope::builder("bench").build();
        let reporter = fastrace_opentelemetry::OpenTelemetryReporter::new(
            ThrowAway,
            Cow::Owned(opentelemetry_sdk::Resource::builder_empty().build()),
            scope,
        );
        fastrace::set_reporter(reporter, fastrace::collector::Config::default());
        group.bench_function("fastrace/sync", |b| {
            b.iter_custom(|calls| below_fastrace_roots(calls, || fast("acme", 1001)));
        });
        group.bench_function("fastrace/async", |b| {
            b.iter_custom(|calls| below_fastrace_roots(calls, || ready(fast_async("acme", 1001))));
        });
    }
}

/// `--count NAME CALLS`: calls one recorded function and nothing else, for a tool that counts
/// instructions, such as `valgrind --tool=callgrind`.
#[inline(never)]
fn count(name: &str, calls: u32) {
    let provider = SdkTracerProvider::builder().with_span_processor(ThrowAway).build();
    throughline::install(&provider);
    let tracer = TRACER.get_or_init(|| provider.tracer("bench"));
    let subscriber = tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer.clone()));
    let _below = Context::current_with_span(tracer.start("request")).attach();
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..calls {
            black_box(match name {
                "by_hand" => by_hand("acme", 1001),
                "same_by_hand" => same_by_hand("acme", 1001),
                "by_hand_async" => ready(by_hand_async("acme", 1001)),
                "traced" => ours("acme", 1001),
                "traced_async" => ready(ours_async("acme", 1001)),
                "biz_tags" => ours_biz("acme", 1001),
                "instrument" => instrument("acme", 1001),
                "instrument_async" => ready(instrument_async("acme", 1001)),
                _ => plain("acme", 1001),
            });
        }
    });
}

/// fastrace keeps a bounded number of spans for each root, so a new one has to come now and then.
/// Its cost is not counted.
fn below_fastrace_roots(calls: u64, mut call: impl FnMut() -> usize) -> Duration {
    let mut took = Duration::ZERO;
    let mut left = calls;
    while left > 0 {
        let chunk = left.min(1000);
        left -= chunk;
        let root = fastrace::Span::root("request", fastrace::collector::SpanContext::random());
        let local = root.set_local_parent();
        let start = std::time::Instant::now();
        for _ in 0..chunk {
            black_box(call());
        }
        took += start.elapsed();
        drop(local);
    }
    took
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--count") {
        let calls = arguments.get(at + 2).and_then(|calls| calls.parse().ok()).unwrap_or(10_000);
        return count(arguments.get(at + 1).map_or("plain", String::as_str), calls);
    }
    let mut c = Criterion::default().configure_from_args();
    no_sdk(&mut c);
    with_sdk(&mut c, "recorded", Sampler::ParentBased(Box::new(Sampler::AlwaysOn)));
    with_sdk(&mut c, "not sampled", Sampler::ParentBased(Box::new(Sampler::AlwaysOff)));
    c.final_summary();
}
