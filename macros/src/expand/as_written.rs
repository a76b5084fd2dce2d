//! The function as it was written, for clippy.
//!
//! Many of clippy's lints consider how the body uses the arguments, and do not apply to a body inside a closure.
//! So under `cfg(clippy)`, the expansion is the original function, and generated code is not linted. The attribute's
//! own expressions are included, so that they are checked and the arguments they use count as used.

use proc_macro2::{TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::parse::discouraged::Speculative as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Item};

use super::body::{at_name, with_body};
use crate::item_fn::ItemFn;
use crate::runtime_path::Runtime;

/// The function for clippy. `span` is the expression that starts the span, if it contains expressions of the user.
/// `for_docs`: the generated function has another signature, so this one is documented.
pub(super) fn print(mut item: ItemFn, span: Option<&TokenStream>, for_docs: bool, runtime: &Runtime) -> TokenStream {
    let for_clippy = if for_docs { quote!(#[cfg(any(clippy, doc))]) } else { quote!(#[cfg(clippy)]) };
    match (span, item.written.take(), item.body.take()) {
        (None, Some(written), _) => quote!(#for_clippy #written),
        (Some(span), _, Some(body)) => {
            let (at, users, (items, rest)) = (at_name(&item), body.clone(), items_first(body.stream()));
            // In a closure that is never called. An `if false` would count towards clippy's complexity limit.
            let looks = quote_spanned!(at=> #runtime::compiled(|| #span););
            item.body = Some(users);
            let item = with_body(item, quote_spanned!(at=> #items #looks #rest));
            quote!(#for_clippy #item)
        }
        (_, _, body) => {
            item.body = body;
            quote!(#for_clippy #item)
        }
    }
}

/// Splits off the items at the start of a body, such as imports: clippy has a lint for items after statements.
fn items_first(body: TokenStream) -> (TokenStream, TokenStream) {
    let first = body.clone().into_iter().next();
    let may_be_item = match first {
        Some(TokenTree::Ident(word)) => ITEMS.iter().any(|item| word == *item),
        Some(TokenTree::Punct(sign)) => sign.as_char() == '#',
        _ => false,
    };
    if !may_be_item {
        return (TokenStream::new(), body);
    }
    let split = |input: ParseStream<'_>| {
        let mut items = TokenStream::new();
        while is_item(input) {
            let (start, ahead) = (input.fork(), input.fork());
            if ahead.parse::<Item>().is_err() {
                break;
            }
            input.advance_to(&ahead);
            while start.cursor() != input.cursor() {
                items.extend([start.parse::<TokenTree>()?]);
            }
        }
        Ok((items, input.parse()?))
    };
    split.parse2(body.clone()).unwrap_or((TokenStream::new(), body))
}

const ITEMS: [&str; 15] = [
    "async",
    "const",
    "enum",
    "extern",
    "fn",
    "impl",
    "macro_rules",
    "mod",
    "pub",
    "static",
    "struct",
    "trait",
    "type",
    "unsafe",
    "use",
];

/// Whether an item may start here. A macro call is a statement.
fn is_item(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    ahead.call(Attribute::parse_outer).is_ok()
        && ahead.cursor().ident().is_some_and(|(word, _)| ITEMS.iter().any(|item| word == *item))
}

/// The function for other compilations.
pub(super) fn otherwise(item: &mut ItemFn, for_docs: bool) {
    let condition = if for_docs {
        syn::parse_quote!(#[cfg(not(any(clippy, doc)))])
    } else {
        syn::parse_quote!(#[cfg(not(clippy))])
    };
    item.attrs.insert(0, condition);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_items_at_the_start_of_a_body_are_split_off() {
        for (items, rest) in [
            ("use a::b; #[cold] fn c() {}", "c(); fn d() {}"),
            ("#[derive(Debug)] struct A;", "b()"),
            ("const A: u8 = 1; macro_rules! b { () => {} }", "b!(); use c::d;"),
            ("", "b!(); use c::d;"),
            ("", "#[cold] let a = 1; use c::d;"),
            ("", "unsafe { a() } use c::d;"),
            ("", "async {}.await"),
            ("", ""),
        ] {
            let tokens = |text: &str| text.parse::<TokenStream>().unwrap().to_string();
            let (found, left) = items_first(format!("{items} {rest}").parse().unwrap());
            assert_eq!((found.to_string(), left.to_string()), (tokens(items), tokens(rest)), "{items} {rest}");
        }
    }
}
