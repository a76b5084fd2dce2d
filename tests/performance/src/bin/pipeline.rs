//! `measure-pipeline MODE REQUESTS`: the program that is measured from outside.
//!
//! Requests of six nested spans, fifty at a time and then a pause, exported over gRPC to a collector in another process.
//! Prints one line of `name=value`, and fails if a span was lost.
//!
//! | option | |
//! |---|---|
//! | `--burst N` | this many requests at a time; 50 |
//! | `--pause N` | microseconds between them; 3000 |
//! | `--threads N` | this many threads, each with all requests; 1 |
//! | `--queue N` | the queue has room for this many spans |
//! | `--core N` | everything on this core, and the collector on the other |
//! | `--hang` | the collector never answers, and nothing is flushed |
//! | `--unsampled` | nothing is sampled |
//! | `--audit` | what is exported is audited; ours alone |
//! | `--leaf` | single spans below one that stays open, in place of requests; for `--unsampled` |
//! | `--async` | the spans of `--leaf` are of asynchronous functions |
//! | `--yields` | these yield three times |
//! | `--no-provider` | nothing is set up |
#![forbid(unsafe_code)]

use std::sync::Barrier;
use std::time::{Duration, Instant};

use throughline_performance::calls::{Mode, SPANS_PER_REQUEST};
use throughline_performance::clock;
use throughline_performance::collector::{Behaviour, Collector};
use throughline_performance::options::Options;
use throughline_performance::rounds::float;
use throughline_performance::stack::{Setup, Stack};

struct Work {
    mode: Mode,
    requests: u64,
    burst: u64,
    pause: Duration,
    leaf: bool,
    is_async: bool,
    yields: bool,
}

impl Work {
    /// Makes all requests, and returns the CPU time of the thread without the pauses.
    fn run(&self) -> Duration {
        if self.leaf { self.mode.below_root(|| self.bursts()) } else { self.bursts() }
    }

    fn bursts(&self) -> Duration {
        let mut took = Duration::ZERO;
        let mut left = self.requests;
        while left > 0 {
            let now = left.min(self.burst);
            left -= now;
            let start = clock::thread_cpu();
            for (order_no, _) in (0..).zip(0..now) {
                self.one(order_no);
            }
            took += clock::thread_cpu().saturating_sub(start);
            if !self.pause.is_zero() {
                std::thread::sleep(self.pause);
            }
        }
        took
    }

    fn one(&self, order_no: i64) {
        match (self.leaf, self.is_async) {
            (false, _) => self.mode.request("acme", order_no),
            (true, _) if self.yields => self.mode.leaf_yielding("acme", order_no),
            (true, false) => self.mode.leaf("acme", order_no),
            (true, true) => self.mode.leaf_async("acme", order_no),
        };
    }
}

fn main() {
    let options = Options::from_arguments();
    let mode: Mode =
        options.positional(0).expect("usage: MODE REQUESTS").parse().unwrap_or_else(|error| panic!("{error}"));
    let requests = options.positional(1).and_then(|number| number.parse().ok()).expect("usage: MODE REQUESTS");
    let threads = options.number("--threads").unwrap_or(1);
    let hang = options.flag("--hang");
    let setup = Setup {
        queue: options.number("--queue"),
        unsampled: options.flag("--unsampled"),
        audited: options.flag("--audit"),
    };
    let work = Work {
        mode,
        requests,
        burst: options.number("--burst").unwrap_or(50),
        pause: Duration::from_micros(options.number("--pause").unwrap_or(3000)),
        leaf: options.flag("--leaf"),
        is_async: options.flag("--async"),
        yields: options.flag("--yields"),
    };

    let core: Option<usize> = options.number("--core");
    let behaviour = if hang { Behaviour::Hang } else { Behaviour::Accept };
    let mut collector = Collector::start(behaviour, core.map(|core| 1 - core));
    if let Some(core) = core {
        clock::pin(core);
    }
    let modes: &[Mode] = if options.flag("--no-provider") { &[] } else { &[mode] };
    // Before the queue is created: some allocate it as a whole.
    let memory = clock::resident_memory();
    let stack = Stack::new(modes, &collector.endpoint(), &setup);

    let (cpu, start) = (clock::process_cpu(), Instant::now());
    let barrier = Barrier::new(threads);
    let calling = std::thread::scope(|scope| {
        let run = || {
            barrier.wait();
            work.run()
        };
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mine = run();
        others.into_iter().map(|other| other.join().expect("no thread panics")).sum::<Duration>() + mine
    });
    let worked = start.elapsed();
    let spans = requests * threads as u64 * if work.leaf { 1 } else { SPANS_PER_REQUEST };
    let per_span = |total: Duration| total.as_secs_f64() * 1e9 / float(spans);
    let memory = float(clock::resident_memory().saturating_sub(memory)) / float(spans);
    if !hang {
        stack.finish();
    }
    let (all, took) = (clock::process_cpu().saturating_sub(cpu), start.elapsed());
    let arrived = collector.arrived();
    println!(
        "mode={mode} spans={spans} calling={:.1} all={:.1} worked={:.6} took={:.6} memory={memory:.1} own={} others={} \
         bytes={} requests={}",
        per_span(calling),
        per_span(all),
        worked.as_secs_f64(),
        took.as_secs_f64(),
        arrived.own,
        arrived.others,
        arrived.bytes,
        arrived.requests,
    );
    let expected = !(hang || setup.unsampled || modes.is_empty() || mode == Mode::Plain);
    if expected && arrived.own != spans + u64::from(work.leaf) {
        eprintln!("{} of {spans} spans have arrived", arrived.own);
        std::process::exit(1);
    }
    drop(collector);
    // Does not wait for threads that hang.
    std::process::exit(0);
}
