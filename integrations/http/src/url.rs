//! The variables in URLs.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A query parameter, decoded as `application/x-www-form-urlencoded`.
pub(crate) fn query_parameter<'a>(query: &'a str, key: &str) -> Option<Cow<'a, str>> {
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find(|(name, _)| form_decoded(name) == key).map(|(_, value)| form_decoded(value))
}

/// The variable `name` of a route template such as `/tenants/{tenant}/files/{*rest}`, as it is in
/// `path`.
pub(crate) fn path_variable<'a>(template: &str, path: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut rest = path.strip_prefix('/').unwrap_or(path);
    let mut segments = template.strip_prefix('/').unwrap_or(template).split('/');
    loop {
        let variable = segments.next().map(Variable::of)?;
        let (segment, more) = rest.split_once('/').unwrap_or((rest, ""));
        match variable {
            Some(variable) if variable.name.strip_prefix('*') == Some(name) => return variable.value(rest),
            Some(variable) if variable.name == name => return variable.value(segment),
            _ => rest = more,
        }
    }
}

/// The variable of a segment, and the text around it: `order-{no}`.
struct Variable<'a> {
    before: &'a str,
    name: &'a str,
    after: &'a str,
}

impl<'a> Variable<'a> {
    fn of(segment: &'a str) -> Option<Self> {
        // A doubled brace is text.
        let mut start = segment.find('{')?;
        while segment[start + 1..].starts_with('{') {
            start += 2 + segment[start + 2..].find('{')?;
        }
        let (name, after) = segment[start + 1..].split_once('}')?;
        Some(Self { before: &segment[..start], name, after })
    }

    fn value<'p>(&self, path: &'p str) -> Option<Cow<'p, str>> {
        let unescaped = |text: &str| text.replace("{{", "{").replace("}}", "}");
        let value = path.strip_prefix(&*unescaped(self.before))?;
        value.strip_suffix(&*unescaped(self.after)).map(decoded)
    }
}

/// Like [`decoded`]; a plus is a space.
fn form_decoded(text: &str) -> Cow<'_, str> {
    if text.contains('+') { Cow::Owned(decoded(&text.replace('+', " ")).into_owned()) } else { decoded(text) }
}

fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

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

        let prefixed = "/v{version}/order-{no}/{{x}}-{{{name}.json";
        assert_eq!(of(prefixed, "/v2/order-a%20b/{x}-{7.json", "version").as_deref(), Some("2"));
        assert_eq!(of(prefixed, "/v2/order-a%20b/{x}-{7.json", "no").as_deref(), Some("a b"));
        assert_eq!(of(prefixed, "/v2/order-a%20b/{x}-{7.json", "name").as_deref(), Some("7"));
        assert_eq!(of(prefixed, "/v2/order-a%20b/{x}-{7.json", "x"), None);
        assert_eq!(of(prefixed, "/v2/7", "no"), None);
        assert_eq!(of("/order-{no", "/order-7", "no"), None);
    }

    #[test]
    fn parameters_of_a_query() {
        let of = |query, key| query_parameter(query, key).map(Cow::into_owned);
        assert_eq!(of("a=1&tenant=acme+corp%21&tenant=2", "tenant").as_deref(), Some("acme corp!"));
        assert_eq!(of("%74enant=acme", "tenant").as_deref(), Some("acme"));
        assert_eq!(of("order+no=7&c%2B%2B=1", "order no").as_deref(), Some("7"));
        assert_eq!(of("order+no=7&c%2B%2B=1", "c++").as_deref(), Some("1"));
        assert_eq!(of("tenant", "tenant").as_deref(), Some(""));
        assert_eq!(of("a=1", "tenant"), None);
    }
}
