//! Runs `measure-pipeline` and `measure-service`: a process for each mode, in interleaved rounds.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use throughline_performance::calls::Mode;
use throughline_performance::collector::program;
use throughline_performance::rounds::median;

/// The output of a program: numbers by name.
#[derive(Debug, Clone)]
pub(crate) struct Said(BTreeMap<String, f64>);

impl Said {
    /// Reads each `name=value` of the output.
    pub(crate) fn parse(text: &str) -> Self {
        let pair = |word: &str| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Self(text.split_whitespace().filter_map(pair).collect())
    }

    pub(crate) fn get(&self, name: &str) -> f64 {
        *self.0.get(name).unwrap_or_else(|| panic!("the program prints `{name}`"))
    }
}

fn run(name: &str, mode: Mode, arguments: &[&str]) -> Said {
    let mut command = Command::new(program(name));
    command.arg(mode.name()).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().expect("the program has been built");
    assert!(output.status.success(), "{command:?} has failed");
    Said::parse(&String::from_utf8_lossy(&output.stdout))
}

/// Runs each of these programs in each round, and returns the median of each row.
fn rounds(
    question: &str,
    rounds: usize,
    programs: &[(&str, Mode, &[&str])],
    rows: &[&str],
) -> BTreeMap<(usize, String), f64> {
    let mut numbers: BTreeMap<(usize, String), Vec<f64>> = BTreeMap::new();
    for round in 0..rounds {
        for at in 0..programs.len() {
            let at = (at + round) % programs.len();
            let (name, mode, arguments) = programs[at];
            let said = run(name, mode, arguments);
            for &row in rows {
                numbers.entry((at, row.to_owned())).or_default().push(said.get(row));
            }
        }
        eprintln!("{question}: round {} of {rounds}", round + 1);
    }
    numbers.into_iter().map(|(at, mut numbers)| (at, median(&mut numbers))).collect()
}

fn line(question: &str, row: &str, mode: Mode, number: f64) {
    println!("{question}\t{row}\t{mode}\t{number:.1}");
}

/// CPU time per span: of the calling thread, and of all threads up to the end of the export. The queue is larger than
/// the SDK's 2,048, because `#[instrument]` would lose spans: the exporter's own spans would fill it.
pub(crate) fn pipeline(count: usize) {
    let programs = Mode::ALL.map(|mode| ("measure-pipeline", mode, &["20000", "--queue", "65536"] as &[&str]));
    for ((at, row), number) in rounds("pipeline", count, &programs, &["calling", "all", "bytes"]) {
        let mode = programs[at].1;
        match (row.as_str(), mode) {
            ("bytes", Mode::Plain) => {}
            ("bytes", _) => line("pipeline", "bytes", mode, number / 120_000.0),
            (row, _) => line("pipeline", row, mode, number),
        }
    }
}

/// CPU time of the calling thread for each child span of `#[instrument]`, with the layer of `tracing-opentelemetry`
/// and with ours, each the global subscriber of its process; and for one of `#[traced]`.
pub(crate) fn layer(count: usize) {
    const ROWS: [(&str, &[&str]); 4] = [
        ("sync", &["60000", "--leaf", "--burst", "300", "--queue", "65536"]),
        ("yields", &["60000", "--leaf", "--burst", "300", "--queue", "65536", "--yields"]),
        ("unsampled", &["60000", "--leaf", "--burst", "300", "--unsampled"]),
        ("unsampled_yields", &["60000", "--leaf", "--burst", "300", "--unsampled", "--yields"]),
    ];
    for (row, arguments) in ROWS {
        let programs = [Mode::Ours, Mode::Instrument, Mode::Layer].map(|mode| ("measure-pipeline", mode, arguments));
        for ((at, _), took) in rounds("layer", count, &programs, &["calling"]) {
            line("layer", row, programs[at].1, took);
        }
    }
}

/// Spans a second, from the first call until the collector has the last of them, all on one core, without a pause.
/// fastrace would lose most of them: its channel is bounded, and the bound cannot be set.
pub(crate) fn throughput(count: usize) {
    let arguments: &[&str] = &["30000", "--pause", "0", "--core", "0", "--queue", "1000000"];
    let programs = [Mode::Ours, Mode::ByHand, Mode::Instrument].map(|mode| ("measure-pipeline", mode, arguments));
    for ((at, _), took) in rounds("throughput", count, &programs, &["took"]) {
        line("throughput", "one_core", programs[at].1, 180_000.0 / took);
    }
}

/// Spans a second on one thread and on more, while the collector does not respond: the threads share the queue, and the
/// export thread has nothing to do. And the CPU time of a span on its thread, which does not include that the export
/// thread needs a core, too.
pub(crate) fn threads(count: usize) {
    const THREADS: [&str; 3] = ["1", "2", "4"];
    let arguments =
        THREADS.map(|threads| ["30000", "--pause", "0", "--hang", "--queue", "1000000", "--threads", threads]);
    let programs: Vec<_> = Mode::TRACED
        .into_iter()
        .flat_map(|mode| arguments.iter().map(move |arguments| ("measure-pipeline", mode, arguments.as_slice())))
        .collect();
    let mut worked = rounds("threads", count, &programs, &["worked", "calling"]);
    let mut said = |at: usize, row: &str| worked.remove(&(at, row.to_owned())).expect("each program prints both");
    for (nth, mode) in Mode::TRACED.into_iter().enumerate() {
        let first = nth * THREADS.len();
        let mut per_second = [0.0; THREADS.len()];
        for (at, threads) in THREADS.into_iter().enumerate() {
            let count: f64 = threads.parse().expect("a number");
            per_second[at] = count * 180_000.0 / said(first + at, "worked");
            line("threads", threads, mode, per_second[at]);
            line("threads", &format!("calling_{threads}"), mode, said(first + at, "calling"));
        }
        println!("threads\tscaling\t{mode}\t{:.3}", per_second[1] / per_second[0]);
    }
}

/// Resident memory for each queued span, with a collector that does not respond. The limit of the queue is four thirds
/// of the number of spans, because ours accepts no new traces above three quarters.
pub(crate) fn memory(count: usize) {
    let arguments: &[&str] = &["100000", "--pause", "0", "--hang", "--queue", "820000"];
    let programs = [Mode::Ours, Mode::ByHand, Mode::Instrument].map(|mode| ("measure-pipeline", mode, arguments));
    for ((at, _), bytes) in rounds("memory", count, &programs, &["memory"]) {
        line("memory", "waiting", programs[at].1, bytes);
    }
}

/// Requests a second of an axum service, and the CPU time of each, including export: with a handler that does nothing
/// else, and with one that works. Without fastrace, which loses spans at this rate: its channel is bounded.
pub(crate) fn service(count: usize) {
    let handlers: [(&str, &[&str]); 2] =
        [("", &["--seconds", "3"]), ("_working", &["--seconds", "3", "--work", "100"])];
    for (handler, arguments) in handlers {
        let modes = [Mode::Plain, Mode::Ours, Mode::ByHand, Mode::Instrument];
        let programs = modes.map(|mode| ("measure-service", mode, arguments));
        for ((at, row), number) in rounds("service", count, &programs, &["per_second", "cpu"]) {
            line("service", &format!("{row}{handler}"), programs[at].1, number);
        }
    }
}
