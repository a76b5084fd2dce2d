//! The path to the runtime crate, which only this module knows.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::Path;

/// The path to what generated code may name.
#[derive(Clone)]
pub(crate) struct Runtime {
    krate: Option<Path>,
    at: Span,
}

impl Runtime {
    /// `krate` is where the runtime is re-exported (`crate = path`).
    pub(crate) fn new(krate: Option<&Path>) -> Self {
        Self { krate: krate.cloned(), at: Span::mixed_site() }
    }

    /// Whether the user has named the path, which may be the only use of an import.
    pub(crate) fn is_named(&self) -> bool {
        self.krate.is_some()
    }

    /// The same path. Errors about the items behind it are reported at `at`.
    pub(crate) fn at(&self, at: Span) -> Self {
        self.written_at(Span::mixed_site().located_at(at))
    }

    /// The same path, as if the user had written it at `at`.
    pub(crate) fn written_at(&self, at: Span) -> Self {
        Self { krate: self.krate.clone(), at }
    }
}

impl ToTokens for Runtime {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        // `__private` has the same location in every use, so that the compiler reports a wrong path only once.
        tokens.extend(if let Some(path) = &self.krate {
            let end = path.segments.last().map_or(self.at, |last| last.ident.span());
            let private = Ident::new("__private", Span::mixed_site().located_at(end));
            quote_spanned!(self.at=> #path::#private)
        } else {
            let [name, private] = ["throughline", "__private"].map(|name| Ident::new(name, Span::mixed_site()));
            quote_spanned!(self.at=> ::#name::#private)
        });
    }
}
