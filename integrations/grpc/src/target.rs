//! The target of a call: method, server, deadline.

use std::time::Duration;

use http::uri::{Authority, Scheme, Uri};
use http::{HeaderMap, header};

use throughline::text::ellipsize;
use throughline::{MAX_TEXT_BYTES, Tags, semconv};

/// A longer path is not a method.
const MAX_METHOD: usize = 255;

/// `package.Service/Method`, if the path has this form.
pub(crate) fn method(path: &str) -> Option<&str> {
    let method = path.strip_prefix('/')?;
    let (service, name) = method.rsplit_once('/')?;
    let is_plain = method.len() <= MAX_METHOD && method.bytes().all(|byte| byte.is_ascii_graphic());
    (is_plain && !service.is_empty() && !name.is_empty()).then_some(method)
}

/// The `rpc.method` of a call to a method that is not known.
pub(crate) const OTHER: &str = "_OTHER";

/// The attributes that the spans of both sides start with.
pub(crate) fn describe(tags: &mut Tags, method: Option<&str>, path: &str) {
    tags.attribute(semconv::RPC_SYSTEM_NAME, "grpc");
    if let Some(method) = method {
        tags.attribute(semconv::RPC_METHOD, method.to_owned());
    } else {
        let called = path.strip_prefix('/').unwrap_or(path);
        tags.attribute(semconv::RPC_METHOD, OTHER);
        tags.attribute(semconv::RPC_METHOD_ORIGINAL, ellipsize(called, MAX_TEXT_BYTES).into_owned());
    }
}

/// The host and the port of a URI; the scheme's default port, if it has none.
pub(crate) fn server_of(uri: &Uri) -> Option<(&str, Option<u16>)> {
    let authority = uri.authority()?;
    let default = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => Some(443),
        Some(scheme) if *scheme == Scheme::HTTP => Some(80),
        _ => None,
    };
    Some((host(authority), authority.port_u16().or(default)))
}

/// The host without the brackets of an IPv6 address.
fn host(authority: &Authority) -> &str {
    let host = authority.host();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The host that the caller used.
pub(crate) fn called(uri: &Uri, headers: &HeaderMap) -> Option<(String, Option<u16>)> {
    if let Some((host, port)) = server_of(uri) {
        return Some((host.to_owned(), port));
    }
    let authority: Authority = headers.get(header::HOST)?.to_str().ok()?.parse().ok()?;
    Some((host(&authority).to_owned(), authority.port_u16()))
}

/// Whether a request or a response is gRPC. gRPC-Web is another protocol, which a layer translates.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
        let rest = kind.as_bytes().strip_prefix(b"application/grpc");
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    })
}

/// The timeout of a call, by "gRPC over HTTP/2", `Timeout`.
pub(crate) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_what_may_be_a_method_names_a_span() {
        assert_eq!(method("/shop.Orders/Get"), Some("shop.Orders/Get"));
        assert_eq!(method("/prefix/shop.Orders/Get"), Some("prefix/shop.Orders/Get"));
        for path in ["", "/", "/Get", "//Get", "/shop.Orders/", "shop.Orders/Get", "/shop.Orders/G t", "/é/Get"] {
            assert_eq!(method(path), None, "{path}");
        }
        assert_eq!(method(&format!("/a/{}", "b".repeat(MAX_METHOD))), None);
    }

    #[test]
    fn a_server_is_named_by_host_and_port() {
        let of = |uri: &str| server_of(&uri.parse().unwrap()).map(|(host, port)| (host.to_owned(), port));
        assert_eq!(of("http://orders:50051/a/b"), Some(("orders".into(), Some(50051))));
        assert_eq!(of("https://orders"), Some(("orders".into(), Some(443))));
        assert_eq!(of("http://orders"), Some(("orders".into(), Some(80))));
        assert_eq!(of("dns://orders"), Some(("orders".into(), None)));
        assert_eq!(of("http://[::1]:80"), Some(("::1".into(), Some(80))));
        assert_eq!(of("/a/b"), None);

        let host = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("orders:50051"))]);
        assert_eq!(called(&Uri::from_static("/a/b"), &host), Some(("orders".into(), Some(50051))));
        let host = HeaderMap::from_iter([(header::HOST, HeaderValue::from_bytes(b"\xff").unwrap())]);
        assert_eq!(called(&Uri::from_static("/a/b"), &host), None);
    }

    #[test]
    fn grpc_is_recognized_by_its_content_type() {
        let of = |kind: &'static str| {
            is_grpc(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]))
        };
        assert!(of("application/grpc") && of("application/grpc+proto") && of("application/grpc;x=y"));
        assert!(!of("application/json") && !of("application/grpc-web+proto") && !of("application/grpcx"));
        assert!(!is_grpc(&HeaderMap::new()));
    }

    #[test]
    fn a_timeout_is_read_by_the_specification() {
        let of = |value: &[u8]| {
            timeout(&HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-timeout"),
                HeaderValue::from_bytes(value).unwrap(),
            )]))
        };
        assert_eq!(of(b"3H"), Some(Duration::from_secs(3 * 3600)));
        assert_eq!(of(b"99999999M"), Some(Duration::from_secs(99_999_999 * 60)));
        assert_eq!(of(b"2S"), Some(Duration::from_secs(2)));
        assert_eq!(of(b"20m"), Some(Duration::from_millis(20)));
        assert_eq!(of(b"5u"), Some(Duration::from_micros(5)));
        assert_eq!(of(b"7n"), Some(Duration::from_nanos(7)));
        for wrong in [&b""[..], b"S", b"1", b"1h", b"-1S", b"+1S", b"123456789S", b"1 S", b"\xff\xff"] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
    }
}
