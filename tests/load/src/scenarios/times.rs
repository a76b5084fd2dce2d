//! Measures durations, without the time in which the thread had no processor.

use std::fs;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::row;

/// Durations from this on are slow.
const SLOW: Duration = Duration::from_millis(1);

/// Durations. The time in which a thread was ready to run but had no processor is subtracted from slow ones.
pub(super) struct Times {
    /// In buckets of a tenth of a microsecond, up to a millisecond.
    histogram: Vec<u64>,
    count: u64,
    worst: Duration,
    worst_running: Duration,
    /// The number of slow ones, without the time in which the thread waited for a processor.
    pub(super) slow: u64,
    /// The number of slow ones in which the thread may have been blocked.
    pub(super) blocked: u64,
    /// The durations since the clocks were last read.
    recent: Vec<Duration>,
    since: Clocks,
}

impl Times {
    const RECENT: usize = 64;

    /// Starts to measure on this thread.
    pub(super) fn begin() -> Self {
        let zero = Duration::ZERO;
        Self {
            histogram: vec![0; 10_000],
            count: 0,
            worst: zero,
            worst_running: zero,
            slow: 0,
            blocked: 0,
            recent: Vec::with_capacity(Self::RECENT),
            since: Clocks::read(),
        }
    }

    pub(super) fn add(&mut self, time: Duration) {
        let at = usize::try_from(time.as_nanos() / 100).unwrap_or(usize::MAX).min(self.histogram.len() - 1);
        self.histogram[at] += 1;
        self.count += 1;
        self.worst = self.worst.max(time);
        self.recent.push(time);
        if self.recent.len() == Self::RECENT {
            self.finish();
        }
    }

    /// Accounts for the recent durations. It is not known in which of them the thread waited for a processor, so the
    /// time is subtracted from each. That only matters for slow ones.
    pub(super) fn finish(&mut self) {
        let now = Clocks::read();
        let before = std::mem::replace(&mut self.since, now);
        let off = self.since.waiting.saturating_sub(before.waiting);
        let running = self.since.running.saturating_sub(before.running);
        let blocked = self.since.now.duration_since(before.now).saturating_sub(off + running);
        for time in self.recent.drain(..) {
            let time = time.saturating_sub(off);
            self.worst_running = self.worst_running.max(time);
            self.slow += u64::from(time >= SLOW);
            self.blocked += u64::from(time >= SLOW && blocked >= SLOW / 2);
        }
    }

    pub(super) fn print(&self) {
        for (name, per_million) in [("median", 500_000), ("99.9 %", 999_000), ("99.999 %", 999_990)] {
            row(name, format!("{:.1}", self.quantile(per_million)));
        }
        row("worst, the time off the processor included", format!("{:.1}", self.worst.as_secs_f64() * 1e6));
        row("worst", format!("{:.1}", self.worst_running.as_secs_f64() * 1e6));
        row("of a millisecond or more", self.slow);
        row("of these, waited for a lock", self.blocked);
    }

    fn quantile(&self, per_million: u64) -> f64 {
        let mut left = self.count * per_million / 1_000_000;
        let at = self.histogram.iter().position(|count| {
            let is_there = left <= *count;
            left = left.saturating_sub(*count);
            is_there
        });
        #[expect(clippy::cast_precision_loss, reason = "there are ten thousand buckets")]
        let tenths = at.unwrap_or_default() as f64;
        tenths / 10.0
    }
}

/// The clocks of a thread.
struct Clocks {
    now: Instant,
    running: Duration,
    /// The time in which the thread was ready to run, but had no processor (`/proc`, file `schedstat`). Zero if
    /// unknown.
    waiting: Duration,
}

impl Clocks {
    fn read() -> Self {
        let running = clock_gettime(ClockId::ThreadCPUTime);
        let running = Duration::new(running.tv_sec.try_into().unwrap_or(0), running.tv_nsec.try_into().unwrap_or(0));
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let waiting = text.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok()).unwrap_or_default();
        Self { now: Instant::now(), running, waiting: Duration::from_nanos(waiting) }
    }
}
