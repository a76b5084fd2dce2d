//! Variables that are empty or ignored.

use super::*;

#[test]
fn empty_is_not_set() {
    let unset = format!("{:?}", valid(&[]));
    for name in [
        "OTEL_SDK_DISABLED",
        "OTEL_CONFIG_FILE",
        "OTEL_EXPERIMENTAL_CONFIG_FILE",
        "OTEL_ENTITIES",
        "OTEL_SERVICE_NAME",
        "OTEL_RESOURCE_ATTRIBUTES",
        "OTEL_PROPAGATORS",
        "OTEL_TRACES_EXPORTER",
        "OTEL_TRACES_SAMPLER",
        "OTEL_TRACES_SAMPLER_ARG",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        "OTEL_EXPORTER_OTLP_COMPRESSION",
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_CLIENT_KEY",
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
        "OTEL_BSP_MAX_QUEUE_SIZE",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        "OTEL_BSP_SCHEDULE_DELAY",
        "OTEL_BSP_EXPORT_TIMEOUT",
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "OTEL_SPAN_EVENT_COUNT_LIMIT",
        "OTEL_SPAN_LINK_COUNT_LIMIT",
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
        "THROUGHLINE_MAX_QUEUE_BYTES",
        "THROUGHLINE_ERROR_TEXT",
    ] {
        for value in ["", " ", "\t\n"] {
            assert_eq!(format!("{:?}", valid(&[(name, value)])), unset, "{name}");
        }
    }
    // An empty variable for traces does not hide the general one.
    let both = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "")];
    assert_eq!(otlp(&both).endpoint.value, "http://c:4317");
}

#[test]
fn there_are_warnings_about_ignored_variables() {
    const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
    const ARGUMENT: (&str, &str) = ("OTEL_TRACES_SAMPLER_ARG", "0.1");
    let warnings = |variables: &[(&str, &str)]| valid(variables).warnings();
    assert!(warnings(&[(SAMPLER, "parentbased_traceidratio"), ARGUMENT]).is_empty());
    let unused = "`OTEL_TRACES_SAMPLER_ARG` is ignored: `parentbased_always_on` takes no argument";
    assert_eq!(warnings(&[ARGUMENT]), [unused]);
    let file = "`OTEL_CONFIG_FILE` is ignored: configuration files are not supported, and the other variables are used";
    let wrapped = "`OTEL_TRACES_SAMPLER` is `always_on`, which would produce partial traces; using \
                   `parentbased_always_on`";
    assert_eq!(warnings(&[("OTEL_CONFIG_FILE", "a.yaml"), (SAMPLER, "always_on"), ARGUMENT]), [file, wrapped, unused]);
    let deprecated = warnings(&[("OTEL_EXPERIMENTAL_CONFIG_FILE", "a.yaml")]);
    assert_eq!(deprecated, [file.replace("OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE")]);
    let entities = "`OTEL_ENTITIES` is ignored: entities are not supported; set resource attributes by \
                    `OTEL_RESOURCE_ATTRIBUTES`";
    assert_eq!(warnings(&[("OTEL_ENTITIES", "service{service.name=orders}")]), [entities]);
    assert!(warnings(&[("OTEL_SDK_DISABLED", "true"), ("OTEL_CONFIG_FILE", "a.yaml"), ARGUMENT]).is_empty());
}
