//! Interleaved rounds in one process, and the median of each variant.
//!
//! A temporary load on the machine affects all variants, and hardly changes the ratio of two medians.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::calls::Mode;
use crate::clock;
use crate::collector::{Behaviour, Collector};
use crate::options::Options;
use crate::stack::{Setup, Stack};

/// The number of calls in a burst, with at most six spans each, so that no queue is ever full.
const BURST: u32 = 300;

/// The time for the exporters between two bursts.
const PAUSE: Duration = Duration::from_millis(3);

/// One of the compared variants.
pub struct Variant<'a> {
    row: String,
    column: String,
    mode: Mode,
    calls: u32,
    per_call: u32,
    run: Box<dyn FnMut(u32) -> Duration + 'a>,
}

impl<'a> Variant<'a> {
    /// Creates the entry of a table at this row and column. `run` makes the given number of calls, and returns the time
    /// that they took.
    pub fn new(
        row: impl Into<String>,
        column: impl Into<String>,
        mode: Mode,
        run: impl FnMut(u32) -> Duration + 'a,
    ) -> Self {
        Self { row: row.into(), column: column.into(), mode, calls: BURST, per_call: 1, run: Box::new(run) }
    }

    /// Sets how many units each call counts for, which reduces the number of calls.
    #[must_use]
    pub fn counting(mut self, per_call: u32) -> Self {
        self.per_call = per_call.max(1);
        self.calls = (BURST / self.per_call).max(1);
        self
    }

    /// Whether this is in the given column.
    pub fn is_of(&self, column: &str) -> bool {
        self.column == column
    }

    /// Multiplies the number of calls, for those that are too short to be timed and leave nothing to export.
    #[must_use]
    pub fn calling(mut self, times_more: u32) -> Self {
        self.calls *= times_more;
        self
    }
}

impl std::fmt::Debug for Variant<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Variant").field("row", &self.row).field("column", &self.column).finish_non_exhaustive()
    }
}

/// Makes the calls, and returns the CPU time that they took.
pub fn time(calls: u32, mut call: impl FnMut()) -> Duration {
    let start = clock::thread_cpu();
    for _ in 0..calls {
        call();
    }
    clock::thread_cpu().saturating_sub(start)
}

/// The telemetry behind a bench.
#[derive(Debug)]
pub struct Bench {
    name: &'static str,
    rounds: usize,
    telemetry: Option<(Stack, tracing::Dispatch, Collector)>,
}

impl Bench {
    /// A bench with the whole pipeline of every mode behind it. `--rounds N` sets the number of rounds.
    pub fn new(name: &'static str, setup: &Setup) -> Self {
        let collector = Collector::start(Behaviour::Accept, None);
        let stack = Stack::without_subscriber(&Mode::TRACED, &collector.endpoint(), setup);
        let dispatch = stack.dispatch();
        Self { name, rounds: rounds(), telemetry: Some((stack, dispatch, collector)) }
    }

    /// A bench in a process without telemetry.
    pub fn without_telemetry(name: &'static str) -> Self {
        Self { name, rounds: rounds(), telemetry: None }
    }

    /// Runs all variants in each round, each time with another one first, and prints a line for each: the name of the
    /// bench, row, column, and the median in nanoseconds, separated by tabs. Then exports the remaining spans.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub fn run(self, variants: Vec<Variant<'_>>) {
        self.rounds(variants);
        self.finish();
    }

    /// Like [`run`](Self::run), for several sets of variants, one after the other. Then exits without exporting the
    /// remaining spans.
    pub fn run_in_steps<'a, S>(
        self,
        steps: impl IntoIterator<Item = S>,
        variants: impl Fn(S) -> Vec<Variant<'a>>,
    ) -> ! {
        for step in steps {
            self.rounds(variants(step));
        }
        std::process::exit(0)
    }

    /// Runs something in each of these modes, with the subscriber that it needs.
    pub fn with_each(&self, modes: &[Mode], mut run: impl FnMut(Mode)) {
        for &mode in modes {
            self.within(mode, || run(mode));
        }
    }

    fn within<R>(&self, mode: Mode, run: impl FnOnce() -> R) -> R {
        match (&self.telemetry, mode) {
            (Some((_, dispatch, _)), Mode::Instrument) => tracing::dispatcher::with_default(dispatch, run),
            _ => run(),
        }
    }

    fn rounds(&self, mut variants: Vec<Variant<'_>>) {
        let mut results: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        let count = variants.len();
        // The first round fills caches and opens connections.
        for round in 0..=self.rounds {
            for at in 0..count {
                let at = (at + round) % count;
                let Variant { mode, calls, per_call, run, .. } = &mut variants[at];
                let took = self.within(*mode, || run(*calls));
                if round > 0 {
                    let each = took.as_secs_f64() * 1e9 / f64::from(*calls) / f64::from(*per_call);
                    results.entry(at).or_default().push(each);
                }
                if self.telemetry.is_some() {
                    std::thread::sleep(PAUSE);
                }
            }
        }
        for (at, times) in &mut results {
            let Variant { row, column, .. } = &variants[*at];
            println!("{}\t{row}\t{column}\t{:.1}", self.name, median(times));
        }
    }

    fn finish(self) {
        let Some((stack, dispatch, collector)) = self.telemetry else { return };
        stack.finish();
        drop((dispatch, collector));
    }
}

fn rounds() -> usize {
    Options::from_arguments().number("--rounds").unwrap_or(201)
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "no count here has more than 53 bits")]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// The median. Sorts the numbers.
///
/// # Panics
///
/// If there are no numbers.
pub fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    if numbers.len() % 2 == 1 { numbers[middle] } else { f64::midpoint(numbers[middle - 1], numbers[middle]) }
}
