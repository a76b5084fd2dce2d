//! The audit of a process under load.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use throughline::audit::{Report, Rules};
use throughline::{SpanKind, propagation};

use super::memory::resident;
use super::{Checks, LIMIT, row};

/// The number of spans of a trace.
const SPANS: u64 = 6;

/// The number of spans in the queue at which the load pauses.
const MAX_QUEUED: usize = 20_000;

/// A request that sends a message, whose consumer is in the same process, and leaves a detached job.
async fn request() {
    let mut message = HashMap::new();
    let request = throughline::span("POST /orders").kind(SpanKind::Server).root().biz_tag("tenant_id", "acme");
    let mut job = None;
    request
        .run_async(async {
            throughline::span("load").tag("rows", 12).run(|| ());
            throughline::span("send orders").kind(SpanKind::Producer).run(|| propagation::inject(&mut message));
            job = Some(throughline::span("receipt").spawn(async {}));
        })
        .await;
    let message = propagation::extract(&message);
    let handle = throughline::span("process orders").kind(SpanKind::Consumer).parent(&message);
    handle.biz_tag("tenant_id", "acme").run(|| throughline::span("store").run(|| ()));
    if let Some(job) = job {
        job.await.expect("no panic");
    }
}

/// Runs complete traces, of which the given share is audited. Nothing is exported.
fn run(traces: u64, share: f64) -> Report {
    let rules = Rules::new().sample(share).require_tag("tenant_id").business_tag("tenant_id");
    let variables = |name: &str| (name == "OTEL_TRACES_EXPORTER").then(|| "none".to_owned());
    let builder = throughline::telemetry::builder().variables(variables).service_name("orders");
    let telemetry = builder.audit(rules).init().expect("a valid configuration");
    let audit = telemetry.audit().expect("the audit is enabled");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for _ in 0..traces {
            request().await;
            while telemetry.queue_len() > MAX_QUEUED {
                thread::sleep(Duration::from_micros(200));
            }
        }
        let report = telemetry.shutdown(LIMIT).await;
        assert!(report.is_complete(), "{report}");
    });
    audit.report()
}

/// Many complete traces, for which no break is reported.
///
/// # Panics
///
/// If telemetry loses a span.
pub fn audit(traces: u64, checks: &mut Checks) {
    println!("audit: {traces} traces of {SPANS} spans");
    let before = resident();
    let report = run(traces, 1.0);
    row("traces", report.total.traces);
    row("spans", report.total.spans);
    row("complete", report.total.percent());
    row("resident MB at the end", format!("{:.1}", resident()));
    row("  before", format!("{before:.1}"));
    checks.check("all were audited", (report.total.traces, report.total.spans) == (traces, traces * SPANS));
    checks.check("no break is reported", report.is_unbroken());
    checks.check("all are complete", report.total.complete == traces);
    if !report.is_unbroken() {
        println!("{report}");
    }
}

/// The same load without the audit. The difference is the cost of the audit.
///
/// # Panics
///
/// If telemetry loses a span.
pub fn unaudited(traces: u64, checks: &mut Checks) {
    println!("unaudited: {traces} traces of {SPANS} spans");
    let report = run(traces, 0.0);
    checks.check("none was audited", report.total.spans == 0);
}
