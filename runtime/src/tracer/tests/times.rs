//! The timestamps of spans, which come from two clocks.

use std::time::{Duration, SystemTime};

use opentelemetry::Context;
use opentelemetry::trace::{Span as _, SpanBuilder, Tracer as _, TracerProvider as _};

use super::{only, provider};
use crate::clock;
use crate::tracer::Span;

/// The times of the start, the events and the end of a span that `change` ends.
fn times(start: Option<SystemTime>, change: impl FnOnce(&mut Span)) -> (SystemTime, Vec<SystemTime>, SystemTime) {
    let (provider, kept) = provider(|builder| builder);
    let tracer = provider.tracer("tests");
    let builder = tracer.span_builder("span");
    let builder = start.into_iter().fold(builder, SpanBuilder::with_start_time);
    let mut span = builder.start_with_context(&tracer, &Context::new());
    change(&mut span);
    let data = only(&provider, &kept);
    (data.start_time, data.events.events.iter().map(|event| event.timestamp).collect(), data.end_time)
}

#[test]
fn timestamps_of_the_system_clock_are_within_the_span() {
    let little = Duration::from_micros(900);
    let (start, events, end) = times(None, |span| {
        let start = span.data_so_far().expect("it is recorded").start_time;
        span.add_event_with_timestamp("before", start - little, Vec::new());
        span.add_event_with_timestamp("after", SystemTime::now() + little, Vec::new());
        span.end();
    });
    assert_eq!(events[0], start);
    assert!(events[1] <= end, "{events:?} {end:?}");

    let (start, _, end) = times(None, |span| {
        let start = span.data_so_far().expect("it is recorded").start_time;
        span.end_with_timestamp(start - little);
    });
    assert_eq!(start, end);
    let (start, _, end) = times(None, |span| span.end_with_timestamp(*clock::NOW));
    assert!(start <= end && end <= SystemTime::now(), "{start:?} {end:?}");
}

#[test]
fn explicit_times_are_kept() {
    let (given, little) = (SystemTime::now(), Duration::from_micros(900));
    let (start, events, end) = times(Some(given), |span| {
        span.add_event_with_timestamp("before", given - little, Vec::new());
        span.end_with_timestamp(given - little);
    });
    assert_eq!((start, events, end), (given, vec![given - little], given - little));

    let (start, events, end) = times(None, |span| {
        span.add_event_with_timestamp("before", given - Duration::from_secs(1), Vec::new());
        span.end_with_timestamp(given - Duration::from_secs(2));
    });
    assert!(start >= given - little);
    assert_eq!((events, end), (vec![given - Duration::from_secs(1)], given - Duration::from_secs(2)));
}
