//! Metrics of the live audit, through OpenTelemetry's global meter provider.

use opentelemetry::KeyValue;

use super::tally::Recent;
use crate::metrics;

/// Names, units and descriptions.
const TRACES: [&str; 3] = ["throughline.audit.traces", "{trace}", "Traces that were audited"];
const BREAKS: [&str; 3] = ["throughline.audit.breaks", "{break}", "Breaks that the audit has found"];

/// Whether a trace is complete.
const COMPLETE: &str = "throughline.audit.complete";

/// The kind of a break.
const KIND: &str = "throughline.audit.break";

/// Adds the counts since metrics were last recorded.
pub(super) fn record(recent: &Recent) {
    add(TRACES, recent.complete, KeyValue::new(COMPLETE, true));
    add(TRACES, recent.broken, KeyValue::new(COMPLETE, false));
    for (kind, count) in &recent.breaks {
        add(BREAKS, *count, KeyValue::new(KIND, kind.name()));
    }
}

fn add(counter: [&'static str; 3], count: u64, attribute: KeyValue) {
    if count > 0 {
        metrics::add(counter, count, &[attribute]);
    }
}
