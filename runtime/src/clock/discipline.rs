//! Tracks the system clock with a counter.
//!
//! Between two samples, time advances at the rate of the last interval, slewed so that it meets the system clock at the
//! next sample: it neither stands still nor jumps. If that is not possible, because the system clock was stepped or the
//! rate of the counter has changed, there is no line, and the system clock has to be read.

/// Both clocks, read at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) ticks: u64,
    /// Nanoseconds since the Unix epoch.
    pub(super) nanos: u64,
}

/// A linear conversion from ticks to time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) ticks: u64,
    pub(super) nanos: u64,
    /// Nanoseconds in 2^32 ticks.
    pub(super) rate: u64,
    /// The number of ticks for which the line is valid.
    pub(super) good_for: u64,
}

impl Line {
    #[inline]
    pub(super) fn at(self, ticks: u64) -> Option<u64> {
        let passed = ticks.wrapping_sub(self.ticks);
        if passed >= self.good_for {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a line is good for seconds")]
        let nanos = ((u128::from(passed) * u128::from(self.rate)) >> 32) as u64;
        Some(self.nanos.wrapping_add(nanos))
    }
}

/// The minimum time between two samples, which makes the read error negligible.
const MIN_NANOS: u64 = 200_000_000;

/// The same as long as there is no line. A read error of a few ten nanoseconds is about a millionth of it.
pub(super) const FIRST_NANOS: u64 = 50_000_000;

/// A line is valid for twice the time between the last two samples, within these bounds.
const VALID_NANOS: (f64, f64) = (1e9, 2e9);

/// The maximum difference between the rates of two intervals. The kernel slews the system clock by at most 0.0005;
/// programs such as `chronyd` slew it faster if it is far off, in which case the system clock is read.
const MAX_CHANGE: f64 = 1e-3;

/// The maximum offset that is slewed until the next sample. A larger one is a step.
const MAX_SLEW_NANOS: u64 = 500_000;

#[derive(Debug)]
pub(super) struct Discipline {
    last: Option<Sample>,
    /// Nanoseconds per tick, between the last two samples.
    rate: Option<f64>,
    line: Line,
}

impl Discipline {
    pub(super) const fn new() -> Self {
        let line = Line { ticks: 0, nanos: 0, rate: 0, good_for: 0 };
        Self { last: None, rate: None, line }
    }

    /// Returns the line that starts at this sample, or `None` if it is too early for a new one.
    pub(super) fn follow(&mut self, now: Sample) -> Option<Line> {
        let last = *self.last.get_or_insert(now);
        let (ticks, nanos) = (now.ticks.checked_sub(last.ticks), now.nanos.checked_sub(last.nanos));
        let min_nanos = if self.line.good_for == 0 { FIRST_NANOS } else { MIN_NANOS };
        if ticks.is_some() && nanos.is_some_and(|nanos| nanos < min_nanos) {
            return None;
        }
        self.last = Some(now);
        self.line = self.next(now, ticks.zip(nanos)).unwrap_or_default();
        Some(self.line)
    }

    fn next(&mut self, now: Sample, passed: Option<(u64, u64)>) -> Option<Line> {
        let before = self.rate.take();
        // `None` if a clock has gone backwards.
        let (ticks, nanos) = passed.filter(|(ticks, _)| *ticks > 0)?;
        let rate = float(nanos) / float(ticks);
        self.rate = Some(rate);
        if (rate / before? - 1.0).abs() > MAX_CHANGE {
            return None;
        }
        let begin = self.line.at(now.ticks).filter(|begin| begin.abs_diff(now.nanos) <= MAX_SLEW_NANOS);
        // Both lines are rounded down, so without this, time could go back by a nanosecond.
        let begin = begin.map_or(now.nanos, |begin| begin + 1);
        let behind = float(now.nanos.abs_diff(begin)) * if begin < now.nanos { 1.0 } else { -1.0 };
        let rate = rate * (1.0 + behind / float(nanos));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is positive, and small")]
        let good_for = (float(ticks) * 2.0).clamp(VALID_NANOS.0 / rate, VALID_NANOS.1 / rate) as u64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is positive, and small")]
        let rate = (rate * 4_294_967_296.0) as u64;
        Some(Line { ticks: now.ticks, nanos: begin, rate, good_for })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a difference of two readings, of which 53 bits are enough")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const HOUR: u64 = 3_600 * SECOND;
    const MADE: u64 = 1_700_000_000 * SECOND;

    /// A simulated machine with a counter and a system clock.
    struct Machine {
        ticks: f64,
        /// The system clock, since the machine was made.
        nanos: f64,
        /// Advance of the counter and of the system clock per nanosecond of real time.
        ticks_rate: f64,
        nanos_rate: f64,
        discipline: Discipline,
        line: Line,
        /// The last time that was returned; zero after the clocks were set.
        told: u64,
        random: u64,
    }

    impl Machine {
        fn new() -> Self {
            Self {
                ticks: 7e12,
                nanos: 0.0,
                ticks_rate: 2.7,
                nanos_rate: 1.0,
                discipline: Discipline::new(),
                line: Line::default(),
                told: 0,
                random: 1,
            }
        }

        /// A number from 0 to 1, from a generator with a fixed seed.
        fn random(&mut self) -> f64 {
            self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            float(self.random >> 11) / float(1 << 53)
        }

        fn pass(&mut self, nanos: u64) {
            self.ticks += float(nanos) * self.ticks_rate;
            self.nanos += float(nanos) * self.nanos_rate;
        }

        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they fit")]
        fn read(&self) -> Sample {
            Sample { ticks: self.ticks as u64, nanos: MADE.saturating_add_signed(self.nanos as i64) }
        }

        /// Takes a sample whose counter was read up to 100 ticks before the system clock.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
        fn follow(&mut self) {
            let error = (self.random() * 100.0) as u64;
            let mut now = self.read();
            now.ticks = now.ticks.saturating_sub(error);
            if let Some(line) = self.discipline.follow(now) {
                self.line = line;
            }
        }

        /// The difference from the system clock, if there is a valid line. Checks that time does not go backwards.
        fn error(&mut self) -> Option<u64> {
            let now = self.read();
            let time = self.line.at(now.ticks)?;
            assert!(time >= self.told, "time went backwards by {}", self.told - time);
            self.told = time;
            Some(time.abs_diff(now.nanos))
        }

        /// Lets time pass, with samples as from the export thread and readings in between. Returns the largest error,
        /// and the share of readings that had to use the system clock.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
        fn run(&mut self, nanos: u64) -> (u64, f64) {
            let (mut worst, mut readings, mut fallbacks) = (0, 0.0, 0.0);
            let mut left = nanos;
            while left > 0 {
                let step = SECOND / 2 + (self.random() * 5e7) as u64;
                for _ in 0..4 {
                    self.pass(step / 4);
                    readings += 1.0;
                    match self.error() {
                        Some(error) => worst = worst.max(error),
                        None => fallbacks += 1.0,
                    }
                }
                self.follow();
                // At the same instant as the last reading: time must not go back from one line to the next.
                self.error();
                left = left.saturating_sub(step);
            }
            (worst, fallbacks / readings)
        }
    }

    #[test]
    fn the_error_stays_below_a_microsecond_for_days() {
        let mut machine = Machine::new();
        machine.run(3 * SECOND);
        let (worst, fallbacks) = machine.run(3 * 24 * HOUR);
        assert!(worst < 1_000, "{worst} ns");
        assert!(fallbacks == 0.0, "{fallbacks}");
    }

    #[test]
    fn it_follows_a_clock_that_drifts_or_is_slewed() {
        let mut machine = Machine::new();
        machine.run(3 * SECOND);
        // Drift due to temperature, and NTP corrections of up to 500 ppm.
        for n in 0..2_000 {
            machine.ticks_rate *= 1.0 + (machine.random() - 0.5) * 2e-6;
            machine.nanos_rate = if n % 10 == 0 { 1.0 + (machine.random() - 0.5) * 1e-3 } else { 1.0 };
            let (worst, fallbacks) = machine.run(20 * SECOND);
            assert!(worst < 1_000_000, "{worst} ns");
            assert!(fallbacks == 0.0, "{fallbacks}");
        }
    }

    #[test]
    fn a_step_of_the_system_clock_is_followed_at_the_next_sample() {
        for step in [-3.6e12, -2e9, -3e6, 3e6, 2e9, 3.6e12] {
            let mut machine = Machine::new();
            machine.run(10 * SECOND);
            machine.nanos += step;
            machine.pass(SECOND / 2);
            machine.follow();
            machine.told = 0;
            let (worst, fallbacks) = machine.run(10 * SECOND);
            assert!(worst < 1_000, "{worst} ns after {step}");
            assert!(fallbacks < 0.25, "{fallbacks} of the readings after {step}");
            assert!(machine.error().is_some());
        }
    }

    #[test]
    fn a_counter_that_changes_is_not_used_until_it_is_steady() {
        // A virtual machine is migrated or suspended, or its counter is reset.
        let changes: [fn(&mut Machine); 5] = [
            |machine| machine.ticks_rate = 3.3,
            |machine| machine.ticks_rate = 2.71,
            |machine| machine.ticks = 0.0,
            |machine| machine.ticks += 1e13,
            |machine| machine.nanos += 7.2e12,
        ];
        for (at, change) in changes.into_iter().enumerate() {
            let mut machine = Machine::new();
            machine.run(10 * SECOND);
            change(&mut machine);
            machine.pass(SECOND / 2);
            machine.follow();
            assert!(machine.error().is_none(), "change {at} is detected at the next sample");
            machine.told = 0;
            let (worst, fallbacks) = machine.run(10 * SECOND);
            assert!(worst < 1_000, "{worst} ns after change {at}");
            assert!(fallbacks > 0.0 && fallbacks < 0.25, "{fallbacks} of the readings after change {at}");
        }
    }

    #[test]
    fn without_samples_the_line_expires() {
        let mut machine = Machine::new();
        machine.run(10 * SECOND);
        machine.pass(SECOND / 2);
        assert!(machine.error().is_some());
        machine.pass(2 * SECOND);
        assert!(machine.error().is_none(), "the export thread does not run");
        machine.follow();
        machine.run(SECOND);
        assert!(machine.error().is_some());
    }

    #[test]
    fn the_first_line_takes_two_short_intervals_and_lasts_until_the_next_sample() {
        for seed in 1..1_000 {
            let mut machine = Machine::new();
            machine.random = seed;
            machine.follow();
            machine.pass(FIRST_NANOS);
            machine.follow();
            assert_eq!(machine.error(), None, "one interval does not show that the rate is steady");
            machine.pass(FIRST_NANOS);
            machine.follow();
            for _ in 0..12 {
                assert!(machine.error().expect("a valid line") < 3_000, "with seed {seed}");
                machine.pass(FIRST_NANOS);
            }
            machine.follow();
            machine.error();
            let (worst, fallbacks) = machine.run(3 * SECOND);
            assert!(worst < 3_000 && fallbacks == 0.0, "{worst} ns, {fallbacks}");
        }
    }

    #[test]
    fn samples_that_come_too_early_change_nothing() {
        let mut discipline = Discipline::new();
        let sample = |nanos: u64| Sample { ticks: nanos * 3, nanos };
        assert_eq!(discipline.follow(sample(SECOND)), None);
        assert_eq!(discipline.follow(sample(SECOND + 1)), None);
        assert_eq!(discipline.follow(sample(2 * SECOND)), Some(Line::default()), "the rate of one interval is known");
        let line = discipline.follow(sample(3 * SECOND)).expect("a new line");
        assert_eq!(line.at(9 * SECOND), Some(3 * SECOND));
        let half = line.at(9 * SECOND + 3 * SECOND / 2).expect("the line is valid for two seconds");
        assert!(half.abs_diff(3 * SECOND + SECOND / 2) <= 2, "{half}");
        assert_eq!(line.at(15 * SECOND), None);
        assert_eq!(discipline.follow(sample(3 * SECOND + 1)), None);
    }
}
