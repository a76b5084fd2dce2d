//! The only place that knows where the runtime lives.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::Path;

/// The path to what generated code may name.
#[derive(Clone)]
pub(crate) struct Runtime(TokenStream);

impl Runtime {
    /// `krate` is where the runtime is re-exported (`crate = path`).
    pub(crate) fn new(krate: Option<&Path>) -> Self {
        Self(match krate {
            Some(path) => quote_spanned!(Span::mixed_site()=> #path::__private),
            None => quote_spanned!(Span::mixed_site()=> ::throughline::__private),
        })
    }
}

impl ToTokens for Runtime {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.to_tokens(tokens);
    }
}
