mod defaults;
mod unused;

use std::time::Duration;

use super::otlp::redacted_url;
use super::sampler::RootSampler;
use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let get = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Config::from_env(&Env::new(&get))
}

fn valid(variables: &[(&str, &str)]) -> Config {
    read(variables).expect("the variables are valid")
}

fn otlp(variables: &[(&str, &str)]) -> OtlpConfig {
    let config = valid(variables);
    assert_eq!(config.exporter.destination, Destination::Otlp);
    config.exporter.otlp().expect("it was parsed").clone()
}

fn headers(otlp: &OtlpConfig) -> Vec<(&str, &str)> {
    otlp.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect()
}

#[test]
fn nothing_set() {
    let config = valid(&[]);
    assert!(!config.disabled && config.resource.is_empty() && config.exporter.destination == Destination::Auto);
    let sampler = SamplerConfig { root: RootSampler::AlwaysOn, not_parent_based: None, has_unused_argument: false };
    assert_eq!((config.sampler, config.propagators), (sampler, None));
    let batch = BatchConfig {
        max_queue_size: Setting { value: DEFAULT_MAX_QUEUE_SIZE, name: "OTEL_BSP_MAX_QUEUE_SIZE" },
        max_queue_bytes: None,
        max_export_batch_size: 512,
        schedule_delay: Duration::from_secs(5),
        export_timeout: Duration::from_secs(30),
    };
    assert_eq!(config.batch, batch);
}

#[test]
fn disabled() {
    for (value, disabled) in [("true", true), ("TRUE", true), ("false", false)] {
        assert_eq!(valid(&[("OTEL_SDK_DISABLED", value)]).disabled, disabled);
    }
    let wrong = ("OTEL_EXPORTER_OTLP_PROTOCOL", "x");
    let config = valid(&[("OTEL_SDK_DISABLED", "true"), wrong, ("OTEL_PROPAGATORS", "b3")]);
    assert_eq!(
        (config.disabled, config.propagators),
        (true, Some(vec![Format::B3])),
        "only variables for propagation are read"
    );
}

/// As the specification requires.
#[test]
fn a_timeout_of_zero_means_no_limit() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317");
    assert_eq!(otlp(&[endpoint, ("OTEL_EXPORTER_OTLP_TIMEOUT", "0")]).timeout, None);
    let both = [endpoint, ("OTEL_EXPORTER_OTLP_TIMEOUT", "5"), ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0")];
    assert_eq!(otlp(&both).timeout, None);
    assert_eq!(valid(&[("OTEL_BSP_EXPORT_TIMEOUT", "0")]).batch.export_timeout, Duration::MAX);
    assert_eq!(valid(&[("OTEL_BSP_SCHEDULE_DELAY", "0")]).batch.schedule_delay, Duration::ZERO);
}

#[test]
fn an_endpoint_is_shown_without_credentials() {
    for (address, shown) in [
        ("http://c:4317", "http://c:4317"),
        ("http://me:secret@c:4317/v1/traces", "http://…@c:4317/v1/traces"),
        ("http://me:s@cret@c", "http://…@c"),
        ("http://c/a@b", "http://c/a@b"),
        ("http://c/v1/traces?token=secret#x", "http://c/v1/traces?…"),
        ("me:secret@c:4317", "…@c:4317"),
        // Characters that should have been percent-encoded.
        ("http://me:se/cret@c:4317/v1", "http://…@c:4317/v1"),
        ("http://me:se?cret@c", "http://…@c"),
        ("http://c/a?token=se?cret", "http://c/a?…"),
        ("http://c/otlp/ZaVnC4dhaV2nFmRUkCPy/v1/traces?a=b", "http://c/otlp/…/v1/traces?…"),
        (
            "http://collector-0.shop.example:4317/opentelemetry-collector/v1",
            "http://collector-0.shop.example:4317/opentelemetry-collector/v1",
        ),
        ("http://me:#secret@c", "http://…@c"),
    ] {
        assert_eq!(redacted_url(address), shown);
    }
    let error = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://me:secret@c")]).unwrap_err().to_string();
    assert!(error.contains("`ftp://…@c`") && !error.contains("secret"), "{error}");
}

#[test]
fn resource() {
    let config = valid(&[
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a, deployment.environment.name=prod%20eu ,team=x"),
        ("OTEL_SERVICE_NAME", "orders"),
    ]);
    let expected = [("deployment.environment.name", "prod eu"), ("team", "x"), ("service.name", "orders")];
    assert_eq!(config.resource, expected.map(|(key, value)| KeyValue::new(key, value)));
    // Percent-encoded commas and equals signs are part of keys and values.
    let config = valid(&[("OTEL_RESOURCE_ATTRIBUTES", "a%2Cb%3Dc=1%2C2=3%")]);
    assert_eq!(config.resource, [KeyValue::new("a,b=c", "1,2=3%")]);
}

#[test]
fn exporter() {
    assert_eq!(valid(&[("OTEL_TRACES_EXPORTER", "none")]).exporter.destination, Destination::Nowhere);
    assert_eq!(valid(&[("OTEL_TRACES_EXPORTER", "console")]).exporter.destination, Destination::Console);
    assert_eq!(otlp(&[("OTEL_TRACES_EXPORTER", "otlp")]).endpoint.value, "http://localhost:4318/v1/traces");
}

#[test]
fn endpoint_and_protocol() {
    const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    for (variables, endpoint, protocol) in [
        (vec![(ALL, "http://c:4317")], "http://c:4317", Protocol::Grpc),
        (vec![(ALL, "http://c:4318")], "http://c:4318/v1/traces", Protocol::HttpProtobuf),
        (vec![(ALL, "http://c:4318/base/")], "http://c:4318/base/v1/traces", Protocol::HttpProtobuf),
        (vec![(TRACES, "http://c:4318/own")], "http://c:4318/own", Protocol::HttpProtobuf),
        (vec![(TRACES, "http://t:1/x"), (ALL, "http://c:4317")], "http://t:1/x", Protocol::HttpProtobuf),
        (vec![(ALL, "http://c:9/a/?key=/b/")], "http://c:9/a/v1/traces?key=/b/", Protocol::HttpProtobuf),
        (vec![(ALL, "http://c:9/a/?key=?/b/")], "http://c:9/a/v1/traces?key=?/b/", Protocol::HttpProtobuf),
        (vec![(ALL, "http://c:9/a/#/b/")], "http://c:9/a/v1/traces#/b/", Protocol::HttpProtobuf),
        (vec![(ALL, "HTTP://C:4318")], "http://C:4318/v1/traces", Protocol::HttpProtobuf),
        (vec![(TRACES, "Https://c/x")], "https://c/x", Protocol::HttpProtobuf),
        (vec![(ALL, "http://c:9"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], "http://c:9", Protocol::Grpc),
        (
            vec![
                (ALL, "http://c:9"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ],
            "http://c:9/v1/traces",
            Protocol::HttpProtobuf,
        ),
    ] {
        let otlp = otlp(&variables);
        assert_eq!((otlp.endpoint.value.as_str(), otlp.protocol.value), (endpoint, protocol), "{variables:?}");
    }
}

#[test]
fn headers_timeout_compression() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317");
    let plain = otlp(&[endpoint]);
    assert_eq!((headers(&plain), plain.timeout, plain.gzip), (vec![], Some(Duration::from_secs(10)), false));
    let full = otlp(&[
        endpoint,
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Basic%20eDp5eg==, tenant = a"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ]);
    assert_eq!(headers(&full), [("authorization", "Basic eDp5eg=="), ("tenant", "a")]);
    assert_eq!((full.timeout, full.gzip), (Some(Duration::from_millis(250)), true));
    for header in
        ["Content-Length=1", "transfer-encoding=x", "host=x", "te=trailers", "grpc-timeout=1S", "a=1,upgrade=h2c"]
    {
        let name = header.rsplit(',').next().and_then(|pair| pair.split('=').next()).expect("a name").to_lowercase();
        let error = read(&[endpoint, ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", header)]).unwrap_err().to_string();
        let expected = format!(
            "`OTEL_EXPORTER_OTLP_TRACES_HEADERS` is `{name}=…`; expected no `{name}` header, which the exporter sets \
             itself"
        );
        assert_eq!(error, expected);
    }
    let own = otlp(&[
        endpoint,
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
    ]);
    assert_eq!((headers(&own), own.timeout, own.gzip), (vec![("b", "2")], Some(Duration::from_millis(1)), false));
}

#[cfg(feature = "otlp-tls")]
#[test]
fn pem_files_for_traces_take_precedence() {
    const GENERAL: [(&str, &str); 4] = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c:4317"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "client"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "key"),
    ];
    let files = |variables: &[(&str, &str)]| {
        let tls = otlp(variables).tls;
        let (certificate, key) = tls.client_identity().expect("both files").expect("a client certificate");
        let authorities = tls.ca_certificates.as_ref().expect("CA certificates");
        [authorities, certificate, key].map(|file| (file.name, file.value.clone()))
    };
    assert_eq!(files(&GENERAL), [1, 2, 3].map(|at| (GENERAL[at].0, GENERAL[at].1.to_owned())));
    let of_traces = GENERAL.map(|(name, _)| (name.replace("OTLP_", "OTLP_TRACES_"), "traces"));
    for (at, (name, value)) in of_traces.iter().enumerate().skip(1) {
        let variables = [&GENERAL[..], &[(name, value)]].concat();
        let mut expected = files(&GENERAL).map(|(name, file)| (name.to_owned(), file));
        expected[at - 1] = (name.clone(), (*value).to_owned());
        assert_eq!(files(&variables).map(|(name, file)| (name.to_owned(), file)), expected);
    }
}

#[test]
fn sampler() {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    for (variables, root, is_wrapped) in [
        (vec![(NAME, "always_on")], RootSampler::AlwaysOn, true),
        (vec![(NAME, "always_off")], RootSampler::AlwaysOff, true),
        (vec![(NAME, "traceidratio"), (ARGUMENT, "0.25")], RootSampler::Ratio(0.25), true),
        (vec![(NAME, "traceidratio")], RootSampler::Ratio(1.0), true),
        (vec![(NAME, "parentbased_always_on")], RootSampler::AlwaysOn, false),
        (vec![(NAME, "parentbased_always_off")], RootSampler::AlwaysOff, false),
        (vec![(NAME, "parentbased_traceidratio"), (ARGUMENT, "0")], RootSampler::Ratio(0.0), false),
    ] {
        let config = valid(&variables);
        let not_parent_based = is_wrapped.then_some(variables[0].1);
        assert_eq!(
            config.sampler,
            SamplerConfig { root, not_parent_based, has_unused_argument: false },
            "{variables:?}"
        );
    }
}

#[test]
fn propagators() {
    let of = |list| valid(&[("OTEL_PROPAGATORS", list)]).propagators;
    assert_eq!(of("tracecontext,baggage"), Some(vec![Format::TraceContext, Format::Baggage]));
    assert_eq!(of("b3, b3multi, jaeger, xray"), Some(vec![Format::B3, Format::B3Multi, Format::Jaeger, Format::XRay]));
    assert_eq!(of("none"), Some(vec![]));
    assert_eq!(of("B3, None"), Some(vec![Format::B3]));
    assert_eq!(of(" ,"), None, "an empty list");
}

#[test]
fn batching_and_limits() {
    let config = valid(&[
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10"),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "3000"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "7"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "3"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "4"),
        ("OTEL_SPAN_LINK_COUNT_LIMIT", "5"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "64"),
    ]);
    let batch = BatchConfig {
        max_queue_size: Setting { value: 100, name: "OTEL_BSP_MAX_QUEUE_SIZE" },
        max_queue_bytes: None,
        max_export_batch_size: 10,
        schedule_delay: Duration::from_millis(200),
        export_timeout: Duration::from_secs(3),
    };
    assert_eq!(config.batch, batch);
    let limits = config.limits.span;
    assert_eq!((limits.max_attributes_per_span, limits.max_attributes_per_event), (7, 3));
    assert_eq!((limits.max_attributes_per_link, limits.max_events_per_span, limits.max_links_per_span), (7, 4, 5));
    assert_eq!(config.limits.attribute_value_length, Some(64));
    assert_eq!(valid(&[("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "9")]).limits.span.max_attributes_per_span, 9);
    assert_eq!(valid(&[("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "9")]).limits.span.max_attributes_per_link, 9);
    assert_eq!(valid(&[("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9")]).limits.attribute_value_length, Some(9));
    assert_eq!(valid(&[("OTEL_BSP_MAX_QUEUE_SIZE", "100")]).batch.max_export_batch_size, 100);
}

#[test]
fn errors_name_the_variable_the_value_and_what_is_expected() {
    for (name, value, expected) in [
        ("OTEL_SDK_DISABLED", "yes", "one of `true`, `false`"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a", "comma-separated `key=value` pairs"),
        ("OTEL_RESOURCE_ATTRIBUTES", "%ff=a", "comma-separated `key=value` pairs"),
        ("OTEL_RESOURCE_ATTRIBUTES", "=a", "comma-separated `key=value` pairs"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "one of `otlp`, `console`, `none`"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317", "a URL such as `http://localhost:4317`"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://", "a URL such as `http://localhost:4317`"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http:///v1/traces", "a URL such as `http://localhost:4317`"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://:4317", "a URL such as `http://localhost:4317`"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://#", "a URL such as `http://localhost:4317` (empty host)"),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://c:99999",
            "a URL such as `http://localhost:4317` (invalid port number)",
        ),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "one of `grpc`, `http/protobuf`"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "x", "one of `grpc`, `http/protobuf`"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1s", "a non-negative integer of milliseconds"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "one of `gzip`, `none`"),
        (
            "OTEL_PROPAGATORS",
            "ottrace",
            "a comma-separated list of `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, `xray`, or `none`",
        ),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "a positive integer"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1", "a positive integer"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "999999999", "at most the queue limit, 131072 (`OTEL_BSP_MAX_QUEUE_SIZE`)"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon", "a non-negative integer of milliseconds"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "x", "a non-negative integer of milliseconds"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", "a non-negative integer"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1", "a non-negative integer"),
    ] {
        let error = read(&[(name, value)]).expect_err("the value is wrong");
        assert_eq!(error.to_string(), format!("`{name}` is `{value}`; expected {expected}"));
        assert_eq!(error.setting(), name);
    }
    for ratio in ["1.5", "-0.1", "NaN", "half"] {
        let error = read(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", ratio)]);
        assert_eq!(
            error.unwrap_err().to_string(),
            format!("`OTEL_TRACES_SAMPLER_ARG` is `{ratio}`; expected a number from 0.0 to 1.0")
        );
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
    let long = read(&[("OTEL_SDK_DISABLED", &"\n".repeat(1000))]);
    assert!(long.is_ok(), "only whitespace counts as unset");
    let long = read(&[("OTEL_SDK_DISABLED", &"x\n".repeat(1000))]).unwrap_err().to_string();
    assert!(long.len() < 300 && !long.contains('\n'), "{long}");
}

#[test]
fn the_builder_overrides_the_environment_and_is_named_in_errors() {
    let mut config = valid(&[
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4317"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "tenant=a"),
    ]);
    config.exporter.set_collector("http://code:4318/v1/traces".to_owned(), Protocol::HttpProtobuf).expect("a URL");
    let otlp = config.exporter.otlp().expect("it was parsed");
    assert_eq!(otlp.endpoint, Setting { value: "http://code:4318/v1/traces".to_owned(), name: "Builder::collector" });
    assert_eq!(otlp.protocol, Setting { value: Protocol::HttpProtobuf, name: "Builder::collector" });
    assert_eq!((config.exporter.destination, headers(otlp)), (Destination::Otlp, vec![("tenant", "a")]));
    let error = config.exporter.set_collector("ftp://me:secret@c".to_owned(), Protocol::Grpc).unwrap_err();
    assert_eq!(error.setting(), "Builder::collector");
    assert!(error.to_string().contains("`ftp://…@c`"), "{error}");

    config.batch.set_max_queue_size(Setting { value: 100, name: "Builder::max_queue_size" });
    assert_eq!((config.batch.max_queue_size.value, config.batch.max_export_batch_size), (100, 100));
}

#[test]
fn the_grpc_endpoint_has_no_user() {
    for (endpoint, expected) in [
        ("http://c:4317", "http://c:4317"),
        ("HTTP://me:secret@c:4317/a@b", "http://c:4317/a@b"),
        ("http://me:s@cret@c?a@b", "http://c?a@b"),
    ] {
        let otlp = otlp(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
        assert_eq!(otlp.endpoint_without_user(), expected);
    }
}

#[test]
fn an_invalid_otlp_variable_is_an_error_only_if_spans_may_be_exported_over_otlp() {
    let bad = ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon");
    read(&[bad]).expect_err("spans may be exported over OTLP");
    for exporter in ["console", "none"] {
        let mut config = valid(&[("OTEL_TRACES_EXPORTER", exporter), bad]);
        let error = config.exporter.set_collector("http://c:4317".to_owned(), Protocol::Grpc).unwrap_err();
        assert_eq!(error.setting(), bad.0);
    }
}
