//! The function as it was written, for clippy.
//!
//! What clippy says of a function, it says of arguments that are used as the body uses them and of a body
//! that stands in its function: not of a closure. So it gets that, by `cfg(clippy)`, and nothing that is
//! generated is linted. What the attribute's own expressions look at is still looked at, and checked.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::body::{at_name, with_body};
use crate::item_fn::ItemFn;
use crate::runtime_path::Runtime;

/// The function for clippy. `span` is the expression that starts its span, if that has expressions of
/// the user's in it.
pub(super) fn print(mut item: ItemFn, span: Option<&TokenStream>, runtime: &Runtime) -> TokenStream {
    let for_clippy = quote!(#[cfg(clippy)]);
    match (span, item.written.take(), item.body.take()) {
        (None, Some(written), _) => quote!(#for_clippy #written),
        (Some(span), _, Some(body)) => {
            let (at, users, body) = (at_name(&item), body.clone(), body.stream());
            let looks = quote_spanned!(at=> if false { #runtime::compiled(#span); });
            item.body = Some(users);
            let item = with_body(item, quote_spanned!(at=> #looks #body));
            quote!(#for_clippy #item)
        }
        (_, _, body) => {
            item.body = body;
            quote!(#for_clippy #item)
        }
    }
}

/// The function for everybody else.
pub(super) fn otherwise(item: &mut ItemFn) {
    item.attrs.insert(0, syn::parse_quote!(#[cfg(not(clippy))]));
}
