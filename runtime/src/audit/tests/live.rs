//! When the audit of a running process judges a trace.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::audit::LiveAudit;
use crate::encoding::wire::{SPANS, put_bytes, span as field};
use crate::tracer::encoded::QueuedSpans;

/// Longer than the test runs.
const LONG: Duration = Duration::from_secs(3_600);

fn audited(quiet: Duration) -> LiveAudit {
    LiveAudit::new(Rules::new().quiet(quiet), "orders", None, LONG, Arc::default())
}

/// Exports a span of this trace: a root if `parent` is 0, or else one whose parent is missing.
fn export(audit: &LiveAudit, trace: u128, parent: u8) {
    let mut message = Vec::new();
    put_bytes(&mut message, field::SPAN_ID, &[1; 8]);
    if parent > 0 {
        put_bytes(&mut message, field::PARENT_SPAN_ID, &[parent; 8]);
    }
    let mut bytes = Vec::new();
    put_bytes(&mut bytes, SPANS, &message);
    audit.observe(&[QueuedSpans::complete(trace, 1, bytes.into())]);
}

/// The traces that are judged, and those that are not.
fn judged(audit: &LiveAudit) -> (u64, u64) {
    let report = audit.report();
    (report.total.traces, report.skipped.traces_pending)
}

#[test]
fn a_trace_is_judged_when_it_has_been_quiet_or_is_flushed() {
    let audit = audited(LONG);
    export(&audit, 1, 0);
    audit.judge(false, false, |_| false);
    assert_eq!(judged(&audit), (0, 1), "the trace is not quiet yet");
    audit.judge(true, false, |_| true);
    assert_eq!(judged(&audit), (0, 1), "the trace has queued spans");
    audit.judge(true, false, |_| false);
    assert_eq!(judged(&audit), (1, 0));
    let audit = audited(Duration::ZERO);
    export(&audit, 1, 0);
    audit.judge(false, false, |_| false);
    assert_eq!(judged(&audit), (1, 0));
}

#[test]
fn a_shutdown_judges_traces_with_queued_spans_or_a_missing_parent() {
    let audit = audited(LONG);
    export(&audit, 1, 0);
    export(&audit, 2, 2);
    audit.judge(true, false, |_| false);
    assert_eq!(judged(&audit), (1, 1), "the parent may still arrive");
    export(&audit, 3, 0);
    audit.judge(false, true, |_| true);
    assert_eq!(judged(&audit), (3, 0));
}
