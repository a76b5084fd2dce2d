use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Settings, VariableError> {
    let get = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Variables(&get).read()
}

fn fine(variables: &[(&str, &str)]) -> Settings {
    read(variables).expect("the variables are valid")
}

fn otlp(variables: &[(&str, &str)]) -> Otlp {
    match fine(variables).destination {
        Some(Destination::Otlp(otlp)) => *otlp,
        other => panic!("no collector but {other:?}"),
    }
}

#[test]
fn nothing_set() {
    let settings = fine(&[]);
    assert!(!settings.disabled && settings.resource.is_empty() && settings.destination.is_none());
    assert_eq!((settings.sampler, settings.wrapped), (RootSampler::AlwaysOn, None));
    assert_eq!(settings.propagators, None);
    let batching = Batching {
        queue: DEFAULT_QUEUE,
        batch: 512,
        delay: Duration::from_secs(5),
        flush_limit: Duration::from_secs(30),
    };
    assert_eq!(settings.batching, batching);
}

#[test]
fn empty_is_not_set() {
    assert!(fine(&[("OTEL_SDK_DISABLED", ""), ("OTEL_TRACES_SAMPLER", " ")]).destination.is_none());
}

#[test]
fn disabled() {
    for (value, disabled) in [("true", true), ("TRUE", true), ("false", false)] {
        assert_eq!(fine(&[("OTEL_SDK_DISABLED", value)]).disabled, disabled);
    }
    let wrong = ("OTEL_EXPORTER_OTLP_PROTOCOL", "x");
    let settings = fine(&[("OTEL_SDK_DISABLED", "true"), wrong, ("OTEL_PROPAGATORS", "b3")]);
    assert_eq!(
        (settings.disabled, settings.propagators),
        (true, Some(vec![Format::B3])),
        "only what is passed on counts"
    );
}

/// As the specification has it for time limits.
#[test]
fn a_time_limit_of_zero_is_none() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317");
    assert_eq!(otlp(&[endpoint, ("OTEL_EXPORTER_OTLP_TIMEOUT", "0")]).timeout, None);
    let both = [endpoint, ("OTEL_EXPORTER_OTLP_TIMEOUT", "5"), ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0")];
    assert_eq!(otlp(&both).timeout, None);
    assert_eq!(fine(&[("OTEL_BSP_EXPORT_TIMEOUT", "0")]).batching.flush_limit, Duration::MAX);
    assert_eq!(fine(&[("OTEL_BSP_SCHEDULE_DELAY", "0")]).batching.delay, Duration::ZERO);
}

#[test]
fn an_address_is_shown_without_a_password() {
    for (address, shown) in [
        ("http://c:4317", "http://c:4317"),
        ("http://me:secret@c:4317/v1/traces", "http://…@c:4317/v1/traces"),
        ("http://me:s@cret@c", "http://…@c"),
        ("http://c/a@b", "http://c/a@b"),
        ("http://c/v1/traces?token=secret#x", "http://c/v1/traces?…"),
        ("me:secret@c:4317", "…@c:4317"),
    ] {
        assert_eq!(without_secrets(address), shown);
    }
    let error = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://me:secret@c")]).unwrap_err().to_string();
    assert!(error.contains("`ftp://…@c`") && !error.contains("secret"), "{error}");
}

#[test]
fn resource() {
    let settings = fine(&[
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a, deployment.environment.name=prod%20eu ,team=x"),
        ("OTEL_SERVICE_NAME", "orders"),
    ]);
    let expected = [("deployment.environment.name", "prod eu"), ("team", "x"), ("service.name", "orders")];
    assert_eq!(settings.resource, expected.map(|(key, value)| KeyValue::new(key, value)));
    // Of commas and equals signs nothing else is left, in keys as in values.
    let settings = fine(&[("OTEL_RESOURCE_ATTRIBUTES", "a%2Cb%3Dc=1%2C2=3%")]);
    assert_eq!(settings.resource, [KeyValue::new("a,b=c", "1,2=3%")]);
}

#[test]
fn exporter() {
    assert_eq!(fine(&[("OTEL_TRACES_EXPORTER", "none")]).destination, Some(Destination::Nowhere));
    assert_eq!(fine(&[("OTEL_TRACES_EXPORTER", "console")]).destination, Some(Destination::Console));
    assert_eq!(otlp(&[("OTEL_TRACES_EXPORTER", "otlp")]).endpoint, "http://localhost:4318/v1/traces");
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
        assert_eq!((otlp.endpoint.as_str(), otlp.protocol), (endpoint, protocol), "{variables:?}");
    }
}

#[test]
fn headers_timeout_compression() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317");
    let plain = otlp(&[endpoint]);
    assert_eq!((plain.headers, plain.timeout, plain.gzip), (vec![], Some(Duration::from_secs(10)), false));
    let full = otlp(&[
        endpoint,
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20x, tenant=a"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ]);
    let headers = [("authorization", "Bearer x"), ("tenant", "a")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!((full.headers, full.timeout, full.gzip), (headers.to_vec(), Some(Duration::from_millis(250)), true));
    for header in
        ["Content-Length=1", "transfer-encoding=x", "host=x", "te=trailers", "grpc-timeout=1S", "a=1,upgrade=h2c"]
    {
        let name = header.rsplit(',').next().and_then(|pair| pair.split('=').next()).expect("a name").to_lowercase();
        let error = read(&[endpoint, ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", header)]).unwrap_err().to_string();
        let expected = format!(
            "`OTEL_EXPORTER_OTLP_TRACES_HEADERS` is `{name}=…`; expected no `{name}`, which the protocol sets itself"
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
    let headers = vec![("b".to_owned(), "2".to_owned())];
    assert_eq!((own.headers, own.timeout, own.gzip), (headers, Some(Duration::from_millis(1)), false));
}

#[test]
fn sampler() {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    for (variables, sampler, wrapped) in [
        (vec![(NAME, "always_on")], RootSampler::AlwaysOn, true),
        (vec![(NAME, "always_off")], RootSampler::AlwaysOff, true),
        (vec![(NAME, "traceidratio"), (ARGUMENT, "0.25")], RootSampler::Ratio(0.25), true),
        (vec![(NAME, "traceidratio")], RootSampler::Ratio(1.0), true),
        (vec![(NAME, "parentbased_always_on")], RootSampler::AlwaysOn, false),
        (vec![(NAME, "parentbased_always_off")], RootSampler::AlwaysOff, false),
        (vec![(NAME, "parentbased_traceidratio"), (ARGUMENT, "0")], RootSampler::Ratio(0.0), false),
    ] {
        let settings = fine(&variables);
        assert_eq!(settings.sampler, sampler, "{variables:?}");
        assert_eq!(settings.wrapped.as_deref(), wrapped.then_some(variables[0].1));
    }
}

#[test]
fn propagators() {
    let of = |list| fine(&[("OTEL_PROPAGATORS", list)]).propagators;
    assert_eq!(of("tracecontext,baggage"), Some(vec![Format::TraceContext, Format::Baggage]));
    assert_eq!(of("b3, b3multi, jaeger"), Some(vec![Format::B3, Format::B3Multi, Format::Jaeger]));
    assert_eq!(of("none"), Some(vec![]));
    assert_eq!(of("B3, None"), Some(vec![Format::B3]));
    assert_eq!(of(" ,"), None, "nothing is named");
}

#[test]
fn batching_and_limits() {
    let settings = fine(&[
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
    let batching =
        Batching { queue: 100, batch: 10, delay: Duration::from_millis(200), flush_limit: Duration::from_secs(3) };
    assert_eq!(settings.batching, batching);
    let limits = settings.limits;
    assert_eq!((limits.max_attributes_per_span, limits.max_attributes_per_event), (7, 3));
    assert_eq!((limits.max_attributes_per_link, limits.max_events_per_span, limits.max_links_per_span), (7, 4, 5));
    assert_eq!(settings.value_limit, Some(64));
    assert_eq!(fine(&[("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "9")]).limits.max_attributes_per_span, 9);
    assert_eq!(fine(&[("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "9")]).limits.max_attributes_per_link, 9);
    assert_eq!(fine(&[("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "9")]).value_limit, Some(9));
    assert_eq!(fine(&[("OTEL_BSP_MAX_QUEUE_SIZE", "100")]).batching.batch, 100);
}

#[test]
fn wrong_values_name_the_variable_the_value_and_what_is_allowed() {
    for (name, value, expected) in [
        ("OTEL_SDK_DISABLED", "yes", "one of `true`, `false`"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a", "`key=value` pairs, separated by commas"),
        ("OTEL_RESOURCE_ATTRIBUTES", "%ff=a", "`key=value` pairs, separated by commas"),
        ("OTEL_RESOURCE_ATTRIBUTES", "=a", "`key=value` pairs, separated by commas"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "one of `otlp`, `console`, `none`"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317", "an address such as `http://localhost:4317`"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://", "an address such as `http://localhost:4317`"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://#", "an address such as `http://localhost:4317` (empty host)"),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "http://c:99999",
            "an address such as `http://localhost:4317` (invalid port number)",
        ),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "one of `grpc`, `http/protobuf`"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "x", "one of `grpc`, `http/protobuf`"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1s", "a whole number of milliseconds"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "one of `gzip`, `none`"),
        (
            "OTEL_PROPAGATORS",
            "xray",
            "some of `tracecontext`, `baggage`, `b3`, `b3multi`, `jaeger`, `none`, separated by commas",
        ),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "a whole number above zero"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1", "a whole number above zero"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "999999999", "no more than the queue holds, 131072"),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon", "a whole number of milliseconds"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "x", "a whole number of milliseconds"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", "a whole number"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "-1", "a whole number"),
    ] {
        let error = read(&[(name, value)]).expect_err("the value is wrong");
        assert_eq!(error.to_string(), format!("`{name}` is `{value}`; expected {expected}"));
        assert_eq!(error.variable(), name);
    }
    for ratio in ["1.5", "-0.1", "NaN", "half"] {
        let error = read(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", ratio)]);
        assert_eq!(
            error.unwrap_err().to_string(),
            format!("`OTEL_TRACES_SAMPLER_ARG` is `{ratio}`; expected a number from 0.0 to 1.0")
        );
    }
    let secret = read(&[("OTEL_EXPORTER_OTLP_HEADERS", "authorization secret")]).unwrap_err().to_string();
    assert_eq!(secret, "`OTEL_EXPORTER_OTLP_HEADERS` is `…`; expected `name=value` pairs, separated by commas");
    let long = read(&[("OTEL_SDK_DISABLED", &"\n".repeat(1000))]);
    assert!(long.is_ok(), "only blanks is not set");
    let long = read(&[("OTEL_SDK_DISABLED", &"x\n".repeat(1000))]).unwrap_err().to_string();
    assert!(long.len() < 300 && !long.contains('\n'), "{long}");
}
