//! Counters of losses, in OpenTelemetry's global meter provider.

use opentelemetry::KeyValue;

use super::stats::ExportStats;
use crate::metrics;
use crate::semconv::THROUGHLINE_REASON;

/// Names, units and descriptions.
const TRACES_SHED: [&str; 3] =
    ["throughline.traces.shed", "{trace}", "Traces that were not started, or evicted as a whole"];
const SPANS_LOST: [&str; 3] =
    ["throughline.spans.lost", "{span}", "Spans that were lost from traces that were exported"];

/// Adds recent losses to the counters.
pub(super) fn record(recent: &ExportStats) {
    for (count, counter, reason) in [
        (recent.traces_not_started, TRACES_SHED, "not_started"),
        (recent.traces_evicted, TRACES_SHED, "evicted"),
        (recent.spans_dropped, SPANS_LOST, "dropped"),
        (recent.refused, SPANS_LOST, "refused"),
        (recent.left_behind, SPANS_LOST, "left_behind"),
    ] {
        if count > 0 {
            metrics::add(counter, count, &[KeyValue::new(THROUGHLINE_REASON, reason)]);
        }
    }
}
