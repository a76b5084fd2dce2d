//! Counters.

use opentelemetry::{KeyValue, global};

/// Adds to the counter with this name, unit and description. The counter is created on each call, because one that is
/// created before the meter provider is set never records anything.
pub(crate) fn add([name, unit, description]: [&'static str; 3], count: u64, attributes: &[KeyValue]) {
    let meter = global::meter("throughline");
    meter.u64_counter(name).with_unit(unit).with_description(description).build().add(count, attributes);
}
