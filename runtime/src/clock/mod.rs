//! The time of the spans of our own tracer.
//!
//! It is that of the system clock, as OpenTelemetry's API reads it. While spans are exported, and where Linux itself
//! measures time by the processor's counter, it is computed from that, which takes a third of the time.

#[cfg(all(feature = "otlp", target_os = "linux", target_arch = "x86_64"))]
mod counter;
#[cfg(any(test, all(feature = "otlp", target_os = "linux", target_arch = "x86_64")))]
mod discipline;

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::time;

/// How far the system clock is from this one at most, as long as it is not set. What it has stamped as less than this before
/// the start of its span came after it.
const MAX_DIFFERENCE: u64 = 1_000_000;

/// Tells a span of our own tracer to end now, and to read the clock itself. No span ends at this time, which is thousands of
/// years before the epoch.
pub(crate) static NOW: LazyLock<SystemTime> = LazyLock::new(|| UNIX_EPOCH - Duration::from_secs(1 << 37));

/// Now, in nanoseconds since the epoch.
#[inline]
pub(crate) fn now() -> u64 {
    #[cfg(all(feature = "otlp", target_os = "linux", target_arch = "x86_64"))]
    if let Some(now) = counter::now() {
        return now;
    }
    nanos(time::now())
}

/// Now, for a span of our own tracer, or of another one.
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

/// Follows the system clock. Called regularly while spans are exported, and takes a microsecond four times a second; the
/// first call, after a second, takes less than a millisecond, or a fifth of a second on a machine that is very busy.
#[cfg(feature = "otlp")]
pub(crate) fn follow() {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    counter::follow();
}

/// Nanoseconds since the epoch. A time before it counts as the epoch, since OTLP's times have no sign, and one after the
/// year 2554 as the last that fits.
#[inline]
pub(crate) fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        since.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(since.subsec_nanos()))
    })
}

/// A time of a span that has started at `start`: other code reads the system clock, which may be behind by a little.
#[inline]
pub(crate) fn not_before(start: u64, time: u64) -> u64 {
    if time < start && start - time < MAX_DIFFERENCE { start } else { time }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_just_before_the_start_is_the_start_and_others_are_kept() {
        let start = 1_700_000_000_000_000_000;
        assert_eq!(not_before(start, start - 1), start);
        assert_eq!(not_before(start, start - MAX_DIFFERENCE), start - MAX_DIFFERENCE);
        assert_eq!(not_before(start, start + 1), start + 1);
        assert_eq!(not_before(0, 0), 0);
    }

    #[test]
    fn times_are_those_of_the_system_clock() {
        let before = nanos(SystemTime::now());
        let mut times = vec![now()];
        #[cfg(feature = "tracing")]
        times.extend([true, false].map(|is_own| nanos(time(is_own))));
        let after = nanos(SystemTime::now());
        for time in times {
            assert!(before <= time + MAX_DIFFERENCE && time <= after + MAX_DIFFERENCE, "{before} {time} {after}");
        }
    }
}
