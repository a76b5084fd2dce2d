//! URLs as they may be shown, and the variables in them.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Query parameters whose values are secrets: those that the semantic conventions name, and the
/// rest of what Amazon's and Google's signed URLs are made of. Compared with regard to case, as the
/// conventions have it.
const SECRET: [&str; 8] = [
    "AWSAccessKeyId",
    "Signature",
    "sig",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Goog-Credential",
    "X-Goog-Signature",
];

const REDACTED: &str = "REDACTED";

/// The query without the values of secret parameters; `more` are secret besides.
pub(super) fn redacted_query<'a>(query: &'a str, more: &[Cow<'static, str>]) -> Cow<'a, str> {
    let is_secret = |key: &str| {
        let key = decoded(key);
        SECRET.contains(&&*key) || more.contains(&key)
    };
    if !query.split('&').any(|pair| is_secret(key_of(pair))) {
        return Cow::Borrowed(query);
    }
    let mut shown = String::with_capacity(query.len());
    for (at, pair) in query.split('&').enumerate() {
        if at > 0 {
            shown.push('&');
        }
        let key = key_of(pair);
        if is_secret(key) && key.len() < pair.len() {
            shown.push_str(key);
            shown.push('=');
            shown.push_str(REDACTED);
        } else {
            shown.push_str(pair);
        }
    }
    Cow::Owned(shown)
}

fn key_of(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(key, _)| key)
}

/// The absolute URL without credentials and secret parameters. `authority` may have user and
/// password in front.
pub(super) fn redacted_url(
    scheme: &str,
    authority: &str,
    path: &str,
    query: Option<&str>,
    more: &[Cow<'static, str>],
) -> String {
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let user = match user {
        None => "",
        Some(user) if user.contains(':') => "REDACTED:REDACTED@",
        Some(_) => "REDACTED@",
    };
    let mut url = format!("{scheme}://{user}{host}{path}");
    if let Some(query) = query {
        url.push('?');
        url.push_str(&redacted_query(query, more));
    }
    url
}

/// A parameter of a query, as forms encode it: a plus is a blank.
pub(super) fn query_parameter<'a>(query: &'a str, key: &str) -> Option<Cow<'a, str>> {
    query.split('&').find(|pair| decoded(key_of(pair)) == key).map(|pair| {
        let value = pair.split_once('=').map_or("", |(_, value)| value);
        if value.contains('+') { Cow::Owned(decoded(&value.replace('+', " ")).into_owned()) } else { decoded(value) }
    })
}

/// The variable `name` of a route template such as `/tenants/{tenant}/files/{*rest}`, as it is in
/// `path`.
pub(super) fn path_variable<'a>(template: &str, path: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut rest = path.strip_prefix('/').unwrap_or(path);
    let mut segments = template.strip_prefix('/').unwrap_or(template).split('/');
    loop {
        let variable = segments.next()?.strip_prefix('{').and_then(|segment| segment.strip_suffix('}'));
        if variable.and_then(|variable| variable.strip_prefix('*')) == Some(name) {
            return Some(decoded(rest));
        }
        let (segment, more) = rest.split_once('/').unwrap_or((rest, ""));
        if variable == Some(name) {
            return Some(decoded(segment));
        }
        rest = more;
    }
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

/// Whether a character can change what a line in a log or a terminal looks like: control
/// characters, other line ends, and those that turn the direction of text.
fn forges(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text from outside, without the characters that could forge something.
pub(super) fn harmless(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.contains(forges) { Cow::Owned(text.replace(forges, "\u{fffd}")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_of_a_query() {
        let shown = |query| redacted_query(query, &[Cow::Borrowed("token")]).into_owned();
        assert_eq!(shown("q=a&page=2"), "q=a&page=2");
        assert_eq!(shown("q=a&sig=abc&x=1"), "q=a&sig=REDACTED&x=1");
        assert_eq!(shown("%73ig=abc"), "%73ig=REDACTED");
        assert_eq!(shown("sig=a=b&sig=c"), "sig=REDACTED&sig=REDACTED");
        assert_eq!(shown("X-Amz-Signature=a&X-Amz-Date=b"), "X-Amz-Signature=REDACTED&X-Amz-Date=b");
        assert_eq!(shown("token=t&tokens=1"), "token=REDACTED&tokens=1");
        assert_eq!(shown("sig&Sig=1"), "sig&Sig=1", "there is nothing to hide, and case counts");
        assert_eq!(shown(""), "");
    }

    #[test]
    fn credentials_are_taken_out_of_a_url() {
        let shown = |authority| redacted_url("https", authority, "/a", None, &[]);
        assert_eq!(shown("example.com:8443"), "https://example.com:8443/a");
        assert_eq!(shown("ada:secret@example.com"), "https://REDACTED:REDACTED@example.com/a");
        assert_eq!(shown("ada@example.com"), "https://REDACTED@example.com/a");
        assert_eq!(shown("a:b@c@example.com"), "https://REDACTED:REDACTED@example.com/a");
        assert_eq!(redacted_url("http", "example.com", "/a", Some("sig=1"), &[]), "http://example.com/a?sig=REDACTED");
    }

    #[test]
    fn variables_of_a_template() {
        let of = |template, path, name| path_variable(template, path, name).map(Cow::into_owned);
        let orders = "/tenants/{tenant}/orders/{no}";
        assert_eq!(of(orders, "/tenants/acme/orders/7", "tenant").as_deref(), Some("acme"));
        assert_eq!(of(orders, "/tenants/acme/orders/7", "no").as_deref(), Some("7"));
        assert_eq!(of(orders, "/tenants/acme/orders/7", "orders"), None);
        assert_eq!(of(orders, "/tenants/a%2Fb/orders/7", "tenant").as_deref(), Some("a/b"));
        assert_eq!(of(orders, "/tenants/%ff/orders/7", "tenant").as_deref(), Some("\u{fffd}"));
        assert_eq!(of(orders, "/tenants", "no").as_deref(), Some(""));
        assert_eq!(of("/files/{*rest}", "/files/a/b%20c", "rest").as_deref(), Some("a/b c"));
        assert_eq!(of("", "", "x"), None);
    }

    #[test]
    fn parameters_of_a_query() {
        let of = |query, key| query_parameter(query, key).map(Cow::into_owned);
        assert_eq!(of("a=1&tenant=acme+corp%21&tenant=2", "tenant").as_deref(), Some("acme corp!"));
        assert_eq!(of("%74enant=acme", "tenant").as_deref(), Some("acme"));
        assert_eq!(of("tenant", "tenant").as_deref(), Some(""));
        assert_eq!(of("a=1", "tenant"), None);
    }

    #[test]
    fn nothing_is_forged() {
        assert_eq!(
            harmless("a\r\nb\u{1b}[2J\u{202e}c\u{2028}".into()),
            "a\u{fffd}\u{fffd}b\u{fffd}[2J\u{fffd}c\u{fffd}"
        );
        assert_eq!(harmless("Łódź 東京".into()), "Łódź 東京");
    }
}
