//! Reads the time from the processor's time stamp counter, with a conversion shared by all threads.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Mutex, OnceLock, TryLockError};
use std::time::{Duration, Instant, SystemTime};

use quanta::Clock;

use super::discipline::{Discipline, Line, Sample};
use super::nanos;

/// `None` if the counter must not be used.
static COUNTER: OnceLock<Option<Clock>> = OnceLock::new();

static DISCIPLINE: Mutex<Discipline> = Mutex::new(Discipline::new());

static PUBLISHED: Published = Published::new();

/// A line behind a seqlock: one thread writes it, and all threads read it without a lock. A torn read is discarded.
#[repr(align(64))]
struct Published {
    /// Odd while it is being written.
    version: AtomicU64,
    ticks: AtomicU64,
    nanos: AtomicU64,
    rate: AtomicU64,
    good_for: AtomicU64,
}

impl Published {
    const fn new() -> Self {
        Self {
            version: AtomicU64::new(0),
            ticks: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
            rate: AtomicU64::new(0),
            good_for: AtomicU64::new(0),
        }
    }

    /// Publishes a line. Only the holder of the discipline's lock may call this.
    fn write(&self, line: Line) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        self.ticks.store(line.ticks, Ordering::Relaxed);
        self.nanos.store(line.nanos, Ordering::Relaxed);
        self.rate.store(line.rate, Ordering::Relaxed);
        self.good_for.store(line.good_for, Ordering::Relaxed);
        self.version.store(version + 2, Ordering::Release);
    }

    /// Returns the time at the current ticks, if the line is valid for them.
    #[inline]
    fn time(&self, ticks: impl Fn() -> u64) -> Option<u64> {
        const TRIES: usize = 16;
        for _ in 0..TRIES {
            let version = self.version.load(Ordering::Acquire);
            let good_for = self.good_for.load(Ordering::Relaxed);
            if good_for == 0 {
                return None;
            }
            // Read after the version, so that the ticks are not older than the line.
            let ticks = ticks();
            let line = Line {
                ticks: self.ticks.load(Ordering::Relaxed),
                nanos: self.nanos.load(Ordering::Relaxed),
                rate: self.rate.load(Ordering::Relaxed),
                good_for,
            };
            fence(Ordering::Acquire);
            if version % 2 == 0 && self.version.load(Ordering::Relaxed) == version {
                return line.at(ticks);
            }
            std::hint::spin_loop();
        }
        None
    }
}

/// Returns the current time in nanoseconds since the Unix epoch, or `None` if it has to be read from the system clock.
#[inline(always)]
pub(super) fn now() -> Option<u64> {
    let counter = COUNTER.get()?.as_ref()?;
    PUBLISHED.time(|| counter.raw())
}

#[cold]
pub(super) fn follow() {
    // A process that ends before this age does not benefit from the counter, and would wait for the calibration.
    const MIN_AGE: Duration = Duration::from_millis(100);
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    if COUNTER.get().is_none() && BEGUN.get_or_init(Instant::now).elapsed() < MIN_AGE {
        return;
    }
    let Some(counter) = COUNTER.get_or_init(counter) else { return };
    let mut discipline = match DISCIPLINE.try_lock() {
        Ok(discipline) => discipline,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        // Another thread is updating the line.
        Err(TryLockError::WouldBlock) => return,
    };
    if let Some(line) = sample(counter).and_then(|sample| discipline.follow(sample)) {
        PUBLISHED.write(line);
    }
}

/// Whether the counter may be used, but there is no valid line.
pub(super) fn is_settling() -> bool {
    COUNTER.get().is_none_or(Option::is_some) && PUBLISHED.good_for.load(Ordering::Relaxed) == 0
}

/// Returns the counter, if Linux uses it as its clock source, which requires it to be synchronized between processors
/// and constant in rate. Not inlined, so that benchmarks that count instructions can exclude the calibration.
#[inline(never)]
fn counter() -> Option<Clock> {
    let source = fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource").ok()?;
    (source.trim() == "tsc").then(Clock::new)
}

/// Reads both clocks. Returns `None` if this thread was interrupted at each attempt.
fn sample(counter: &Clock) -> Option<Sample> {
    const TRIES: usize = 4;
    const MAX_NANOS: u64 = 5_000;
    let tries = (0..TRIES).map(|_| {
        let before = counter.raw();
        let nanos = nanos(SystemTime::now());
        (before, nanos, counter.raw())
    });
    let (before, nanos, after) = tries.min_by_key(|(before, _, after)| after.saturating_sub(*before))?;
    (counter.delta_as_nanos(before, after) < MAX_NANOS)
        .then(|| Sample { ticks: before + after.saturating_sub(before) / 2, nanos })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    #[test]
    fn the_counter_tells_the_time_of_the_system_clock() {
        // Time has to pass: a line takes three samples.
        let (begun, mut known) = (Instant::now(), 0);
        while known < 1_000 {
            follow();
            if let Some(None) = COUNTER.get() {
                return assert_eq!(now(), None, "no time without a counter");
            }
            let before = nanos(SystemTime::now());
            if let Some(time) = now() {
                let after = nanos(SystemTime::now());
                assert!(before < time + 1_000_000 && time < after + 1_000_000, "{before} {time} {after}");
                known += 1;
            } else {
                assert!(begun.elapsed() < Duration::from_secs(60), "no line after a minute");
                thread::sleep(Duration::from_millis(50));
            }
        }
    }

    #[test]
    fn there_are_no_torn_reads() {
        // On each of these lines, the time equals the ticks.
        let line = |n: u64| Line { ticks: n, nanos: n, rate: 1 << 32, good_for: 1 << 40 };
        let (published, is_done) = (Published::new(), AtomicBool::new(false));
        assert_eq!(published.time(|| 1), None, "nothing was written");
        published.write(line(0));
        thread::scope(|scope| {
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut known = 0;
                        while !is_done.load(Ordering::Relaxed) || known == 0 {
                            if let Some(time) = published.time(|| 1 << 30) {
                                assert_eq!(time, 1 << 30);
                                known += 1;
                            }
                        }
                    })
                })
                .collect();
            for n in 1..200_000 {
                published.write(line(n));
            }
            is_done.store(true, Ordering::Relaxed);
            for reader in readers {
                reader.join().expect("no torn read");
            }
        });
    }

    #[test]
    fn an_expired_line_is_not_used() {
        let published = Published::new();
        published.write(Line { ticks: 1_000, nanos: 5, rate: 1 << 32, good_for: 100 });
        assert_eq!(published.time(|| 1_000), Some(5));
        assert_eq!(published.time(|| 1_099), Some(104));
        assert_eq!(published.time(|| 1_100), None);
        assert_eq!(published.time(|| 999), None, "the counter was set back");
        published.write(Line::default());
        assert_eq!(published.time(|| 1_000), None);
    }
}
