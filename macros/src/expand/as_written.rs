//! The function as it was written, for clippy.
//!
//! What clippy says of a function, it says of arguments that are used as the body uses them and of a body
//! that stands in its function: not of a closure. So it gets that, by `cfg(clippy)`, and nothing that is
//! generated is linted. What the attribute's own expressions look at is still looked at, and checked.

use proc_macro2::{Group, TokenStream};
use quote::{ToTokens as _, quote_spanned};

use super::body::{at_name, with_body};
use crate::item_fn::ItemFn;
use crate::runtime_path::Runtime;

/// The function for clippy. `span` is the expression that starts its span, if that has expressions of
/// the user's in it.
pub(super) fn print(mut item: ItemFn, span: Option<&TokenStream>, runtime: &Runtime) -> TokenStream {
    item.attrs.insert(0, syn::parse_quote!(#[cfg(clippy)]));
    match (span, item.body.take()) {
        (Some(span), Some(body)) => {
            let (at, body) = (at_name(&item), Group::stream(&body));
            let looks = quote_spanned!(at=> if false { #runtime::compiled(#span); });
            with_body(item, quote_spanned!(at=> #looks #body))
        }
        (_, body) => {
            item.body = body;
            item.into_token_stream()
        }
    }
}

/// The function for everybody else.
pub(super) fn otherwise(item: &mut ItemFn) {
    item.attrs.insert(0, syn::parse_quote!(#[cfg(not(clippy))]));
}
