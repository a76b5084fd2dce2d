//! The scenarios. Each prints what it counts, and checks what is promised.

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

use throughline::telemetry::{Builder, ExportStats, Protocol, Telemetry};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::{Behaviour, EXPECTED, Remote, Tally};

/// How long a shutdown may take that has much to send.
const LIMIT: Duration = Duration::from_secs(300);

/// What is promised, and whether it holds.
#[derive(Debug, Default)]
pub struct Checks {
    broken: u32,
}

impl Checks {
    fn check(&mut self, what: &str, holds: bool) {
        println!("{} {what}", if holds { "holds:  " } else { "BROKEN: " });
        self.broken += u32::from(!holds);
    }

    /// Whether all hold.
    pub fn hold(&self) -> bool {
        self.broken == 0
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

/// A trace of `spans` spans, three deep, that lets others run in between.
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

/// Requests of one to twenty spans, 64 at a time, with a pause after each, until there
/// were `spans` spans. Gives how many traces and spans there were.
fn load(runtime: &Runtime, spans: u64, pause: Duration) -> (u64, u64) {
    const AT_A_TIME: u64 = 64;
    let begun = Arc::new(AtomicU64::new(0));
    let traces = Arc::new(AtomicU64::new(0));
    runtime.block_on(async {
        let tasks: Vec<_> = (0..AT_A_TIME)
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
    row("  of them twice", tally.duplicates);
}

fn shut_down(runtime: &Runtime, telemetry: Telemetry) -> throughline::telemetry::ShutdownReport {
    runtime.block_on(telemetry.shutdown(LIMIT))
}

/// Spans through a queue that is too small: every trace that arrives is complete.
pub fn shed(spans: u64, checks: &mut Checks) {
    println!("shed: a queue that is too small, 64 traces of 1 to 20 spans at a time");
    // In the first the quarter that is kept for traces under way is enough. In the others it is not,
    // and traces have to be thrown out again; in the last hardly anything has a place.
    let pause = Duration::from_millis(1);
    shed_by(4_096, spans, pause, checks);
    shed_by(256, spans, pause, checks);
    shed_by(256, spans, Duration::ZERO, checks);
}

fn shed_by(queue: usize, spans: u64, pause: Duration, checks: &mut Checks) {
    let collector = collector();
    let telemetry = builder(&collector).max_queue_size(queue).init().expect("it is valid");
    let runtime = runtime();
    let begun = Instant::now();
    let (traces, spans) = load(&runtime, spans, pause);
    let took = begun.elapsed();
    let provider = telemetry.provider().expect("it is enabled").clone();
    provider.force_flush().expect("half a minute is enough");
    let stats = telemetry.export_stats();
    let report = shut_down(&runtime, telemetry);
    let tally = collector.tally().expect("its file is there");

    let pause = if pause.is_zero() { "no pause" } else { "a pause of 1 ms" };
    println!("\na queue for {queue}, {pause} between requests: {spans} spans in {:.1} s", took.as_secs_f64());
    row("traces asked for", traces);
    row("traces not begun", stats.traces_not_started);
    row("traces evicted", stats.traces_evicted);
    row("spans of those", stats.spans_evicted);
    row("spans dropped", stats.spans_dropped);
    row("spans exported", stats.exported);
    print(&tally);
    println!();
    checks.check("every trace that arrives is complete", tally.complete == tally.traces && tally.traces > 0);
    checks.check("the queue was too small", stats.traces_not_started > 0);
    checks.check(
        "arrived + not begun + evicted = asked for",
        tally.traces + stats.traces_not_started + stats.traces_evicted == traces,
    );
    checks.check("what was exported has arrived", stats.exported == tally.spans && tally.duplicates == 0);
    checks.check("nothing is dropped or left", report.stats.spans_dropped == 0 && report.stats.spans_unsent() == 0);
}

/// Every span is counted once, at every moment, whatever the collector does meanwhile.
///
/// # Panics
///
/// If the collector cannot be started.
pub fn counts(spans: u64, checks: &mut Checks) {
    const IN_A_TRACE: u64 = 5;
    const ROUNDS: u64 = 8;
    const BEHAVIOURS: [Behaviour; 4] =
        [Behaviour::Take, Behaviour::RefuseForGood, Behaviour::Slow(Duration::from_millis(20)), Behaviour::Refuse];
    let mut collector = collector();
    let telemetry = builder(&collector).max_queue_size(1_024).init().expect("it is valid");
    let runtime = runtime();
    let traces = spans / IN_A_TRACE / ROUNDS;
    let settled = |stats: &ExportStats| {
        let waiting = stats.queued + stats.in_flight;
        waiting + stats.exported + stats.refused + stats.spans_evicted + stats.spans_dropped + stats.left_behind
    };
    let (mut looks, mut wrong, mut most) = (0, 0, 0);
    for round in 0..ROUNDS {
        let behaviour = BEHAVIOURS[usize::try_from(round).unwrap_or_default() % BEHAVIOURS.len()];
        collector.set(behaviour).expect("it runs");
        let load = runtime.spawn(async move {
            for trace in 0..traces {
                request(i64::try_from(IN_A_TRACE).expect("small")).await;
                // Not so fast that nothing finds a place.
                if trace % 20 == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        });
        let (begun, refused) = (Instant::now(), telemetry.export_stats().refused);
        loop {
            // However slow this machine is, there is something to refuse.
            let waits = behaviour == Behaviour::RefuseForGood && telemetry.export_stats().refused == refused;
            if load.is_finished() && (!waits || begun.elapsed() > LIMIT) {
                break;
            }
            let stats = telemetry.export_stats();
            looks += 1;
            wrong += u64::from(stats.finished != settled(&stats));
            most = most.max(stats.queued + stats.in_flight);
            thread::sleep(Duration::from_micros(100));
        }
        runtime.block_on(load).expect("no panic");
    }
    collector.set(Behaviour::Take).expect("it runs");
    telemetry.provider().expect("it is enabled").force_flush().expect("half a minute is enough");
    let stats = telemetry.export_stats();
    let asked_for = traces * ROUNDS * IN_A_TRACE;
    let waiting = telemetry.queue_len();
    let report = shut_down(&runtime, telemetry);
    let tally = collector.tally().expect("its file is there");
    println!("counts: a collector that changes its mind, and a queue for 1,024\n");
    row("spans asked for", asked_for);
    row("spans exported", stats.exported);
    row("spans refused", stats.refused);
    row("spans of traces evicted", stats.spans_evicted);
    row("spans dropped", stats.spans_dropped);
    row("spans of traces not begun", stats.traces_not_started * IN_A_TRACE);
    row("most spans waiting", most);
    row("looks at the counts", looks);
    println!();
    checks.check("at every look each span is counted once", wrong == 0 && looks > 0);
    checks.check("no more wait than the queue holds", most <= 1_024);
    checks.check("nothing waits in the end", waiting == 0 && stats.queued + stats.in_flight == 0);
    checks.check(
        "asked for = exported + lost by kind",
        asked_for == settled(&stats) + stats.traces_not_started * IN_A_TRACE,
    );
    checks.check("what was exported has arrived", stats.exported == tally.spans);
    checks.check("there was something to lose", stats.refused > 0 && stats.traces_not_started > 0);
    let told = (report.stats.exported, report.stats.refused, report.stats.traces_shed(), report.stats.spans_dropped);
    let expected =
        (stats.exported, stats.refused, stats.traces_not_started + stats.traces_evicted, stats.spans_dropped);
    checks.check("the report says so", told == expected && !report.is_complete());
}

/// The collector is killed under load, and started again after `seconds`.
pub fn outage(seconds: u64, checks: &mut Checks) {
    let down = Duration::from_secs(seconds);
    println!("outage: killed and started again after {seconds} s, 1,000 traces of 3 spans a second\n");
    println!("with the default queue of 131,072 spans");
    one_outage(131_072, down, true, checks);
    println!("\nwith a queue for 1,000 spans");
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
    row("traces until its end", traces);
    row("spans that wait", telemetry.queue_len());
    collector.begin().expect("its port is reserved");
    steady(&runtime, around, &mut traces);
    let stats = telemetry.export_stats();
    let report = shut_down(&runtime, telemetry);
    let tally = collector.tally().expect("its file is there");
    row("traces asked for", traces);
    row("traces not begun", stats.traces_not_started);
    row("traces evicted", stats.traces_evicted);
    print(&tally);
    println!();
    checks.check(
        "every trace that arrives is complete",
        tally.complete == tally.traces && report.stats.spans_unsent() == 0,
    );
    let accounted = tally.traces + stats.traces_not_started + stats.traces_evicted;
    checks.check("arrived + not begun + evicted = asked for", accounted == traces);
    if enough {
        checks.check("nothing is lost", tally.traces == traces);
    } else {
        checks.check("the queue was too small", tally.traces < traces);
    }
}

/// A thousand traces a second.
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

/// Detached jobs are in flight when the shutdown begins.
///
/// # Panics
///
/// If the collector cannot be started.
pub fn jobs(count: u64, checks: &mut Checks) {
    const IN_A_REQUEST: u64 = 100;
    let requests = count / IN_A_REQUEST;
    let collector = collector();
    let telemetry = builder(&collector).init().expect("it is valid");
    let runtime = runtime();
    let (report, took) = runtime.block_on(async {
        let (go, goes) = watch::channel(false);
        let spans = i64::try_from(IN_A_REQUEST).expect("small") + 1;
        for _ in 0..requests {
            span("request", spans).root().run(|| {
                for _ in 0..IN_A_REQUEST {
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
    println!("jobs: {} in flight when the shutdown begins\n", requests * IN_A_REQUEST);
    row("jobs waited for", report.jobs);
    row("jobs left", report.jobs_left);
    row("spans left", report.stats.spans_unsent());
    row("seconds it took", format!("{:.1}", took.as_secs_f64()));
    print(&tally);
    println!();
    checks.check("all were in flight", report.jobs as u64 == requests * IN_A_REQUEST);
    checks.check("none is lost", tally.spans == requests * (IN_A_REQUEST + 1) && report.is_complete());
    checks.check("every trace is complete", tally.complete == requests);
}

/// Resident memory, in megabytes.
fn resident() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    pages * 4_096.0 / 1e6
}

/// Many spans, and no more memory than at first.
pub fn memory(spans: u64, checks: &mut Checks) {
    println!("memory: {spans} spans\n\nthe collector keeps up: all are recorded and sent");
    memory_under(spans, false, checks);
    println!("\nthe collector takes a fifth of a second for an answer: the queue is full, and traces are shed");
    memory_under(spans, true, checks);
}

fn memory_under(spans: u64, overload: bool, checks: &mut Checks) {
    const STEPS: u64 = 10;
    let mut collector = Remote::start_forgetful(&program()).expect("this program starts as a collector");
    if overload {
        collector.set(Behaviour::Slow(Duration::from_millis(200))).expect("it runs");
    }
    // Of the default size, unless there are too few spans to fill it.
    let queue = usize::try_from(spans / 50).unwrap_or(usize::MAX).min(131_072);
    let telemetry = builder(&collector).max_queue_size(queue).init().expect("it is valid");
    let runtime = runtime();
    println!("{:>12} {:>12} {:>12} {:>14}", "spans", "exported", "waiting", "resident MB");
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
    row("band of the last half, MB", format!("{:.1}", most - least));
    checks.check("the last half is within 5 % and 5 MB", most - least <= most * 0.05 + 5.0);
    if overload {
        checks.check("the queue was full", stats.traces_not_started > 0);
        drop(runtime.block_on(telemetry.shutdown(Duration::from_millis(100))));
    } else {
        let report = shut_down(&runtime, telemetry);
        checks.check("all were recorded and sent", stats.traces_not_started == 0 && report.is_complete());
    }
}

/// What a request takes, with each kind of collector.
///
/// # Panics
///
/// If a collector cannot be started.
pub fn latency(requests: u64, checks: &mut Checks) {
    const ROUNDS: u64 = 5;
    const KINDS: [(&str, Behaviour, usize); 5] = [
        ("healthy", Behaviour::Take, 131_072),
        ("slow, 1 s an answer", Behaviour::Slow(Duration::from_secs(1)), 131_072),
        ("refusing", Behaviour::Refuse, 131_072),
        ("half-open", Behaviour::HalfOpen, 131_072),
        ("refusing, queue full", Behaviour::Refuse, 1_000),
    ];
    println!("latency: {requests} requests of 10 spans for each collector, in {ROUNDS} rounds that take turns\n");
    let runtime = runtime();
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); KINDS.len()];
    for _ in 0..ROUNDS {
        for ((_, behaviour, queue), times) in KINDS.iter().zip(&mut times) {
            let mut collector = Remote::start_forgetful(&program()).expect("this program starts as a collector");
            collector.set(*behaviour).expect("it runs");
            let telemetry = builder(&collector).max_queue_size(*queue).init().expect("it is valid");
            // The first requests start threads and connections.
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
    println!("{:<22} {:>9} {:>9} {:>9} {:>9} {:>9}  µs", "collector", "p50", "p90", "p99", "p99.9", "max");
    let mut table = Vec::new();
    for ((name, ..), times) in KINDS.iter().zip(&mut times) {
        times.sort_unstable();
        let at = |per_mille: usize| {
            let at = (times.len() * per_mille / 1_000).min(times.len() - 1);
            times[at].as_secs_f64() * 1e6
        };
        let row = [at(500), at(900), at(990), at(999), at(1_000)];
        println!("{name:<22} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1}", row[0], row[1], row[2], row[3], row[4]);
        table.push(row);
    }
    println!();
    for ((name, ..), row) in KINDS.iter().zip(&table) {
        // No comparison of times, which another program could spoil: a request takes microseconds, and
        // one that waited for such a collector would take a second, or for ever.
        let holds = row[1] < 100_000.0;
        checks.check(&format!("{name}: requests do not wait for it"), holds);
    }
}
