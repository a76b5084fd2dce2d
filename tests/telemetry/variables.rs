//! The `OTEL_*` variables, in the environment of a process.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, KeyValue, global};
use throughline_load::{Behaviour, Collector};

use crate::process::Program;
use crate::support::{Kept, attributes, run, trace};

const LIMIT: Duration = Duration::from_secs(30);

/// The roles of the second process.
pub(crate) fn play(role: &str) -> Option<()> {
    match role {
        // Some traces, and the effect of the variables.
        "traces" => {
            let telemetry = throughline::init().expect("the variables are valid");
            let mut headers = BTreeMap::new();
            throughline::in_span("call", || {
                Context::map_current(|context| {
                    let span = context.span();
                    println!("sampled {}", span.span_context().is_sampled());
                    span.set_attribute(KeyValue::new("long", "é".repeat(100)));
                    for n in 0..10 {
                        span.set_attribute(KeyValue::new(format!("key {n}"), n));
                        span.add_event("event", vec![KeyValue::new("a", "é".repeat(100)), KeyValue::new("b", 2)]);
                    }
                    global::get_text_map_propagator(|propagator| {
                        propagator.inject_context(context, &mut Headers(&mut headers));
                    });
                });
            });
            println!("headers {}", headers.keys().cloned().collect::<Vec<_>>().join(" "));
            println!("enabled {}", telemetry.provider().is_some());
            let report = run(telemetry.shutdown(LIMIT));
            assert!(report.is_complete(), "{report:?}");
        }
        "init" => match throughline::init() {
            Ok(_) => println!("it is valid"),
            Err(error) => println!("error: {error}"),
        },
        // Enough spans to observe the sizes of queue and batches.
        "many" => {
            let telemetry = throughline::init().expect("the variables are valid");
            (0..1_000).for_each(|_| trace(0));
            println!("queued {}", telemetry.queue_len());
            println!("not started {}", telemetry.export_stats().traces_not_started);
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).expect("it is closed");
            println!("flushed {}", telemetry.provider().expect("telemetry is enabled").force_flush().is_ok());
            drop(run(telemetry.shutdown(Duration::from_millis(500))));
        }
        // A span that is exported without a flush.
        "one span" => {
            let telemetry = throughline::init().expect("the variables are valid");
            trace(0);
            crate::process::until("it is exported", || telemetry.export_stats().exported == 1);
        }
        _ => return None,
    }
    Some(())
}

struct Headers<'a>(&'a mut BTreeMap<String, String>);

impl opentelemetry::propagation::Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key.to_owned(), value);
    }
}

/// Runs the role with these variables and a collector, and returns its standard output.
fn traces(kept: &Kept, variables: &[(&str, &str)]) -> String {
    both(kept, variables).0
}

/// The same, with its standard error.
fn both(kept: &Kept, variables: &[(&str, &str)]) -> (String, String) {
    let endpoint = kept.collector.endpoint();
    let mut all = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint)];
    all.extend(variables);
    Program::start("traces", &all).succeed()
}

#[test]
fn disabled() {
    let kept = Kept::start();
    let out = traces(&kept, &[("OTEL_SDK_DISABLED", "true")]);
    assert!(out.contains("enabled false") && out.contains("sampled false"), "{out}");
    assert_eq!(kept.collector.request_count(), 0);
    let out = traces(&kept, &[("OTEL_SDK_DISABLED", "false")]);
    assert!(out.contains("enabled true") && out.contains("sampled true"), "{out}");
    assert_eq!(kept.count(), 1);
}

#[test]
fn exporter() {
    let kept = Kept::start();
    let (out, err) = both(&kept, &[("OTEL_TRACES_EXPORTER", "none")]);
    assert!(!out.contains("1 span") && !err.contains("1 span"), "{out}\n{err}");
    // On standard error, so that it does not interleave with the application's output.
    let (out, err) = both(&kept, &[("OTEL_TRACES_EXPORTER", "console")]);
    assert!(err.contains("1 span") && err.lines().any(|line| line.starts_with("call ")), "{err}");
    assert!(!out.contains("1 span"), "{out}");
    assert_eq!(kept.collector.request_count(), 0);
    traces(&kept, &[("OTEL_TRACES_EXPORTER", "otlp")]);
    assert_eq!(kept.count(), 1);
}

#[test]
fn without_an_endpoint_the_tree_is_printed_in_a_debug_build() {
    let (out, err) = Program::start("traces", &[]).succeed();
    assert_eq!((out.contains("1 span"), err.contains("1 span")), (false, cfg!(debug_assertions)), "{out}\n{err}");
}

#[test]
fn endpoint_and_protocol() {
    let kept = Kept::start();
    for (variables, over_http) in [
        (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")][..], false),
        (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")], true),
        (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")], true),
        (&[], true),
    ] {
        traces(&kept, variables);
        assert_eq!(kept.requests().last().map(|request| request.over_http), Some(over_http), "{variables:?}");
    }
    assert_eq!(kept.count(), 4);
    // The endpoint for traces takes precedence, and is used unchanged.
    let other = Kept::start();
    let endpoint = format!("{}/v1/traces", other.collector.endpoint());
    traces(&kept, &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint)]);
    assert_eq!((kept.count(), other.count()), (4, 1));
}

#[test]
fn headers_and_compression_for_traces_take_precedence() {
    for protocol in ["grpc", "http/protobuf"] {
        let kept = Kept::start();
        traces(
            &kept,
            &[
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
                ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"),
                ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
                ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
            ],
        );
        let request = &kept.requests()[0];
        assert!(!request.headers.contains_key("a") && request.headers["b"] == "2", "{:?}", request.headers);
        let agent = request.headers["user-agent"].to_str().expect("text");
        assert!(agent.starts_with("throughline/"), "{agent}");
        assert!(!request.headers.contains_key("content-encoding") && !request.headers.contains_key("grpc-encoding"));
    }
}

#[test]
fn a_user_in_the_endpoint() {
    for (protocol, expected) in [("http/protobuf", Some("Basic bWU6c2VjcmV0")), ("grpc", None)] {
        let kept = Kept::start();
        let endpoint = kept.collector.endpoint().replace("://", "://me:secret@");
        traces(&kept, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)]);
        let sent = kept.requests()[0].headers.get("authorization").cloned();
        assert_eq!(sent.as_ref().map(|value| value.to_str().expect("text")), expected, "{protocol}");
    }
}

#[test]
fn http_goes_through_a_proxy() {
    let kept = Kept::start();
    let proxy = kept.collector.endpoint();
    let elsewhere = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.invalid:4318");
    traces(&kept, &[elsewhere, ("HTTP_PROXY", &proxy), ("NO_PROXY", "localhost")]);
    assert_eq!(kept.count(), 1);
    traces(&kept, &[("HTTP_PROXY", "http://proxy.invalid:1"), ("NO_PROXY", "127.0.0.1")]);
    assert_eq!(kept.count(), 2);
}

/// Nothing else shows that the request did not reach the collector.
#[test]
fn a_proxy_that_refuses_is_named() {
    let (kept, proxy) = (Kept::start(), Kept::start());
    proxy.set(Behaviour::Reject);
    let (endpoint, proxied) = (kept.collector.endpoint(), proxy.collector.endpoint());
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("HTTP_PROXY", &proxied)];
    let (_, err) = Program::start("refused", &variables).succeed();
    assert_eq!((kept.collector.request_count(), proxy.collector.request_count()), (0, 2));
    assert!(err.contains("status 400 Bad Request; check `HTTP_PROXY` and `NO_PROXY`"), "{err}");
    // It is the collector itself that refuses.
    kept.set(Behaviour::Reject);
    let excluded = [variables[0], variables[1], ("NO_PROXY", "example.org,127.0.0.0/8")];
    let (_, err) = Program::start("refused", &excluded).succeed();
    assert_eq!((kept.collector.request_count(), proxy.collector.request_count()), (2, 2));
    assert!(err.contains("status 400 Bad Request") && !err.contains("HTTP_PROXY"), "{err}");
}

/// A half-open connection: the request times out, and is retried over a new connection.
#[test]
fn timeout() {
    for protocol in ["grpc", "http/protobuf"] {
        let kept = Kept::start();
        kept.set(Behaviour::HalfOpen);
        let endpoint = kept.collector.endpoint();
        let program = Program::start(
            "one span",
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "100"),
                ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ],
        );
        crate::process::until("the exporter has connected twice", || kept.collector.connection_count() >= 2);
        kept.set(Behaviour::Accept);
        program.succeed();
        assert_eq!(kept.count(), 1, "{protocol}");
    }
}

#[test]
fn sampler() {
    let kept = Kept::start();
    for (sampler, argument, sampled) in [
        ("always_on", "", true),
        ("always_off", "", false),
        ("traceidratio", "0", false),
        ("traceidratio", "1.0", true),
        ("parentbased_always_on", "", true),
        ("parentbased_always_off", "", false),
        ("parentbased_traceidratio", "0.0", false),
        ("parentbased_traceidratio", "", true),
    ] {
        let before = kept.count();
        let out = traces(&kept, &[("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", argument)]);
        assert!(out.contains(&format!("sampled {sampled}")), "{sampler} {argument}: {out}");
        assert_eq!(kept.count() - before, usize::from(sampled));
    }
}

#[test]
fn propagators() {
    let kept = Kept::start();
    for (list, headers) in [
        ("", "headers traceparent"),
        ("tracecontext", "headers traceparent"),
        ("b3", "headers b3"),
        ("jaeger", "headers uber-trace-id"),
        ("xray", "headers x-amzn-trace-id"),
        ("b3multi,tracecontext", "headers traceparent x-b3-sampled x-b3-spanid x-b3-traceid"),
        ("none", "headers"),
    ] {
        let out = traces(&kept, &[("OTEL_PROPAGATORS", list)]);
        let line = out.lines().find(|line| line.starts_with("headers")).expect("the line is printed");
        assert_eq!(line.trim_end().to_ascii_lowercase(), headers, "{list}");
    }
}

fn many(collector: &Collector, variables: &[(&str, &str)]) -> Program {
    let endpoint = collector.endpoint();
    let mut all = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint)];
    all.extend(variables);
    Program::start("many", &all)
}

#[test]
fn sizes_of_queue_and_batch() {
    let kept = Kept::start();
    let variables = [("OTEL_BSP_MAX_QUEUE_SIZE", "2000"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "30")];
    let (out, _) = many(&kept.collector, &variables).succeed();
    assert!(out.contains("flushed true"), "{out}");
    assert_eq!(kept.count(), 1_000);
    let largest = kept.requests().iter().map(throughline_load::Request::len).max();
    assert_eq!(largest, Some(30));

    // If nothing is accepted, the queue fills up to three quarters; one batch is in flight.
    let kept = Kept::start();
    kept.set(Behaviour::Unavailable);
    let variables = [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100"),
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "20"),
    ];
    let (out, _) = many(&kept.collector, &variables).succeed();
    let number =
        |name: &str| out.split_once(name).and_then(|(_, rest)| rest.lines().next()?.trim().parse::<u32>().ok());
    assert!(number("queued").is_some_and(|queued| queued <= 75), "{out}");
    assert!(number("not started").is_some_and(|shed| (1_000 - 75 - 100..=1_000 - 75).contains(&shed)), "{out}");
    assert!(out.contains("flushed false"), "a flush observes its timeout: {out}");
}

#[test]
fn schedule_delay() {
    let kept = Kept::start();
    let endpoint = kept.collector.endpoint();
    for delay in ["0", "10", "700"] {
        Program::start("one span", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("OTEL_BSP_SCHEDULE_DELAY", delay)])
            .succeed();
    }
    assert_eq!(kept.count(), 3);
}

#[test]
fn limits() {
    let kept = Kept::start();
    traces(
        &kept,
        &[
            ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "6"),
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", "3"),
            ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "1"),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9"),
        ],
    );
    let span = kept.span("call");
    assert_eq!((span.attributes.len(), span.events.len()), (6, 3));
    assert!(span.dropped_attributes_count > 0 && span.dropped_events_count == 7);
    assert_eq!(attributes(&span.attributes)["long"], "é".repeat(9));
    for event in &span.events {
        assert_eq!((event.attributes.len(), event.dropped_attributes_count), (1, 1));
        assert_eq!(attributes(&event.attributes)["a"], "é".repeat(9));
    }
    let kept = Kept::start();
    traces(&kept, &[("OTEL_ATTRIBUTE_COUNT_LIMIT", "5"), ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4")]);
    let span = kept.span("call");
    assert_eq!((span.attributes.len(), span.events.len()), (5, 10));
    assert_eq!(attributes(&span.attributes)["long"], "é".repeat(4));
}

#[test]
fn invalid_values_are_errors() {
    for (name, value) in [
        ("OTEL_SDK_DISABLED", "maybe"),
        ("OTEL_RESOURCE_ATTRIBUTES", "novalue"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://#"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:99999"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_PROPAGATORS", "pigeon"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "none"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5s"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "-1"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "lots"),
    ] {
        let (out, _) = Program::start("init", &[(name, value)]).succeed();
        assert!(out.contains(&format!("error: `{name}` is `{value}`; expected ")), "{out}");
    }
    let (out, _) = Program::start("init", &[("OTEL_TRACES_EXPORTER", ""), ("OTEL_SDK_DISABLED", " ")]).succeed();
    assert!(out.contains("it is valid"), "{out}");
}

#[test]
fn there_is_a_warning_about_an_ignored_variable_even_without_a_subscriber() {
    // With an export thread, with a thread that watches open spans, and with neither.
    for more in
        [("OTEL_TRACES_EXPORTER", "otlp"), ("OTEL_TRACES_EXPORTER", "console"), ("OTEL_TRACES_EXPORTER", "none")]
    {
        for ignored in ["OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE", "OTEL_ENTITIES"] {
            let (out, err) = Program::start("init", &[more, (ignored, "a.yaml")]).succeed();
            assert!(out.contains("it is valid"), "{out}");
            assert!(err.contains(&format!("throughline: `{ignored}` is ignored: ")), "{more:?}: {err}");
        }
    }
}
