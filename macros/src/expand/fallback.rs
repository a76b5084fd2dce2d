//! The expansion if there are errors: the errors and the original function, to avoid follow-up errors.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};

use crate::item_fn::ItemFn;
use crate::item_kind::{Part, PartKind};
use crate::report::Report;

/// The errors, and the item without the attributes.
pub(crate) fn with_item(report: Report, item: impl ToTokens) -> TokenStream {
    let errors = report.into_tokens();
    quote!(#errors #item)
}

/// The same, for an item that is not a function. Only one expression fits in the place of an expression: the errors.
pub(crate) fn instead_of_function(report: Report, item: TokenStream) -> TokenStream {
    match Part::of(&item) {
        Some(part) if !matches!(part.kind, PartKind::Statement) => report.into_tokens(),
        _ => with_item(report, item),
    }
}

/// The original function. Arguments that are only used by tags count as used.
pub(crate) fn unchanged(mut item: ItemFn) -> ItemFn {
    item.attrs.push(syn::parse_quote!(#[allow(unused_variables, reason = "tags may use them")]));
    item
}

impl ToTokens for ItemFn {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attrs, vis, defaultness, sig, body, semi, written: _ } = self;
        tokens.extend(quote!(#(#attrs)* #vis #defaultness #sig));
        match body {
            Some(body) => body.to_tokens(tokens),
            None => tokens.extend(quote_spanned!(*semi=> ;)),
        }
    }
}
