//! The expansion if there are errors: the errors and the original function, to avoid follow-up errors.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::item_fn::ItemFn;
use crate::report::Report;

/// The errors, and the item without the attributes.
pub(crate) fn with_item(report: Report, item: impl ToTokens) -> TokenStream {
    let errors = report.into_tokens();
    quote!(#errors #item)
}

/// The original function. Arguments that are only used by tags count as used.
pub(crate) fn unchanged(mut item: ItemFn) -> ItemFn {
    item.attrs.push(syn::parse_quote!(#[allow(unused_variables, reason = "tags may use them")]));
    item
}

impl ToTokens for ItemFn {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attrs, vis, defaultness, sig, body, written: _ } = self;
        tokens.extend(quote!(#(#attrs)* #vis #defaultness #sig));
        match body {
            Some(body) => body.to_tokens(tokens),
            None => tokens.extend(quote!(;)),
        }
    }
}
