//! The scenarios. Each prints what it counts, and checks the guarantees.

use std::env;
use std::fs;
use std::future::poll_fn;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _,
    TracerProvider as _,
};
use throughline::telemetry::{Builder, ExportStats, Protocol, Telemetry, Tracer};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::{Behaviour, EXPECTED, Remote, Tally};

/// The timeout of a shutdown that has many spans to export.
const LIMIT: Duration = Duration::from_secs(300);

/// The guarantees, and whether they hold.
#[derive(Debug, Default)]
pub struct Checks {
    violated: u32,
}

impl Checks {
    fn check(&mut self, what: &str, holds: bool) {
        println!("{} {what}", if holds { "holds:   " } else { "VIOLATED:" });
        self.violated += u32::from(!holds);
    }

    /// Whether all hold.
    pub fn hold(&self) -> bool {
        self.violated == 0
    }
}

fn row(name: &str, value: impl std::fmt::Display) {
    println!("{name:<44} {value:>12}");
}

fn program() -> PathBuf {
    env::current_exe().expect("this program has a path")
}

fn collector() -> Remote {
    Remote::start(&program()).expect("this program starts as a collector")
}

fn builder(collector: &Remote) -> Builder {
    throughline::telemetry::builder().variables(|_| None).collector(collector.endpoint(), Protocol::Grpc)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

fn span(name: &'static str, expected: i64) -> throughline::SpanBuilder {
    throughline::span(name).tag(EXPECTED, expected)
}

/// A trace of `spans` spans, three levels deep, that yields to others in between.
async fn request(spans: i64) {
    let work = async move {
        for n in 1..spans {
            let step = async { tokio::task::yield_now().await };
            if n % 3 == 0 {
                span("step", spans).run_async(step).await;
            } else {
                step.await;
                span("query", spans).run(|| {});
            }
        }
    };
    span("request", spans).root().run_async(work).await;
}

/// Requests of one to twenty spans, 64 concurrently, with a pause after each, until there were `spans` spans. Returns
/// the number of traces and spans.
fn load(runtime: &Runtime, spans: u64, pause: Duration) -> (u64, u64) {
    const CONCURRENCY: u64 = 64;
    let begun = Arc::new(AtomicU64::new(0));
    let traces = Arc::new(AtomicU64::new(0));
    runtime.block_on(async {
        let tasks: Vec<_> = (0..CONCURRENCY)
            .map(|task| {
                let (begun, traces) = (Arc::clone(&begun), Arc::clone(&traces));
                tokio::spawn(async move {
                    let mut size = task;
                    while begun.load(Ordering::Relaxed) < spans {
                        size = (size * 7 + 3) % 20;
                        begun.fetch_add(size + 1, Ordering::Relaxed);
                        traces.fetch_add(1, Ordering::Relaxed);
                        request(i64::try_from(size).expect("small") + 1).await;
                        if !pause.is_zero() {
                            tokio::time::sleep(pause).await;
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
    (traces.load(Ordering::Relaxed), begun.load(Ordering::Relaxed))
}

fn print(tally: &Tally) {
    row("traces that arrived", tally.traces);
    row("  of them complete", tally.complete);
    row("spans that arrived", tally.spans);
    row("  duplicates", tally.duplicates);
}

fn shut_down(runtime: &Runtime, telemetry: Telemetry) -> throughline::telemetry::ShutdownReport {
    runtime.block_on(telemetry.shutdown(LIMIT))
}

/// Spans through a queue that is too small: every trace that arrives is complete.
pub fn shed(spans: u64, checks: &mut Checks) {
    println!("shed: a queue that is too small, 64 concurrent traces of 1 to 20 spans");
    // In the first run the quarter that is reserved for traces that have started is enough. In the others it is not,
    // and traces are evicted; in the last there is hardly room for any.
    let pause = Duration::from_millis(1);
    shed_by(4_096, spans, pause, checks);
    shed_by(256, spans, pause, checks);
    shed_by(256, spans, Duration::ZERO, checks);
}

fn shed_by(queue: usize, spans: u64, pause: Duration, checks: &mut Checks) {
    let mut collector = collector();
    // Otherwise the exporter may keep up.
    collector.set(Behaviour::Slow(Duration::from_millis(5))).expect("it runs");
    let telemetry = builder(&collector).max_queue_size(queue).init().expect("it is valid");
    let runtime = runtime();
    let begun = Instant::now();
    let (traces, spans) = load(&runtime, spans, pause);
    let took = begun.elapsed();
    let provider = telemetry.provider().expect("it is enabled").clone();
    provider.force_flush().expect("it succeeds within its timeout");
    let stats = telemetry.export_stats();
    let report = shut_down(&runtime, telemetry);
    let tally = collector.tally().expect("its file is there");

    let pause = if pause.is_zero() { "no pause" } else { "a pause of 1 ms" };
    println!("\nqueue limit {queue}, {pause} between requests: {spans} spans in {:.1} s", took.as_secs_f64());
    row("traces requested", traces);
    row("traces not started", stats.traces_not_started);
    row("traces evicted", stats.traces_evicted);
    row("spans of evicted traces", stats.spans_evicted);
    row("spans dropped", stats.spans_dropped);
    row("spans exported", stats.exported);
    print(&tally);
    println!();
    checks.check("every trace that arrives is complete", tally.complete == tally.traces && tally.traces > 0);
    checks.check("the queue was too small", stats.traces_not_started > 0);
    checks.check(
        "arrived + not started + evicted = requested",
        tally.traces + stats.traces_not_started + stats.traces_evicted == traces,
    );
    checks.check("what was exported has arrived", stats.exported == tally.spans && tally.duplicates == 0);
    checks.check(
        "nothing is dropped or left behind",
        report.stats.spans_dropped == 0 && report.stats.spans_unsent() == 0,
    );
}

/// Every span is counted once, at any moment, whatever the collector does.
///
/// # Panics
///
/// If the collector cannot be started.
pub fn counts(spans: u64, checks: &mut Checks) {
    const SPANS_PER_TRACE: u64 = 5;
    const ROUNDS: u64 = 8;
    const BEHAVIOURS: [Behaviour; 4] =
        [Behaviour::Accept, Behaviour::Reject, Behaviour::Slow(Duration::from_millis(20)), Behaviour::Unavailable];
    let mut collector = collector();
    let telemetry = builder(&collector).max_queue_size(1_024).init().expect("it is valid");
    let runtime = runtime();
    let traces = spans / SPANS_PER_TRACE / ROUNDS;
    let settled = |stats: &ExportStats| {
        let waiting = stats.queued + stats.in_flight;
        waiting + stats.exported + stats.refused + stats.spans_evicted + stats.spans_dropped + stats.left_behind
    };
    let (mut samples, mut wrong, mut most) = (0, 0, 0);
    for round in 0..ROUNDS {
        let behaviour = BEHAVIOURS[usize::try_from(round).unwrap_or_default() % BEHAVIOURS.len()];
        collector.set(behaviour).expect("it runs");
        let load = runtime.spawn(async move {
            for trace in 0..traces {
                request(i64::try_from(SPANS_PER_TRACE).expect("small")).await;
                // Not so fast that there is room for nothing.
                if trace % 20 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        });
        let (begun, refused) = (Instant::now(), telemetry.export_stats().refused);
        loop {
            // However slow this machine is, something is to be refused.
            let waits = behaviour == Behaviour::Reject && telemetry.export_stats().refused == refused;
            if load.is_finished() && (!waits || begun.elapsed() > LIMIT) {
                break;
            }
            let stats = telemetry.export_stats();
            samples += 1;
            wrong += u64::from(stats.finished != settled(&stats));
            most = most.max(stats.queued + stats.in_flight);
            thread::sleep(Duration::from_micros(100));
        }
        runtime.block_on(load).expect("no panic");
    }
    collector.set(Behaviour::Accept).expect("it runs");
    telemetry.provider().expect("it is enabled").force_flush().expect("it succeeds within its timeout");
    let stats = telemetry.export_stats();
    let asked_for = traces * ROUNDS * SPANS_PER_TRACE;
    let waiting = telemetry.queue_len();
    let report = shut_down(&runtime, telemetry);
    let tally = collector.tally().expect("its file is there");
    println!("counts: a collector with changing behaviour, and a queue limit of 1,024\n");
    row("spans requested", asked_for);
    row("spans exported", stats.exported);
    row("spans refused", stats.refused);
    row("spans of evicted traces", stats.spans_evicted);
    row("spans dropped", stats.spans_dropped);
    row("spans of traces not started", stats.traces_not_started * SPANS_PER_TRACE);
    row("most spans queued or in flight", most);
    row("samples of the stats", samples);
    println!();
    checks.check("in every sample each span is counted once", wrong == 0 && samples > 0);
    checks.check("no more than the queue limit are queued or in flight", most <= 1_024);
    checks.check("nothing is queued in the end", waiting == 0 && stats.queued + stats.in_flight == 0);
    checks.check(
        "requested = exported + lost, by kind",
        asked_for == settled(&stats) + stats.traces_not_started * SPANS_PER_TRACE,
    );
    checks.check("what was exported has arrived", stats.exported == tally.spans);
    checks.check("something was lost", stats.refused > 0 && stats.traces_not_started > 0);
    let told = (report.stats.exported, report.stats.refused, report.stats.traces_shed(), report.stats.spans_dropped);
    let expected =
        (stats.exported, stats.refused, stats.traces_not_started + stats.traces_evicted, stats.spans_dropped);
    checks.check("the report says the same", told == expected && !report.is_complete());
}

/// The collector is killed under load, and restarted after `seconds`.
pub fn outage(seconds: u64, checks: &mut Checks) {
    let down = Duration::from_secs(seconds);
    println!("outage: killed and restarted after {seconds} s, 1,000 traces of 3 spans a second\n");
    println!("with the default queue limit of 131,072 spans");
    one_outage(131_072, down, true, checks);
    println!("\nwith a queue limit of 1,000 spans");
    one_outage(1_000, down, false, checks);
}

fn one_outage(queue: usize, down: Duration, enough: bool, checks: &mut Checks) {
    let mut collector = collector();
    let telemetry = builder(&collector).max_queue_size(queue).init().expect("it is valid");
    let runtime = runtime();
    let mut traces = 0;
    let around = (down / 6).max(Duration::from_millis(500));

    steady(&runtime, around, &mut traces);
    collector.kill();
    row("traces before the outage", traces);
    row("spans that had arrived", collector.spans());
    steady(&runtime, down, &mut traces);
    row("traces until the restart", traces);
    row("spans queued or in flight", telemetry.queue_len());
    collector.begin().expect("its port is reserved");
    steady(&runtime, around, &mut traces);
    let stats = telemetry.export_stats();
    let report = shut_down(&runtime, telemetry);
    let tally = collector.tally().expect("its file is there");
    row("traces requested", traces);
    row("traces not started", stats.traces_not_started);
    row("traces evicted", stats.traces_evicted);
    print(&tally);
    println!();
    checks.check(
        "every trace that arrives is complete",
        tally.complete == tally.traces && report.stats.spans_unsent() == 0,
    );
    let accounted = tally.traces + stats.traces_not_started + stats.traces_evicted;
    checks.check("arrived + not started + evicted = requested", accounted == traces);
    if enough {
        checks.check("nothing is lost", tally.traces == traces);
    } else {
        checks.check("the queue was too small", tally.traces < traces);
    }
}

/// A thousand traces per second.
fn steady(runtime: &Runtime, time: Duration, traces: &mut u64) {
    runtime.block_on(async {
        let begun = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while begun.elapsed() < time {
            ticks.tick().await;
            for _ in 0..10 {
                request(3).await;
            }
            *traces += 10;
        }
    });
}

/// Detached jobs are running when the shutdown begins.
///
/// # Panics
///
/// If the collector cannot be started.
pub fn jobs(count: u64, checks: &mut Checks) {
    const JOBS_PER_REQUEST: u64 = 100;
    let requests = count / JOBS_PER_REQUEST;
    let collector = collector();
    let telemetry = builder(&collector).init().expect("it is valid");
    let runtime = runtime();
    let (report, took) = runtime.block_on(async {
        let (go, goes) = watch::channel(false);
        let spans = i64::try_from(JOBS_PER_REQUEST).expect("small") + 1;
        for _ in 0..requests {
            span("request", spans).root().run(|| {
                for _ in 0..JOBS_PER_REQUEST {
                    let mut goes = goes.clone();
                    drop(span("job", spans).spawn(async move {
                        let _ = goes.wait_for(|go| *go).await;
                    }));
                }
            });
        }
        let begun = Instant::now();
        let mut ending = pin!(telemetry.shutdown(LIMIT));
        // It has begun when it is polled.
        assert!(poll_fn(|cx| Poll::Ready(ending.as_mut().poll(cx).is_pending())).await, "the jobs run");
        go.send(true).expect("the jobs wait");
        (ending.await, begun.elapsed())
    });
    let tally = collector.tally().expect("its file is there");
    println!("jobs: {} running when the shutdown begins\n", requests * JOBS_PER_REQUEST);
    row("jobs waited for", report.jobs);
    row("jobs still running", report.jobs_left);
    row("spans left behind", report.stats.spans_unsent());
    row("duration, s", format!("{:.1}", took.as_secs_f64()));
    print(&tally);
    println!();
    checks.check("all were running", report.jobs as u64 == requests * JOBS_PER_REQUEST);
    checks.check("nothing is lost", tally.spans == requests * (JOBS_PER_REQUEST + 1) && report.is_complete());
    checks.check("every trace is complete", tally.complete == requests);
}

/// Resident memory, in megabytes.
fn resident() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    pages * 4_096.0 / 1e6
}

/// Many spans, without memory growing.
pub fn memory(spans: u64, checks: &mut Checks) {
    println!("memory: {spans} spans\n\nthe collector keeps up: all spans are exported");
    memory_under(spans, false, checks);
    println!("\nthe collector takes 0.2 s per response: the queue is full, and traces are shed");
    memory_under(spans, true, checks);
}

fn memory_under(spans: u64, overload: bool, checks: &mut Checks) {
    const STEPS: u64 = 10;
    let mut collector = Remote::start_without_storage(&program()).expect("this program starts as a collector");
    if overload {
        collector.set(Behaviour::Slow(Duration::from_millis(200))).expect("it runs");
    }
    // Of the default size, unless there are too few spans to fill it.
    let queue = usize::try_from(spans / 50).unwrap_or(usize::MAX).min(131_072);
    let telemetry = builder(&collector).max_queue_size(queue).init().expect("it is valid");
    let runtime = runtime();
    println!("{:>12} {:>12} {:>12} {:>14}", "spans", "exported", "queued", "resident MB");
    let (mut all, mut sizes) = (0, Vec::new());
    for _ in 0..STEPS {
        let goal = all + spans / STEPS;
        while all < goal {
            all += load(&runtime, (goal - all).min(spans / 2_000), Duration::ZERO).1;
            while !overload && telemetry.queue_len() > (queue / 13).max(1_024) {
                thread::sleep(Duration::from_micros(200));
            }
        }
        sizes.push(resident());
        println!(
            "{all:>12} {:>12} {:>12} {:>14.1}",
            telemetry.export_stats().exported,
            telemetry.queue_len(),
            resident()
        );
    }
    let stats = telemetry.export_stats();
    let half = &sizes[sizes.len() / 2..];
    let (least, most) = half.iter().fold((f64::MAX, 0f64), |(least, most), size| (least.min(*size), most.max(*size)));
    row("range in the second half, MB", format!("{:.1}", most - least));
    checks.check("the second half is within 5 % and 5 MB", most - least <= most * 0.05 + 5.0);
    if overload {
        checks.check("the queue was full", stats.traces_not_started > 0);
        drop(runtime.block_on(telemetry.shutdown(Duration::from_millis(100))));
    } else {
        let report = shut_down(&runtime, telemetry);
        checks.check("all were exported", stats.traces_not_started == 0 && report.is_complete());
    }
}

/// The duration of a request, by the behaviour of the collector.
///
/// # Panics
///
/// If a collector cannot be started.
pub fn latency(requests: u64, checks: &mut Checks) {
    const ROUNDS: u64 = 5;
    const KINDS: [(&str, Behaviour, usize); 5] = [
        ("healthy", Behaviour::Accept, 131_072),
        ("slow, 1 s per response", Behaviour::Slow(Duration::from_secs(1)), 131_072),
        ("unavailable", Behaviour::Unavailable, 131_072),
        ("half-open", Behaviour::HalfOpen, 131_072),
        ("unavailable, queue full", Behaviour::Unavailable, 1_000),
    ];
    println!("latency: {requests} requests of 10 spans per collector, in {ROUNDS} alternating rounds\n");
    let runtime = runtime();
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); KINDS.len()];
    for _ in 0..ROUNDS {
        for ((_, behaviour, queue), times) in KINDS.iter().zip(&mut times) {
            let mut collector = Remote::start_without_storage(&program()).expect("this program starts as a collector");
            collector.set(*behaviour).expect("it runs");
            let telemetry = builder(&collector).max_queue_size(*queue).init().expect("it is valid");
            // The first requests spawn threads and open connections.
            runtime.block_on(async {
                for _ in 0..200 {
                    request(10).await;
                }
                for _ in 0..requests / ROUNDS {
                    let begun = Instant::now();
                    request(10).await;
                    times.push(begun.elapsed());
                }
                drop(telemetry.shutdown(Duration::from_millis(50)).await);
            });
        }
    }
    println!("{:<24} {:>9} {:>9} {:>9} {:>9} {:>9}  µs", "collector", "p50", "p90", "p99", "p99.9", "max");
    let mut table = Vec::new();
    for ((name, ..), times) in KINDS.iter().zip(&mut times) {
        times.sort_unstable();
        let at = |per_mille: usize| {
            let at = (times.len() * per_mille / 1_000).min(times.len() - 1);
            times[at].as_secs_f64() * 1e6
        };
        let row = [at(500), at(900), at(990), at(999), at(1_000)];
        println!("{name:<24} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1}", row[0], row[1], row[2], row[3], row[4]);
        table.push(row);
    }
    println!();
    for ((name, ..), row) in KINDS.iter().zip(&table) {
        // The durations are not compared, because other processes influence them: a request takes microseconds, and
        // one that waited for such a collector would take a second or more.
        let holds = row[1] < 100_000.0;
        checks.check(&format!("{name}: requests do not wait for it"), holds);
    }
}

/// How long the end of a span takes when the collector is away and the queue is full.
///
/// # Panics
///
/// If the collector cannot be started.
pub fn worst(ends: u64, checks: &mut Checks) {
    println!("worst: the end of a span with the collector away and the queue full; times in microseconds");
    worst_of(131_072, ends, checks);
    worst_of(1_000_000, ends, checks);
}

fn worst_of(queue: usize, ends: u64, checks: &mut Checks) {
    const EXPORTED: u64 = 512;
    let mut collector = Remote::start_without_storage(&program()).expect("this program starts as a collector");
    // Spans are small, and the limit in bytes is not to be reached.
    let telemetry = builder(&collector).max_queue_size(queue).init().expect("it is valid");
    let provider = telemetry.provider().expect("it is enabled").clone();
    let tracer = provider.tracer("load");
    // Every trace id is chosen by the caller. These traces are exported in part, so that the rest has to follow.
    for n in 0..EXPORTED {
        end(&tracer, u128::from(n) + 1);
    }
    provider.force_flush().expect("it succeeds within its timeout");
    collector.kill();

    let mut times = Times::default();
    // Until the queue is full, no trace is evicted. Then each of its spans evicts something: itself, or, if it has to
    // follow, one that was held. In the end all that is queued has to follow, and spans are dropped.
    for n in 0..ends {
        let has_to_follow = n % 8 == 0 && n > ends / 4;
        let trace = if has_to_follow { 1 + n / 8 % EXPORTED } else { EXPORTED + 1 + n };
        // Ids that differ in their highest bits only.
        let trace = if has_to_follow { u128::from(trace) } else { u128::from(trace) << 64 };
        times.add(end(&tracer, trace));
    }
    times.finish();
    let stats = telemetry.export_stats();
    println!("\nqueue limit {queue}, {ends} ends");
    row("spans queued or in flight", stats.queued + stats.in_flight);
    row("traces evicted", stats.traces_evicted);
    row("spans dropped", stats.spans_dropped);
    for (name, per_million) in [("median", 500_000), ("99.9 %", 999_000), ("99.999 %", 999_990)] {
        row(name, format!("{:.1}", times.quantile(per_million)));
    }
    row("worst, the time off the processor included", format!("{:.1}", times.worst.as_secs_f64() * 1e6));
    row("worst", format!("{:.1}", times.worst_running.as_secs_f64() * 1e6));
    println!();
    let is_full = ends > 2 * queue as u64;
    checks.check("the queue was full", !is_full || stats.traces_evicted > 0);
    checks.check("the worst end takes less than a millisecond", times.worst_running < Duration::from_millis(1));
    drop(runtime().block_on(telemetry.shutdown(Duration::from_millis(100))));
}

/// Ends a span with five attributes below a local span of another trace, which no sampler is asked about. Returns how
/// long the end took.
fn end(tracer: &Tracer, trace: u128) -> Duration {
    let parent = SpanContext::new(TraceId::from(trace), SpanId::from(1), TraceFlags::SAMPLED, false, TraceState::NONE);
    let mut span = tracer.build_with_context(
        tracer.span_builder("end"),
        &opentelemetry::Context::new().with_remote_span_context(parent),
    );
    for key in ["order.id", "customer.id", "region", "attempt", "amount"] {
        span.set_attribute(KeyValue::new(key, 12_345));
    }
    let begun = Instant::now();
    span.end();
    begun.elapsed()
}

/// Durations, and what of the longest was spent waiting for a processor: another process may have had it.
#[derive(Default)]
struct Times {
    /// By whole tenths of a microsecond, up to a millisecond.
    histogram: Vec<u64>,
    count: u64,
    worst: Duration,
    worst_running: Duration,
    /// Of the few since the waiting time was read.
    recent: Vec<Duration>,
    waited: Duration,
}

impl Times {
    const RECENT: usize = 64;

    fn add(&mut self, time: Duration) {
        self.histogram.resize(10_000, 0);
        let at = usize::try_from(time.as_nanos() / 100).unwrap_or(usize::MAX).min(self.histogram.len() - 1);
        self.histogram[at] += 1;
        self.count += 1;
        self.worst = self.worst.max(time);
        self.recent.push(time);
        if self.recent.len() == Self::RECENT {
            self.finish();
        }
    }

    /// Which of the few recent spans waited is not known, so it is taken from each: that matters only if one is long.
    fn finish(&mut self) {
        let waited = waited();
        let off = waited.saturating_sub(std::mem::replace(&mut self.waited, waited));
        for time in self.recent.drain(..) {
            self.worst_running = self.worst_running.max(time.saturating_sub(off));
        }
    }

    fn quantile(&self, per_million: u64) -> f64 {
        let mut left = self.count * per_million / 1_000_000;
        let at = self.histogram.iter().position(|count| {
            let is_there = left <= *count;
            left = left.saturating_sub(*count);
            is_there
        });
        #[expect(clippy::cast_precision_loss, reason = "there are ten thousand")]
        let tenths = at.unwrap_or_default() as f64;
        tenths / 10.0
    }
}

/// How long this thread has waited for a processor (`/proc`, file `schedstat`). Zero where that is not known.
fn waited() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}
