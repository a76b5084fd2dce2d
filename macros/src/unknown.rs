//! Errors for unknown options.

use proc_macro2::{Ident, Literal, TokenStream, TokenTree};
use quote::quote;
use syn::Error;

use crate::known::{Attr, TRACED, TRACED_SPAWN, is_kind};
use crate::report::{nearest, one_of};
use crate::shown::shown;
use crate::tag::Modifier;

/// The error for the unknown option `key` followed by `rest`; `known` are the options of the attribute.
pub(crate) fn option(attr: Attr, key: &Ident, known: &[&str], rest: &TokenStream) -> Error {
    let name = key.to_string();
    let (other, home) = match attr {
        Attr::Traced => (TRACED_SPAWN, "#[traced_spawn]"),
        Attr::TracedSpawn => (TRACED, "#[traced]"),
    };
    let message = if other.contains(&name.as_str()) {
        format!("`{name}` is an option of `{home}`; {}", one_of(known))
    } else if is_kind(&name) {
        format!("`{name}` is a span kind; write `kind = {name}`")
    } else if Modifier::from_name(&name).is_some() {
        format!("`{name}` is a modifier of tags; write `tags({name}(tenant_id))`")
    } else if let Some(near) = nearest(&name, known.iter().copied()) {
        format!("unknown option `{name}`; did you mean `{near}`?")
    } else if can_be_tag(&name, rest) {
        format!("unknown option `{name}`; {}, or a tag: `tags({})`", one_of(known), written(key, rest))
    } else {
        format!("unknown option `{name}`; {}", one_of(known))
    };
    Error::new(key.span(), message)
}

/// The error for `%order_no`, `?order` and `"user.id" = id`, which are tags and not options.
pub(crate) fn tag(entry: &TokenStream) -> Option<Error> {
    let mut tokens = entry.clone().into_iter();
    let is_tag = match (tokens.next()?, tokens.next()?) {
        (TokenTree::Punct(sign), _) => ['%', '?'].contains(&sign.as_char()),
        (TokenTree::Literal(key), TokenTree::Punct(sign)) => is_text(&key) && sign.as_char() == '=',
        _ => false,
    };
    is_tag.then(|| Error::new_spanned(entry, format!("tags are listed in `tags(…)`: `tags({})`", shown(entry))))
}

fn is_text(literal: &Literal) -> bool {
    literal.to_string().starts_with('"')
}

/// Whether this is `name` or `name = value`.
fn can_be_tag(name: &str, rest: &TokenStream) -> bool {
    name != "self"
        && match rest.clone().into_iter().next() {
            None => true,
            Some(TokenTree::Punct(sign)) => sign.as_char() == '=',
            Some(_) => false,
        }
}

fn written(key: &Ident, rest: &TokenStream) -> String {
    shown(quote!(#key #rest))
}
