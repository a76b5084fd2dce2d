//! Detects the resource: the attributes of this process.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::IdGenerator as _;

use super::container;
use crate::semconv;
use crate::tracer::{ProcessIdGenerator, not_of_the_sdk, telemetry_sdk};

/// The version of the semantic conventions that the attributes follow, which a resource detector has to set ("Detecting
/// resource information from the environment").
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.42.0";

/// The detected attributes, overridden by `given`; the last value of a key applies.
pub(super) fn detect(given: &[KeyValue]) -> Resource {
    let mut attributes = vec![
        KeyValue::new(semconv::SERVICE_NAME, unknown_service()),
        KeyValue::new(semconv::SERVICE_INSTANCE_ID, instance_id()),
        KeyValue::new(semconv::PROCESS_PID, i64::from(std::process::id())),
        KeyValue::new(semconv::OS_TYPE, os_type(std::env::consts::OS)),
        KeyValue::new(semconv::HOST_ARCH, host_arch(std::env::consts::ARCH)),
    ];
    attributes.extend(telemetry_sdk());
    if let Some(name) = gethostname::gethostname().to_str() {
        attributes.push(KeyValue::new(semconv::HOST_NAME, name.to_owned()));
    }
    attributes.extend(container::id().map(|id| KeyValue::new(semconv::CONTAINER_ID, id)));
    // An empty `service.name` is ignored: it may come from a list with an unset variable in it.
    let names_nothing = |it: &KeyValue| it.key.as_str() == semconv::SERVICE_NAME && it.value.as_str().is_empty();
    for attribute in given.iter().filter(|attribute| !names_nothing(attribute)) {
        attributes.retain(|detected| detected.key != attribute.key);
        attributes.push(attribute.clone());
    }
    let resource = Resource::builder_empty().with_attributes(attributes);
    not_of_the_sdk(resource.with_schema_url([], SCHEMA_URL).build())
}

/// The default that the specification requires for `service.name`.
fn unknown_service() -> String {
    let program = std::env::current_exe().ok();
    match program.as_deref().and_then(|path| path.file_name()).and_then(|name| name.to_str()) {
        Some(name) => format!("unknown_service:{name}"),
        None => "unknown_service".to_owned(),
    }
}

/// A random UUID, as the semantic conventions recommend.
fn instance_id() -> String {
    let mut bytes = ProcessIdGenerator::new().new_trace_id().to_bytes();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The semantic conventions name some systems differently than Rust does.
fn os_type(os: &'static str) -> &'static str {
    match os {
        "macos" | "ios" => "darwin",
        "dragonfly" => "dragonflybsd",
        "illumos" => "solaris",
        "android" => "linux",
        other => other,
    }
}

/// Likewise, some processor architectures.
fn host_arch(arch: &'static str) -> &'static str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "arm" => "arm32",
        "powerpc" => "ppc32",
        "powerpc64" => "ppc64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::Key;

    use super::*;

    fn text(resource: &Resource, key: &'static str) -> Option<String> {
        resource.get(&Key::from_static_str(key)).map(|value| value.to_string())
    }

    #[test]
    fn detected() {
        let resource = detect(&[]);
        assert_eq!(text(&resource, "telemetry.sdk.name").as_deref(), Some("throughline"));
        assert_eq!(text(&resource, "telemetry.sdk.language").as_deref(), Some("rust"));
        assert_eq!(text(&resource, "telemetry.sdk.version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(text(&resource, "process.pid"), Some(std::process::id().to_string()));
        assert!(text(&resource, "service.name").is_some_and(|name| name.starts_with("unknown_service:")));
        assert!(text(&resource, "host.name").is_some_and(|name| !name.is_empty()));
        let id = text(&resource, "service.instance.id").unwrap();
        assert_ne!(id, instance_id());
        // A single random ID may have the right digits by chance.
        for id in std::iter::once(id).chain((0..100).map(|_| instance_id())) {
            let parts: Vec<_> = id.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
            assert!(id.as_bytes()[14] == b'4' && b"89ab".contains(&id.as_bytes()[19]), "{id}");
        }
    }

    #[test]
    fn operating_systems_have_the_names_of_the_conventions() {
        for (os, expected) in [
            ("linux", "linux"),
            ("android", "linux"),
            ("windows", "windows"),
            ("macos", "darwin"),
            ("ios", "darwin"),
            ("illumos", "solaris"),
            ("freebsd", "freebsd"),
            ("dragonfly", "dragonflybsd"),
        ] {
            assert_eq!(os_type(os), expected);
        }
    }

    #[test]
    fn architectures_have_the_names_of_the_conventions() {
        for (arch, expected) in [
            ("x86_64", "amd64"),
            ("x86", "x86"),
            ("aarch64", "arm64"),
            ("arm", "arm32"),
            ("powerpc64", "ppc64"),
            ("s390x", "s390x"),
            ("riscv64", "riscv64"),
        ] {
            assert_eq!(host_arch(arch), expected);
        }
        assert_eq!(text(&detect(&[]), "host.arch").as_deref(), Some(host_arch(std::env::consts::ARCH)));
    }

    #[test]
    fn the_schema_is_that_of_the_published_conventions() {
        for given in [&[][..], &[KeyValue::new("telemetry.sdk.name", "opentelemetry")]] {
            assert_eq!(detect(given).schema_url(), Some(opentelemetry_semantic_conventions::SCHEMA_URL));
        }
    }

    #[test]
    fn a_service_without_a_name_is_unknown() {
        let resource = detect(&[KeyValue::new("service.name", ""), KeyValue::new("team", "")]);
        assert!(text(&resource, "service.name").is_some_and(|name| name.starts_with("unknown_service:")));
        assert_eq!(text(&resource, "team").as_deref(), Some(""));
        let resource = detect(&[KeyValue::new("service.name", "orders"), KeyValue::new("service.name", "")]);
        assert_eq!(text(&resource, "service.name").as_deref(), Some("orders"));
    }

    #[test]
    fn given_wins() {
        let resource = detect(&[
            KeyValue::new("service.name", "orders"),
            KeyValue::new("service.instance.id", "pod-7"),
            KeyValue::new("service.instance.id", "pod-8"),
            KeyValue::new("deployment.environment.name", "prod"),
            KeyValue::new("telemetry.sdk.name", "orders-agent"),
        ]);
        assert_eq!(text(&resource, "service.name").as_deref(), Some("orders"));
        assert_eq!(text(&resource, "service.instance.id").as_deref(), Some("pod-8"));
        assert_eq!(text(&resource, "deployment.environment.name").as_deref(), Some("prod"));
        assert_eq!(text(&resource, "telemetry.sdk.name").as_deref(), Some("orders-agent"));
    }

    #[test]
    fn it_is_not_the_resource_of_the_sdk() {
        let resource = detect(&[KeyValue::new("telemetry.sdk.name", "opentelemetry")]);
        assert_eq!(text(&resource, "telemetry.sdk.name").as_deref(), Some("throughline"));
    }
}
