//! The clock of our own tracer.
//!
//! It tells the time of the system clock, which OpenTelemetry's API also uses. While spans are exported, and if Linux
//! uses the processor's time stamp counter as its clock source, the time is computed from the counter, which takes a
//! third of the time of reading the system clock.

#[cfg(all(feature = "otlp", target_os = "linux", target_arch = "x86_64"))]
mod counter;
#[cfg(any(test, all(feature = "otlp", target_os = "linux", target_arch = "x86_64")))]
mod discipline;

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::time;

/// The maximum difference from the system clock, unless that is stepped. A timestamp less than this before the start of
/// its span is attributed to the difference between the clocks.
const MAX_DIFFERENCE: u64 = 1_000_000;

/// A sentinel that makes a span of our own tracer end now, at the time that it reads itself. It is thousands of years
/// after the epoch, so no real span ends at it. It is not before the epoch, because Windows has no time before 1601.
pub(crate) static NOW: LazyLock<SystemTime> = LazyLock::new(|| UNIX_EPOCH + Duration::from_secs(1 << 37));

/// Returns the current time in nanoseconds since the Unix epoch.
#[inline]
pub(crate) fn now() -> u64 {
    #[cfg(all(feature = "otlp", target_os = "linux", target_arch = "x86_64"))]
    if let Some(now) = counter::now() {
        return now;
    }
    nanos(time::now())
}

/// Returns the current time, by the clock of our own tracer or of another one.
#[cfg(feature = "tracing")]
#[inline]
pub(crate) fn time(is_own: bool) -> SystemTime {
    #[cfg(all(feature = "otlp", target_os = "linux", target_arch = "x86_64"))]
    if let Some(now) = is_own.then(counter::now).flatten() {
        return UNIX_EPOCH + Duration::from_nanos(now);
    }
    let _ = is_own;
    time::now()
}

/// The interval at which to call [`follow`] while [`is_settling`] returns `true`.
#[cfg(feature = "otlp")]
pub(crate) const SETTLING_INTERVAL: Duration = Duration::from_millis(50);

/// Tracks the system clock. Called regularly while spans are exported. A call takes a microsecond, up to five times a
/// second. The calibration, after a tenth of a second, takes less than a millisecond, or up to a fifth of a second on a
/// very busy machine.
#[cfg(feature = "otlp")]
pub(crate) fn follow() {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    counter::follow();
}

/// Whether the first calls of [`follow`] should come in quick succession, so that the counter is used soon.
#[cfg(feature = "otlp")]
pub(crate) fn is_settling() -> bool {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    return counter::is_settling();
    #[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
    false
}

/// Returns the nanoseconds since the Unix epoch. Times before the epoch are clamped to it, because times in OTLP are
/// unsigned, and times after the year 2554 to the largest value.
#[inline]
pub(crate) fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        since.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(since.subsec_nanos()))
    })
}

/// Adjusts a timestamp of a span that started at `start`: by the system clock, it may be slightly earlier.
#[inline]
pub(crate) fn not_before(start: u64, time: u64) -> u64 {
    if time < start && start - time < MAX_DIFFERENCE { start } else { time }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_just_before_the_start_is_clamped_and_others_are_kept() {
        let start = 1_700_000_000_000_000_000;
        assert_eq!(not_before(start, start - 1), start);
        assert_eq!(not_before(start, start - MAX_DIFFERENCE), start - MAX_DIFFERENCE);
        assert_eq!(not_before(start, start + 1), start + 1);
        assert_eq!(not_before(0, 0), 0);
    }

    /// The standard library panics at a time that the platform cannot represent.
    #[test]
    fn the_sentinel_can_be_represented_everywhere_and_exported_nowhere() {
        let since = NOW.duration_since(UNIX_EPOCH).expect("the earliest time is 1601 on Windows");
        assert!(since.as_secs() < 900_000_000_000, "the latest time is in about the year 30,800 on Windows");
        assert_eq!(nanos(*NOW), u64::MAX);
    }

    #[test]
    fn times_are_those_of_the_system_clock() {
        let before = nanos(SystemTime::now());
        let times = [now()].into_iter();
        #[cfg(feature = "tracing")]
        let times = times.chain([true, false].map(|is_own| nanos(time(is_own))));
        let after = nanos(SystemTime::now());
        for time in times {
            assert!(before <= time + MAX_DIFFERENCE && time <= after + MAX_DIFFERENCE, "{before} {time} {after}");
        }
    }
}
