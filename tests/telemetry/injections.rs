//! Injections without a span, which the audit counts.

use std::collections::HashMap;
use std::time::Duration;

use throughline::audit::{BreakKind, Rules};
use throughline::propagation::{self, Format, Propagator};
use throughline::{Context, Snapshot};

use crate::process::alone;
use crate::support::{Kept, run};

alone! {
    fn injections_without_a_span_are_counted_per_call_site() {
        let kept = Kept::start();
        let telemetry = kept.builder().audit(Rules::new()).init().expect("a valid configuration");
        let audit = telemetry.audit().expect("the audit is enabled");
        let mut headers = HashMap::new();
        let none = Context::new();
        Propagator::new([Format::Baggage]).inject(&none, &mut headers);
        Propagator::new([Format::TraceContext]).inject(&none, &mut headers);
        let again = line!() + 2;
        for _ in 0..3 {
            propagation::inject(&mut headers);
        }
        // Not counted where telemetry is suppressed, because there should be no span.
        Snapshot::from_context(&none.with_telemetry_suppressed()).run(|| propagation::inject(&mut headers));
        assert!(run(telemetry.shutdown(Duration::from_secs(30))).is_complete());
        let report = audit.report();
        let mut found: Vec<_> = report
            .breaks
            .iter()
            .map(|found| (found.kind, found.place.as_ref().and_then(|place| place.line), found.count))
            .collect();
        found.sort_by_key(|(_, line, _)| *line);
        let kind = BreakKind::InjectionWithoutSpan;
        assert_eq!(found, [(kind, Some(again - 3), 1), (kind, Some(again), 3)], "{report}");
    }
}
