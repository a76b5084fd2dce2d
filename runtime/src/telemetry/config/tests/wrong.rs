//! Values that are not valid.

use super::*;

/// As the specification has it for numbers, for words, for the argument of a sampler, and for the resource.
#[test]
fn a_wrong_value_is_ignored_with_a_warning_that_names_the_variable_the_value_and_what_is_allowed() {
    const SAMPLERS: &str = "one of `always_on`, `always_off`, `traceidratio`, `parentbased_always_on`, \
                            `parentbased_always_off`, `parentbased_traceidratio`";
    const MILLISECONDS: &str = "a non-negative integer of milliseconds";
    const COUNT: &str = "a non-negative integer";
    for (name, value, expected) in [
        ("OTEL_SDK_DISABLED", "yes", "one of `true`, `false`"),
        ("OTEL_SDK_DISABLED", "1", "one of `true`, `false`"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a", "comma-separated `key=value` pairs"),
        ("OTEL_RESOURCE_ATTRIBUTES", "b=c,%ff=a", "comma-separated `key=value` pairs"),
        ("OTEL_RESOURCE_ATTRIBUTES", "=a", "comma-separated `key=value` pairs"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "one of `otlp`, `console`, `none`"),
        ("OTEL_TRACES_EXPORTER", "otlp,console", "one of `otlp`, `console`, `none`"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "one of `grpc`, `http/protobuf`"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "x", "one of `grpc`, `http/protobuf`"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1s", MILLISECONDS),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "-1", MILLISECONDS),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "one of `gzip`, `none`"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zstd", "one of `gzip`, `none`"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", SAMPLERS),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "a positive integer"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1", "a positive integer"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "999999999", "at most the queue limit, 131072 (`OTEL_BSP_MAX_QUEUE_SIZE`)"),
        ("THROUGHLINE_MAX_QUEUE_BYTES", "1 GB", "a positive integer"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon", MILLISECONDS),
        ("OTEL_BSP_EXPORT_TIMEOUT", "x", MILLISECONDS),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "1e3", COUNT),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", COUNT),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "-1", COUNT),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "-1", COUNT),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "-1", COUNT),
        ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "-1", COUNT),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1", COUNT),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "0.5", COUNT),
        ("OTEL_CONFIG_FILE", "/etc/otel.yaml", "environment variables: files are not supported"),
    ] {
        let config = valid(&[(name, value)]);
        assert_eq!(warnings(&config), [format!("`{name}` is `{value}`; expected {expected}; the value is ignored")]);
        let without_warning = format!("{config:?}").replace(&format!("{:?}", warnings(&config)), "[]");
        assert_eq!(without_warning, format!("{:?}", valid(&[])), "{name}");
    }
    for ratio in ["1.5", "-0.1", "NaN", "half"] {
        let config = valid(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", ratio)]);
        let text =
            format!("`OTEL_TRACES_SAMPLER_ARG` is `{ratio}`; expected a number from 0.0 to 1.0; the value is ignored");
        assert_eq!((warnings(&config), config.sampler.root), (vec![&*text], RootSampler::Ratio(1.0)));
    }
    let long = valid(&[("OTEL_SDK_DISABLED", &"\n".repeat(1000))]);
    assert!(warnings(&long).is_empty(), "only whitespace counts as unset");
    let long = valid(&[("OTEL_SDK_DISABLED", &"x\n".repeat(1000))]);
    assert!(warnings(&long)[0].len() < 300 && !warnings(&long)[0].contains('\n'), "{:?}", warnings(&long));
}

#[test]
fn an_unknown_propagator_is_ignored_and_the_others_are_used() {
    const EXPECTED: &str = "a comma-separated list of `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, or `none`";
    for (list, unknown, formats) in [
        ("xray", "xray", None),
        ("b3, XRay", "XRay", Some(vec![Format::B3])),
        ("ottrace,none", "ottrace", Some(vec![])),
    ] {
        let config = valid(&[("OTEL_PROPAGATORS", list)]);
        let text = format!("`OTEL_PROPAGATORS` is `{list}`; expected {EXPECTED}; `{unknown}` is ignored");
        assert_eq!((warnings(&config), config.propagators.clone()), (vec![&*text], formats));
    }
}

/// The general variable applies then.
#[test]
fn a_wrong_value_for_traces_counts_as_unset() {
    let otlp = otlp(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zip"),
    ]);
    assert_eq!(
        (otlp.protocol.value, otlp.timeout, otlp.gzip),
        (Protocol::Grpc, Some(Duration::from_millis(250)), true)
    );
    assert_eq!(otlp.warnings.len(), 3, "{:?}", otlp.warnings);
    let limits = valid(&[("OTEL_ATTRIBUTE_COUNT_LIMIT", "7"), ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "x")]).limits;
    assert_eq!(limits.span.max_attributes_per_span, 7);
}

/// No default can stand in for these.
#[test]
fn what_cannot_be_ignored_is_an_error() {
    for (name, value, expected) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317", "a URL such as `http://localhost:4317`"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://", "a URL such as `http://localhost:4317`"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://#", "a URL such as `http://localhost:4317` (empty host)"),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://c:99999",
            "a URL such as `http://localhost:4317` (invalid port number)",
        ),
        ("THROUGHLINE_ERROR_TEXT", "none", "one of `full`, `type`"),
    ] {
        let error = read(&[(name, value)]).expect_err("the value is wrong");
        assert_eq!(error.to_string(), format!("`{name}` is `{value}`; expected {expected}"));
        assert_eq!(error.setting(), name);
    }
    let secret = read(&[("OTEL_EXPORTER_OTLP_HEADERS", "authorization secret")]).unwrap_err().to_string();
    assert_eq!(secret, "`OTEL_EXPORTER_OTLP_HEADERS` is `…`; expected comma-separated `name=value` pairs");
    let name = read(&[("OTEL_EXPORTER_OTLP_HEADERS", "mandänt=secret")]).unwrap_err().to_string();
    assert!(name.ends_with("is `…`; expected comma-separated `name=value` pairs, whose names are those of headers"));
    for value in ["s%E9cret", "s%0acret", "s%09cret", "s%00cret"] {
        let header = read(&[("OTEL_EXPORTER_OTLP_HEADERS", &format!("a=b,Tenant={value}"))]).unwrap_err().to_string();
        let expected =
            "`OTEL_EXPORTER_OTLP_HEADERS` is `tenant=…`; expected a value in UTF-8 without control characters";
        assert_eq!(header, expected, "{value}");
    }
    let long = read(&[("THROUGHLINE_ERROR_TEXT", &"x\n".repeat(1000))]).unwrap_err().to_string();
    assert!(long.len() < 300 && !long.contains('\n'), "{long}");
}

#[test]
fn a_bad_otlp_variable_counts_only_if_spans_may_be_exported_over_otlp() {
    let (bad, worse) = (("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"), ("OTEL_EXPORTER_OTLP_HEADERS", "authorization secret"));
    assert_eq!(warnings(&valid(&[bad])).len(), 1, "they may be");
    read(&[worse]).expect_err("they may be");
    for exporter in ["console", "none"] {
        let mut config = valid(&[("OTEL_TRACES_EXPORTER", exporter), bad]);
        assert!(warnings(&config).is_empty(), "{exporter}");
        config.exporter.set_collector("http://c:4317".to_owned(), Protocol::Grpc).expect("a URL");
        assert!(warnings(&config)[0].starts_with("`OTEL_EXPORTER_OTLP_TIMEOUT` is `soon`"), "{exporter}");
        let mut config = valid(&[("OTEL_TRACES_EXPORTER", exporter), worse]);
        let error = config.exporter.set_collector("http://c:4317".to_owned(), Protocol::Grpc).unwrap_err();
        assert_eq!(error.setting(), worse.0);
    }
}
