//! The function as it was written, for clippy.
//!
//! Many of clippy's lints consider how the body uses the arguments, and do not apply to a body inside a closure.
//! So under `cfg(clippy)`, the expansion is the original function, and generated code is not linted. The attribute's
//! own expressions are included, so that they are checked and the arguments they use count as used.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use super::body::{at_name, with_body};
use crate::item_fn::ItemFn;
use crate::runtime_path::Runtime;

/// The function for clippy. `span` is the expression that starts its span, if that has expressions of
/// the user's in it. `for_docs` says that the other function has another signature, which is not the one to document.
pub(super) fn print(mut item: ItemFn, span: Option<&TokenStream>, for_docs: bool, runtime: &Runtime) -> TokenStream {
    let for_clippy = if for_docs { quote!(#[cfg(any(clippy, doc))]) } else { quote!(#[cfg(clippy)]) };
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

/// The function for other compilations.
pub(super) fn otherwise(item: &mut ItemFn, for_docs: bool) {
    let condition = if for_docs {
        syn::parse_quote!(#[cfg(not(any(clippy, doc)))])
    } else {
        syn::parse_quote!(#[cfg(not(clippy))])
    };
    item.attrs.insert(0, condition);
}
