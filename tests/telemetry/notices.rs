//! Log messages of initialization and shutdown, with and without a subscriber.

use std::time::Duration;

use opentelemetry::trace::TraceContextExt as _;
use throughline::telemetry::{Protocol, Telemetry};
use throughline_load::Behaviour;
use tracing::Level;

use crate::process::{Program, alone, until};
use crate::support::{Kept, Log, run, trace};

const LIMIT: Duration = Duration::from_secs(30);

/// The roles of the second process.
pub(crate) fn play(role: &str) -> Option<()> {
    match role {
        // Exports two batches that are refused, without a subscriber.
        "refused" => {
            let telemetry = throughline::init().expect("the variables are valid");
            for spans in 0..2 {
                trace(spans);
                telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector responds");
            }
            let report = run(telemetry.shutdown(LIMIT));
            assert_eq!(report.stats.refused, 3, "{report:?}");
        }
        // The same, with a subscriber that the export thread does not have.
        "refused, with a subscriber elsewhere" => {
            let log = Log::default();
            let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).finish();
            tracing::subscriber::with_default(subscriber, || play("refused"));
            assert_eq!(log.count("shut down in"), 1, "{}", log.text());
        }
        "printed" => {
            let telemetry = throughline::init().expect("the variables are valid");
            trace(1);
            println!("{}", run(telemetry.shutdown(LIMIT)));
            let rules = throughline::audit::Rules::new();
            let telemetry = throughline::telemetry::builder().audit(rules).init().expect("the variables are valid");
            trace(1);
            let open = throughline::span("open").start();
            println!("{}", run(telemetry.shutdown(LIMIT)));
            drop(open);
        }
        _ => return None,
    }
    Some(())
}

fn nothing_exported() -> throughline::telemetry::Builder {
    throughline::telemetry::builder().variables(|name| (name == "OTEL_TRACES_EXPORTER").then(|| "none".to_owned()))
}

alone! {
    fn init_logs_its_configuration() {
        let log = Log::keep_from(Level::INFO);
        let version = env!("CARGO_PKG_VERSION");
        let kept = Kept::start();
        drop(kept.builder().service_name("orders").init().expect("a valid configuration"));
        let expected = format!(
            "throughline {version}: service `orders`, exporting to `{}` (grpc), sampler `parentbased_always_on`\n",
            kept.collector.endpoint()
        );
        assert!(log.text().contains(&format!("INFO throughline: {expected}")), "{}", log.text());

        let sampled = |name: &str| match name {
            "OTEL_TRACES_SAMPLER" => Some("traceidratio".to_owned()),
            "OTEL_TRACES_SAMPLER_ARG" => Some("0.25".to_owned()),
            "OTEL_TRACES_EXPORTER" => Some("none".to_owned()),
            "OTEL_SERVICE_NAME" => Some("stock".to_owned()),
            _ => None,
        };
        drop(throughline::telemetry::builder().variables(sampled).init().expect("a valid configuration"));
        let expected =
            format!("{version}: service `stock`, exporting nothing, sampler `parentbased_traceidratio` (0.25)\n");
        assert!(log.text().contains(&expected), "{}", log.text());
        let expected = "`OTEL_TRACES_SAMPLER` is `traceidratio`, which would produce partial traces; using \
                        `parentbased_traceidratio`";
        assert_eq!(log.count(expected), 1, "{}", log.text());

        let disabled = |name: &str| (name == "OTEL_SDK_DISABLED").then(|| "true".to_owned());
        drop(throughline::telemetry::builder().variables(disabled).init().expect("a valid configuration"));
        assert_eq!(log.count(&format!("throughline {version}: disabled by `OTEL_SDK_DISABLED`")), 1, "{}", log.text());
        trace(0);
        assert_eq!(log.count("span discarded"), 0, "{}", log.text());
    }
}

alone! {
    fn messages_of_init_are_deferred_until_there_is_a_subscriber() {
        let telemetry = nothing_exported().init().expect("a valid configuration");
        let log = Log::keep_from(Level::INFO);
        until("the message is logged", || log.count("exporting nothing") == 1);
        drop(telemetry);
    }
}

alone! {
    fn the_number_of_deferred_messages_is_bounded() {
        let disabled = |name: &str| (name == "OTEL_SDK_DISABLED").then(|| "true".to_owned());
        let init = |_| throughline::telemetry::builder().variables(disabled).init().expect("a valid configuration");
        let telemetry: Vec<_> = (0..20).map(init).collect();
        let log = Log::keep_from(Level::INFO);
        drop(telemetry);
        assert_eq!(log.count("disabled by `OTEL_SDK_DISABLED`"), 16, "{}", log.text());
    }
}

alone! {
    fn there_is_one_warning_about_discarded_spans() {
        // Without a subscriber, nothing is logged.
        trace(1);
        let log = Log::keep();
        assert_eq!(log.text(), "");
        let quiet = opentelemetry::Context::enter_telemetry_suppressed_scope();
        trace(1);
        drop(quiet);
        assert_eq!(log.text(), "", "no warning where telemetry is suppressed");
        trace(1);
        trace(1);
        let expected = "telemetry is not set up; call `throughline::init()`, or `throughline::install`";
        assert_eq!((log.count(expected), log.count("span discarded")), (1, 1), "{}", log.text());
    }
}

alone! {
    fn there_is_a_warning_if_the_value_of_init_was_dropped() {
        let log = Log::keep();
        let _ = nothing_exported().init().expect("a valid configuration");
        assert_eq!(log.text(), "", "harmless in a program without spans");
        trace(1);
        trace(1);
        let expected = "the value returned by `throughline::init()` was dropped; keep it until the end of `main`";
        assert_eq!((log.count(expected), log.count("span discarded")), (1, 1), "{}", log.text());
    }
}

alone! {
    fn there_is_no_warning_after_a_shutdown_or_with_another_provider() {
        let log = Log::keep();
        run(nothing_exported().init().expect("a valid configuration").shutdown(LIMIT));
        trace(1);
        let _ = nothing_exported().init().expect("a valid configuration");
        throughline::install(&opentelemetry::trace::noop::NoopTracerProvider::new());
        trace(1);
        assert_eq!(log.text(), "");
    }
}

alone! {
    fn there_is_no_warning_after_a_global_provider_was_shut_down() {
        let log = Log::keep();
        let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
        opentelemetry::global::set_tracer_provider(provider.clone());
        trace(1);
        provider.shutdown().expect("nothing to export");
        trace(1);
        assert_eq!(log.text(), "");
    }
}

/// Each kind of warning is written once, and the report of the shutdown.
#[test]
fn without_a_subscriber_the_first_warnings_are_written_to_standard_error() {
    let kept = Kept::start();
    kept.set(Behaviour::Reject);
    let (_, err) = Program::start("refused", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &kept.collector.endpoint())]).succeed();
    let told: Vec<_> = err.lines().filter(|line| line.starts_with("throughline: ")).collect();
    assert_eq!(told.len(), 2, "{err}");
    assert!(told[0].contains(&kept.collector.endpoint()) && told[0].contains("refused 1 span: status 400"), "{err}");
    assert!(told[1].contains("shut down in") && told[1].contains("0 spans exported, 3 spans refused"), "{err}");

    let (_, err) = Program::start(
        "refused, with a subscriber elsewhere",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &kept.collector.endpoint())],
    )
    .succeed();
    let told: Vec<_> = err.lines().filter(|line| line.starts_with("throughline: ")).collect();
    assert!(told.len() == 1 && told[0].contains("refused 1 span"), "{err}");
}

fn stuck(kept: &Kept) -> Telemetry {
    let telemetry = kept.builder().init().expect("a valid configuration");
    trace(1);
    telemetry
}

alone! {
    fn a_shutdown_logs_its_report() {
        let log = Log::keep_from(Level::INFO);
        let kept = Kept::start();
        let report = run(stuck(&kept).shutdown(LIMIT));
        assert!(report.to_string().ends_with(": 2 spans exported"), "{report}");
        assert_eq!(log.count(&format!("INFO throughline: {report}")), 1, "{}", log.text());

        kept.set(Behaviour::Unavailable);
        let reason = "before the shutdown timed out: Unavailable: not now";
        // On a busy machine, the response may take longer.
        for (limit, reports) in [200, 2_000, 20_000].into_iter().zip(1..) {
            let telemetry = stuck(&kept);
            let report = run(async {
                let job = throughline::span("stuck\njob").spawn(std::future::pending::<()>());
                let report = telemetry.shutdown(Duration::from_millis(limit)).await;
                job.abort();
                report
            });
            let expected =
                ": 0 spans exported, 1 detached job still running, 1 span still open, 3 spans not exported; `stuck\\njob` had \
                 been open for 0 s";
            assert!(reports > 1 || report.to_string().ends_with(expected), "{report}");
            assert_eq!(log.count(&format!("WARN throughline: {report}")), 1, "{}", log.text());
            assert_eq!(log.count("3 spans not exported to `http"), reports, "{}", log.text());
            if log.text().contains(reason) {
                break;
            }
        }
        assert!(log.text().contains(reason), "{}", log.text());
    }
}

/// Printed and audited spans do not count as exported.
#[test]
fn without_an_exporter_a_shutdown_counts_no_spans() {
    let (out, err) = Program::start("printed", &[("OTEL_TRACES_EXPORTER", "console")]).succeed();
    assert!(err.contains("2 spans"), "{err}");
    let reports: Vec<_> = out.lines().filter(|line| line.contains("shut down in ")).collect();
    assert_eq!(reports.len(), 2, "{out}");
    assert!(reports[0].ends_with(" s"), "{out}");
    assert!(reports[1].ends_with(" s: 1 span still open; `open` had been open for 0 s"), "{out}");
}

alone! {
    fn dropping_logs_the_report() {
        let log = Log::keep_from(Level::INFO);
        let kept = Kept::start();
        kept.set(Behaviour::Reject);
        let telemetry = stuck(&kept);
        drop(telemetry);
        assert_eq!(log.count("WARN throughline: shut down in"), 1, "{}", log.text());
        assert!(log.text().contains("0 spans exported, 2 spans refused"), "{}", log.text());
    }
}

alone! {
    fn an_invalid_endpoint_in_code_is_named_by_its_method() {
        for (address, expected) in [
            ("http://#", "`Builder::collector` is `http://#`; expected a URL such as `http://localhost:4317` (empty host)"),
            (
                "http://c:99999",
                "`Builder::collector` is `http://c:99999`; expected a URL such as `http://localhost:4317` (invalid port \
                 number)",
            ),
        ] {
            for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
                let builder = throughline::telemetry::builder().variables(|_| None).collector(address, protocol);
                assert_eq!(builder.init().expect_err("an invalid endpoint").to_string(), expected);
            }
        }
    }
}

alone! {
    /// "Span Limits": "There SHOULD be a message printed in the SDK's log".
    fn there_is_one_warning_about_spans_that_exceed_a_limit() {
        let log = Log::keep();
        let limits = |name: &str| match name {
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT" | "OTEL_SPAN_EVENT_COUNT_LIMIT" => Some("5".to_owned()),
            _ => None,
        };
        let kept = Kept::start();
        let telemetry = kept.builder().variables(limits).init().expect("a valid configuration");
        for name in ["few", "first", "second"] {
            throughline::span(name).run(|| {
                let count = if name == "few" { 1 } else { 7 };
                (0..count).for_each(|n| throughline::current_context().span().add_event(format!("{n}"), Vec::new()));
            });
        }
        let tagged = ["a", "b", "c", "d", "e", "f"].into_iter().fold(throughline::span("tagged"), |span, key| span.tag(key, 1));
        tagged.run(|| {});
        run(telemetry.shutdown(Duration::from_secs(30)));
        // The next shutdown checks for messages again.
        let next = kept.builder().variables(limits).init().expect("a valid configuration");
        run(next.shutdown(Duration::from_secs(30)));
        let (text, expected) = (log.text(), [
            "span `first` exceeds the limit of 5 events (`OTEL_SPAN_EVENT_COUNT_LIMIT`); dropped: 2; other spans",
            "span `tagged` exceeds the limit of 5 attributes (`OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`); dropped: ",
        ]);
        assert!(expected.iter().all(|expected| text.contains(expected)), "{text}");
        assert_eq!(log.count("exceeds the limit"), 2, "{text}");
    }
}
