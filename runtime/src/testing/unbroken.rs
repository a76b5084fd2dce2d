//! The audit of a capture.

use super::Capture;
use crate::audit::{Audit, Report, Rules, Skipped, Span};

impl Capture {
    /// Audits the spans of this capture; see [`audit`](crate::audit). Open spans are reported as never ended, so
    /// [wait](Self::wait) for them before.
    ///
    /// All spans have the service name `test`. With [`Rules::partial`], a remote parent is not reported as missing.
    pub fn audit(&self, rules: Rules) -> Report {
        let mut audit = Audit::new(rules);
        let inner = self.store.lock();
        for span in &inner.ended {
            audit.push(Span::from_span_data(&span.data, SERVICE));
        }
        for open in inner.open_in_order() {
            let mut span = Span::from_span_data(&open.data, SERVICE);
            span.end = None;
            audit.push(span);
        }
        drop(inner);
        audit.finish()
    }
}

const SERVICE: &str = "test";

/// The implementation of [`assert_unbroken!`](crate::assert_unbroken).
#[doc(hidden)]
#[track_caller]
pub fn assert_unbroken(capture: &Capture, rules: Option<Rules>) {
    assert!(
        capture.open() > 0 || !capture.spans().is_empty(),
        "there are no spans to audit; run the code under test in the capture (`capture.run`), and audit before `take` and \
         `clear`"
    );
    let report = capture.audit(rules.unwrap_or_else(|| Rules::new().partial()));
    let Skipped { traces_given_up, spans_late, .. } = report.skipped;
    let is_judged = report.total.traces > 0 && traces_given_up == 0 && spans_late == 0;
    assert!(is_judged, "traces were not judged: the rules `sample` or `max_spans` leave them out\n\n{report}");
    assert!(report.is_unbroken(), "traces are broken\n\n{report}");
}

/// Asserts that no trace of a [`Capture`](crate::testing::Capture) is broken, by [auditing](crate::audit) its spans.
///
/// `assert_unbroken!(capture)` applies the default rules: each trace is a single tree in which every span has ended.
/// Open spans are breaks, so [wait](crate::testing::Capture::wait) for detached jobs before. A remote parent is not
/// reported as missing. `assert_unbroken!(capture, rules)` applies your own [rules](crate::audit::Rules).
///
/// # Panics
///
/// Panics if a trace is broken. The message is the report of the audit: each break with its source location, usual
/// cause and remedy, and the broken traces as trees. Also panics if the capture has no spans, because a test that has
/// captured nothing must not pass.
///
/// ```
/// use throughline::assert_unbroken;
/// use throughline::audit::Rules;
/// use throughline::testing::Capture;
///
/// let capture = Capture::new();
/// capture.run(|| throughline::span("order").biz_tag("tenant_id", "acme").run(|| throughline::in_span("store", || ())));
/// assert_unbroken!(capture);
/// assert_unbroken!(capture, Rules::new().require_tag("tenant_id"));
/// ```
///
/// # Lost contexts
///
/// Where a context is lost, as in a bare `tokio::spawn`, spans leave the capture and are not audited. To find these places,
/// send all spans of the process to the capture, and declare the kinds of spans that may begin a trace. The test should be
/// the only one in its file:
///
/// ```
/// use throughline::SpanKind;
/// use throughline::audit::{BreakKind, Rules};
/// use throughline::testing::Capture;
///
/// let capture = Capture::new();
/// throughline::install(capture.provider());
/// throughline::span("order").kind(SpanKind::Server).run(|| {
///     let lost = std::thread::spawn(|| throughline::in_span("store", || ())); // not `throughline::spawn_thread`
///     lost.join().unwrap();
/// });
/// let report = capture.audit(Rules::new().root_kinds([SpanKind::Server]));
/// assert_eq!(report.count(BreakKind::UnparentedEntry), 1);
/// ```
#[macro_export]
macro_rules! assert_unbroken {
    ($capture:expr $(,)?) => {
        $crate::testing::assert_unbroken(&$capture, ::core::option::Option::None)
    };
    ($capture:expr, $rules:expr $(,)?) => {
        $crate::testing::assert_unbroken(&$capture, ::core::option::Option::Some($rules))
    };
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

    use super::*;
    use crate::testing::tests::message;
    use crate::{SpanKind, in_span, span};

    #[test]
    fn whole_traces_and_remote_parents_pass() {
        let capture = Capture::new();
        let remote = SpanContext::new(TraceId::from(7), SpanId::from(8), TraceFlags::SAMPLED, true, TraceState::NONE);
        capture.run(|| {
            span("order").biz_tag("tenant_id", "acme").run(|| in_span("store", || ()));
            span("continued").kind(SpanKind::Server).parent(&remote).run(|| ());
        });
        assert_unbroken!(capture);
        assert_unbroken!(&capture, Rules::new().partial().business_tag("tenant_id"));
        let missing = message(|| assert_unbroken!(capture, Rules::new()));
        assert!(missing.contains("missing-parent"), "{missing}");
    }

    #[test]
    fn a_capture_without_spans_fails() {
        let capture = Capture::new();
        in_span("elsewhere", || ());
        let nothing = message(|| assert_unbroken!(capture));
        assert!(nothing.starts_with("there are no spans to audit; run the code under test"), "{nothing}");
        capture.run(|| in_span("order", || ()));
        assert_unbroken!(capture);
        capture.clear();
        assert_eq!(message(|| assert_unbroken!(capture, Rules::new())), nothing);
    }

    #[test]
    fn an_open_span_is_a_break() {
        let capture = Capture::new();
        let open = capture.run(|| {
            in_span("order", || {
                in_span("store", || ());
                message(|| assert_unbroken!(capture))
            })
        });
        assert!(open.starts_with("traces are broken\n\ncompleteness 0.000 %: 0 of 1 trace, 2 spans\n"), "{open}");
        assert!(open.contains("order (test) open  <-- never-ended:"), "{open}");
        assert_unbroken!(capture);
    }

    #[test]
    fn traces_that_are_not_judged_fail() {
        let capture = Capture::new();
        capture.run(|| in_span("order", || ["price", "store"].map(|step| in_span(step, || ()))));
        assert_unbroken!(capture);
        for rules in [Rules::new().sample(0.0), Rules::new().max_spans(1)] {
            let nothing = message(|| assert_unbroken!(capture, rules));
            assert!(nothing.starts_with("traces were not judged: the rules `sample` or `max_spans`"), "{nothing}");
        }
    }

    /// They are stored in a hash map, and reported in the order in which they started.
    #[test]
    fn open_spans_are_reported_in_the_same_order_in_every_run() {
        let capture = Capture::new();
        let names: Vec<_> = (10..40).map(|number| format!("span {number}")).collect();
        let open: Vec<_> = names.iter().map(|name| capture.run(|| span(name.clone()).root().start())).collect();
        let report = capture.audit(Rules::new());
        let reported: Vec<_> = report.traces.iter().map(|trace| &*trace.spans[0].name).collect();
        assert_eq!(reported, names);
        drop(open);
    }

    #[test]
    fn a_discarded_parent_is_missing() {
        let capture = Capture::new();
        let request = capture.run(|| in_span("request", crate::Snapshot::capture));
        capture.clear();
        capture.run(|| span("job").parent(&request).run(|| ()));
        let missing = message(|| assert_unbroken!(capture, Rules::new()));
        assert!(missing.contains("missing-parent") && missing.contains("job (test)"), "{missing}");
    }

    #[test]
    fn a_missing_required_tag_is_reported() {
        let capture = Capture::new();
        capture.run(|| in_span("order", || ()));
        let missing = message(|| assert_unbroken!(capture, Rules::new().require_tag("tenant_id")));
        assert!(missing.contains("missing-tag") && missing.contains("tenant_id"), "{missing}");
    }
}
