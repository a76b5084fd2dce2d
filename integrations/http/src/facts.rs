//! The attributes of a request, by the semantic conventions for HTTP spans.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use http::header::{self, HeaderName, HeaderValue};
use http::uri::Authority;
use http::{Method, Uri, Version, request};
use throughline::redact::UrlRules;
use throughline::{TagValue as _, Tags, redact, semconv};

use crate::tag::{Recorded, shown};

/// Represents all unknown methods.
const OTHER: &str = "_OTHER";

/// The methods that are recorded by name.
static KNOWN_METHODS: LazyLock<Vec<Cow<'static, str>>> =
    LazyLock::new(|| known_methods(std::env::var("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS").ok().as_deref()));

/// `named` is a comma-separated list that replaces the methods of the conventions.
fn known_methods(named: Option<&str>) -> Vec<Cow<'static, str>> {
    const USUAL: [&str; 10] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"];
    let named = named.unwrap_or_default().split(',').map(str::trim).filter(|method| !method.is_empty());
    let named: Vec<_> = named.map(|method| Cow::Owned(method.to_owned())).collect();
    if named.is_empty() { USUAL.map(Cow::Borrowed).to_vec() } else { named }
}

/// The method as an attribute. Unknown ones are not recorded by name, because callers choose them.
pub(crate) fn method(method: &Method) -> &'static str {
    KNOWN_METHODS.iter().find(|known| **known == method.as_str()).map_or(OTHER, |known| known)
}

/// `{method} {target}`, or the method alone.
pub(crate) fn span_name(of: &Method, target: Option<&str>) -> Cow<'static, str> {
    let method = match method(of) {
        OTHER => "HTTP",
        known => known,
    };
    match target {
        Some(target) => format!("{method} {target}").into(),
        None => method.into(),
    }
}

pub(crate) fn add_method(of: &Method, tags: &mut Tags) {
    let known = method(of);
    tags.attribute(semconv::HTTP_REQUEST_METHOD, known);
    if known == OTHER {
        add_bounded(semconv::HTTP_REQUEST_METHOD_ORIGINAL, of.as_str(), tags);
    }
}

pub(crate) fn version(of: Version) -> Option<&'static str> {
    Some(match of {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_11 => "1.1",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => return None,
    })
}

pub(crate) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// The server that the request was sent to: the authority of its URI, or else the header `Host`.
pub(crate) fn authority(parts: &request::Parts) -> Option<Cow<'_, Authority>> {
    if let Some(authority) = parts.uri.authority() {
        return Some(Cow::Borrowed(authority));
    }
    let host = parts.headers.get(header::HOST)?;
    Authority::try_from(host.as_bytes()).ok().map(Cow::Owned)
}

/// Adds `server.address` and `server.port`.
pub(crate) fn add_host(host: &str, port: Option<u16>, tags: &mut Tags) {
    tags.extend(semconv::server(host.to_owned(), port));
}

/// Adds untrusted text, truncated like a tag.
fn add_bounded(key: &'static str, text: &str, tags: &mut Tags) {
    if let Some(value) = text.tag_value() {
        tags.attribute(key, value);
    }
}

/// Adds `url.path` and `url.query`.
pub(crate) fn add_target(path: &str, query: Option<&str>, rules: &UrlRules, tags: &mut Tags) {
    tags.attribute(semconv::URL_PATH, redact::url(rules.path(path)));
    if let Some(query) = query {
        tags.attribute(semconv::URL_QUERY, redact::url(rules.query(query)));
    }
}

/// Adds the headers that are recorded.
pub(crate) fn add_headers(recorded: &Recorded, headers: &http::HeaderMap, tags: &mut Tags) {
    tags.extend(recorded.read(headers));
}

/// Adds a header under another name, if it is present.
pub(crate) fn add_text(key: &'static str, name: &HeaderName, headers: &http::HeaderMap, tags: &mut Tags) {
    if let Some(value) = headers.get(name) {
        add_bounded(key, &shown(value), tags);
    }
}

/// The address of the peer of the connection, if axum knows it.
#[cfg(feature = "axum")]
pub(crate) fn peer(parts: &request::Parts) -> Option<SocketAddr> {
    parts.extensions.get::<axum::extract::ConnectInfo<SocketAddr>>().map(|info| info.0)
}

#[cfg(not(feature = "axum"))]
pub(crate) fn peer(_: &request::Parts) -> Option<SocketAddr> {
    None
}

/// The whole URI: in a nested router, axum removes the prefix.
#[cfg(feature = "axum")]
pub(crate) fn original_uri(parts: &request::Parts) -> &Uri {
    parts.extensions.get::<axum::extract::OriginalUri>().map_or(&parts.uri, |original| &original.0)
}

#[cfg(not(feature = "axum"))]
pub(crate) fn original_uri(parts: &request::Parts) -> &Uri {
    &parts.uri
}

/// The route template, if axum has found one.
#[cfg(feature = "axum")]
pub(crate) fn matched_route(parts: &request::Parts) -> Option<Cow<'static, str>> {
    let matched = parts.extensions.get::<axum::extract::MatchedPath>()?;
    Some(matched.as_str().to_owned().into())
}

#[cfg(not(feature = "axum"))]
pub(crate) fn matched_route(_: &request::Parts) -> Option<Cow<'static, str>> {
    None
}

/// Information that trusted proxies have added to a request.
#[derive(Debug, Default)]
pub(crate) struct Forwarded {
    pub(crate) client: Option<IpAddr>,
    pub(crate) proto: Option<&'static str>,
    pub(crate) host: Option<Authority>,
}

impl Forwarded {
    pub(crate) fn of(parts: &request::Parts, proxies: usize) -> Self {
        if proxies == 0 {
            return Self::default();
        }
        // RFC 7239; the older headers fill in what it does not contain. What it contains takes precedence even if it
        // cannot be used, such as `for=unknown`: the older headers may be those of the caller.
        let element = nth_from_last(parts, &header::FORWARDED, proxies).unwrap_or_default();
        let pairs: Vec<_> = from_last(element, b';', true).into_iter().filter_map(pair).collect();
        let value = |key: &str, older| {
            let given = pairs.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
            let older = || nth_from_last(parts, &HeaderName::from_static(older), proxies).map(text);
            given.map(|(_, value)| *value).or_else(older)
        };
        Self {
            client: value("for", "x-forwarded-for").and_then(address),
            proto: value("proto", "x-forwarded-proto").and_then(scheme),
            host: value("host", "x-forwarded-host").and_then(|host| host.parse().ok()),
        }
    }
}

/// The element written by the outermost of `proxies`. Each appends one; a header with fewer elements was only written
/// by the inner ones.
fn nth_from_last<'a>(parts: &'a request::Parts, name: &HeaderName, proxies: usize) -> Option<&'a [u8]> {
    let values: Vec<_> = parts.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    let is_rfc = name == header::FORWARDED;
    let elements: Vec<_> = values.into_iter().rev().flat_map(|value| from_last(value, b',', is_rfc)).collect();
    elements.get(proxies - 1).or(elements.last()).copied()
}

/// Splits `text` at a separator, from its end to its start. `quotes`: a separator in a quoted string does not count.
///
/// The end is what trusted proxies have written. What the caller has written before must not change how it is read,
/// whether by a quote that is not closed or by bytes that are not UTF-8.
fn from_last(text: &[u8], separator: u8, quotes: bool) -> Vec<&[u8]> {
    let (mut found, mut end, mut is_quoted) = (Vec::new(), text.len(), false);
    for (at, &byte) in text.iter().enumerate().rev() {
        let is_escaped = || text[..at].iter().rev().take_while(|before| **before == b'\\').count() % 2 == 1;
        if quotes && byte == b'"' && !(is_quoted && is_escaped()) {
            is_quoted = !is_quoted;
        } else if byte == separator && !is_quoted {
            found.push(&text[at + 1..end]);
            end = at;
        }
    }
    found.push(&text[..end]);
    found
}

/// The name and the value of a parameter of `Forwarded`.
fn pair(parameter: &[u8]) -> Option<(&str, &str)> {
    let at = parameter.iter().position(|byte| *byte == b'=')?;
    Some((text(&parameter[..at]), text(&parameter[at + 1..]).trim_matches('"')))
}

/// Empty if it is not UTF-8.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default().trim()
}

fn scheme(text: &str) -> Option<&'static str> {
    ["http", "https"].into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme))
}

/// An IP address, with a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}
