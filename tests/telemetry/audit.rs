//! The audit of a running process: each kind of break is reported with its place, and complete traces are not.

mod export;

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use throughline::audit::{BreakKind, LiveAudit, Report, Rules};
use throughline::telemetry::Telemetry;
use throughline::{Snapshot, biz_tags, propagation, traced, traced_spawn};
use throughline_load::Behaviour;

use crate::process::{alone, until};
use crate::support::{Kept, run};

const LIMIT: Duration = Duration::from_secs(30);

/// Telemetry with an audit, for the service `orders`.
fn audited(kept: &Kept, rules: Rules) -> (Telemetry, LiveAudit) {
    let telemetry = kept.builder().service_name("orders").audit(rules).init().expect("a valid configuration");
    let audit = telemetry.audit().expect("the audit is enabled");
    (telemetry, audit)
}

/// The report of the audit on the spans of `work`.
fn found_in(rules: Rules, work: impl Future<Output = ()>) -> Report {
    let kept = Kept::start();
    let (telemetry, audit) = audited(&kept, rules);
    let exported = run(async {
        work.await;
        telemetry.shutdown(LIMIT).await.stats.exported
    });
    let report = audit.report();
    assert_eq!(report.total.spans, exported, "every span is audited once");
    report
}

/// Asserts that there is a single break, of this kind, at this span and this line of this file.
#[track_caller]
fn assert_found(report: &Report, kind: BreakKind, span: &str, line: u32) {
    let [found] = &report.breaks[..] else { panic!("{report}") };
    assert_eq!((found.kind, &*found.span, found.count), (kind, span, 1), "{report}");
    assert_eq!(&*found.service, "orders");
    let place = found.place.as_ref().expect("a place");
    assert!(place.file.ends_with("tests/telemetry/audit.rs"), "{place}");
    assert_eq!(place.line, Some(line), "{report}");
    let is_complete = report.total.complete == report.total.traces;
    assert_eq!(is_complete, !kind.breaks_the_tree(), "{report}");
}

/// The span context of a caller.
fn caller(is_remote: bool) -> Context {
    let identity = SpanContext::new(7.into(), 9.into(), TraceFlags::SAMPLED, is_remote, TraceState::NONE);
    Context::new().with_remote_span_context(identity)
}

#[traced_spawn]
async fn send_receipt() {
    throughline::in_span("render", || ());
}

#[traced(kind = server, parent = caller)]
#[biz_tags(tenant_id)]
async fn place(caller: &Context, tenant_id: &str) -> HashMap<String, String> {
    let mut message = HashMap::new();
    throughline::span("send").kind(SpanKind::Producer).run(|| propagation::inject(&mut message));
    let _ = throughline::try_in_span_async("charge", async { Err::<(), _>("declined") }).await;
    drop(tokio::time::timeout(Duration::ZERO, throughline::in_span_async("hang", std::future::pending::<()>())).await);
    drop(send_receipt());
    message
}

const CONSUME: u32 = line!() + 2;
#[traced(kind = consumer, parent = message)]
fn consume(message: &HashMap<String, String>) {
    throughline::in_span("store", || ());
}

alone! {
    fn complete_traces_are_not_reported() {
        let report = found_in(Rules::new().require_tag("tenant_id").business_tag("tenant_id"), async {
            for _ in 0..500 {
                let message = place(&caller(true), "acme").await;
                assert!(message.contains_key("traceparent"));
            }
        });
        assert!(report.is_unbroken(), "{report}");
        assert_eq!(report.total.percent(), "100.000 %");
        // All requests have the same caller.
        assert_eq!((report.total.traces, report.total.spans), (1, 500 * 6));
        let service = report.service("orders").expect("it is there");
        assert_eq!(service.entry("place").map(|entry| entry.counts.spans), Some(500 * 6));
    }
}

alone! {
    fn messages_continue_their_trace() {
        let report = found_in(Rules::new(), async {
            let message = place(&Context::new(), "acme").await;
            consume(&message);
            consume(&message);
        });
        assert!(report.is_unbroken(), "{report}");
        assert_eq!((report.total.traces, report.total.complete, report.total.spans), (1, 1, 10));
        let service = report.service("orders").expect("it is there");
        assert_eq!(service.entry("consume").map(|entry| entry.counts.spans), Some(4));
    }
}

alone! {
    fn a_consumer_of_a_message_without_a_context() {
        let report = found_in(Rules::new(), async { consume(&HashMap::new()) });
        assert_found(&report, BreakKind::UnparentedEntry, "consume", CONSUME);
        let function = report.breaks[0].place.as_ref().and_then(|place| place.function.clone());
        assert!(function.is_some_and(|function| function.ends_with("audit::consume")), "{report}");
    }
}

alone! {
    /// The span of the loop is linked, but is not the cause.
    fn a_consumer_of_a_message_without_a_context_in_a_loop_with_a_span() {
        let report = found_in(Rules::new(), async { throughline::in_span("poll", || consume(&HashMap::new())) });
        assert_found(&report, BreakKind::UnparentedEntry, "consume", CONSUME);
    }
}

alone! {
    fn a_job_that_lost_its_parent() {
        let report = found_in(Rules::new(), async {
            // A bare `tokio::spawn` loses the context.
            let lost = tokio::spawn(async { send_receipt().await });
            lost.await.expect("no panic").expect("no panic");
        });
        assert_eq!(report.count(BreakKind::UnparentedEntry), 1, "{report}");
        assert_eq!(&*report.breaks[0].span, "send_receipt");
        let allowed = found_in_again(Rules::new().allow_root("send_receipt"));
        assert!(allowed.is_unbroken(), "{allowed}");
    }
}

fn found_in_again(rules: Rules) -> Report {
    found_in(rules, async { send_receipt().await.expect("no panic") })
}

alone! {
    fn a_parent_that_never_arrives() {
        let mut line = 0;
        let report = found_in(Rules::new(), async {
            // The IDs of a local span that was never recorded.
            line = line!() + 1;
            throughline::span("store").parent(&caller(false)).run(|| ());
        });
        assert_found(&report, BreakKind::MissingParent, "store", line);
        assert_eq!(report.breaks[0].examples[0].trace_id, Some(TraceId::from(7)));
        assert_eq!(report.breaks[0].examples[0].detail, format!("its parent {} was never received", SpanId::from(9)));
    }
}

alone! {
    fn a_span_that_never_ended() {
        let kept = Kept::start();
        let (telemetry, audit) = audited(&kept, Rules::new());
        let mut line = 0;
        run(async {
            throughline::in_span_async("request", async {
                line = line!() + 1;
                drop(throughline::span("stuck").spawn(std::future::pending::<()>()));
            })
            .await;
            telemetry.shutdown(Duration::from_secs(4)).await
        });
        assert_found(&audit.report(), BreakKind::NeverEnded, "stuck", line);
    }
}

alone! {
    fn a_span_that_has_been_open_for_too_long() {
        let kept = Kept::start();
        let builder = kept.builder().service_name("orders").open_span_warning(Duration::from_millis(600));
        let telemetry = builder.audit(Rules::new()).init().expect("a valid configuration");
        let audit = telemetry.audit().expect("the audit is enabled");
        let line = line!() + 1;
        throughline::in_span("slow", || {
            until("the span is old enough", || telemetry.open_spans()[0].age >= Duration::from_millis(600));
            let report = audit.report();
            assert_eq!((report.total.traces, report.count(BreakKind::NeverEnded)), (0, 1), "{report}");
            let place = report.breaks[0].place.as_ref().and_then(|place| place.line);
            assert_eq!((&*report.breaks[0].span, place), ("slow", Some(line)), "{report}");
        });
        telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector accepts the spans");
        // By now, the span has ended.
        let report = audit.report();
        assert!(report.is_unbroken(), "{report}");
        assert_eq!(report.total.complete, 1);
    }
}

alone! {
    /// Like its spans that have ended.
    fn an_open_span_of_a_trace_that_is_not_in_the_sample() {
        let kept = Kept::start();
        let builder = kept.builder().open_span_warning(Duration::from_millis(1)).audit(Rules::new().sample(0.0));
        let telemetry = builder.init().expect("a valid configuration");
        let audit = telemetry.audit().expect("the audit is enabled");
        throughline::in_span("slow", || {
            until("the span is old enough", || telemetry.open_spans()[0].age >= Duration::from_millis(1));
            let report = audit.report();
            assert!(report.is_unbroken(), "{report}");
        });
    }
}

alone! {
    fn a_span_that_began_after_its_parent_had_ended() {
        let mut line = 0;
        let report = found_in(Rules::new(), async {
            let (context, snapshot) =
                throughline::in_span("request", || (Context::current(), Snapshot::capture()));
            let ended = SystemTime::now();
            until("some time has passed", || SystemTime::now() > ended + Duration::from_micros(100));
            // A snapshot is meant to outlive the request.
            snapshot.run(|| throughline::in_span("notify", || ()));
            let _attached = context.attach();
            line = line!() + 1;
            throughline::in_span("late", || ());
        });
        assert_found(&report, BreakKind::EndedBeforeChild, "late", line);
    }
}

#[traced]
#[biz_tags(required(tenant_id))]
fn tagged(tenant_id: Option<&'static str>) {}

alone! {
    fn tags_that_are_missing() {
        let report = found_in(Rules::new(), async { tagged(None) });
        assert_eq!(report.count(BreakKind::MissingTag), 1, "{report}");
        assert_eq!(report.breaks[0].subject.as_deref(), Some("tenant_id"));
        assert_eq!(report.breaks[0].examples[0].detail, "the required tag `tenant_id` had no value");
    }
}

alone! {
    fn tags_that_no_span_has() {
        let report = found_in(Rules::new().require_tag("order_no"), async { tagged(Some("acme")) });
        assert_eq!(report.count(BreakKind::MissingTag), 1, "{report}");
        assert_eq!(report.breaks[0].examples[0].detail, "it does not have the required tag `order_no`");
    }
}

alone! {
    fn two_values_of_a_business_tag() {
        let report = found_in(Rules::new().business_tag("tenant_id"), async {
            throughline::in_span("batch", || {
                tagged(Some("acme"));
                tagged(Some("globex"));
            });
        });
        assert_eq!(report.count(BreakKind::ConflictingTag), 1, "{report}");
        let detail = "`tenant_id` is `globex` here, and `acme` on `tagged`";
        assert_eq!(report.breaks[0].examples[0].detail, detail);
    }
}

alone! {
    fn an_injection_without_a_span() {
        let mut line = 0;
        let report = found_in(Rules::new(), async {
            let mut headers = HashMap::new();
            throughline::in_span("request", || propagation::inject(&mut headers));
            line = line!() + 1;
            propagation::inject(&mut headers);
        });
        assert_found(&report, BreakKind::InjectionWithoutSpan, "", line);
    }
}

alone! {
    fn a_sampled_trace_that_is_refused_because_of_load() {
        let kept = Kept::start();
        kept.set(Behaviour::Unavailable);
        let builder = kept.builder().service_name("orders").max_queue_size(8).audit(Rules::new());
        let telemetry = builder.init().expect("a valid configuration");
        let audit = telemetry.audit().expect("the audit is enabled");
        for _ in 0..8 {
            throughline::span("fill").parent(&caller(true)).run(|| ());
        }
        until("a trace is refused", || {
            throughline::span("refused").parent(&caller(true)).run(|| ());
            audit.report().count(BreakKind::SamplingFlipped) > 0
        });
        kept.set(Behaviour::Accept);
        drop(telemetry);
        let report = audit.report();
        assert_eq!(report.breaks.len(), 1, "{report}");
        assert_eq!(&*report.breaks[0].service, "orders");
    }
}

alone! {
    fn too_many_names_and_keys() {
        let report = found_in(Rules::new().max_names(50).max_keys(50), async {
            for number in 0..60 {
                let key = format!("order.{number}");
                throughline::span(format!("GET /orders/{number}")).run(|| {
                    Context::map_current(|current| current.span().set_attribute(KeyValue::new(key, 1)));
                });
            }
        });
        let details: Vec<_> = report.breaks.iter().map(|found| &found.examples[0].detail[..26]).collect();
        assert_eq!(details, ["more than 50 span names, su", "more than 50 attribute keys"].map(|text| &text[..26]));
        assert_eq!(report.total.percent(), "100.000 %");
    }
}
