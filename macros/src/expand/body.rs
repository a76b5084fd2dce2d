//! A function taken apart, and its body put into the block that runs in the span.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens as _, quote_spanned};
use syn::Expr;

use super::arguments::{self, Arguments, Peek};
use super::returns::{annotation, hint};
use super::tags::used;
use crate::item_fn::{ItemFn, owns_mutable_self};
use crate::model::{Shape, TagSets};
use crate::runtime_path::Runtime;

/// A function whose arguments and body are taken apart, ready to be put together again.
pub(crate) struct Pieces {
    pub(crate) item: ItemFn,
    /// What makes the names of replaced patterns known before the block.
    pub(crate) peek: Vec<Peek>,
    rebind: TokenStream,
    pub(crate) body: Group,
}

/// `origins` are expressions of the user's that come before the body, as tags do.
pub(crate) fn take_apart(mut item: ItemFn, tags: &TagSets, origins: &[&Expr], shape: &Shape) -> Pieces {
    let Arguments { rebind, peek } = if let Shape::InPlace = shape {
        // The body stays where its arguments are.
        Arguments::default()
    } else {
        let (whole, linted) = (owns_mutable_self(&item.sig), matches!(shape, Shape::Spawn(_)));
        arguments::plan(&mut item.sig, &used(tags, origins), whole, linted)
    };
    let body = item.body.clone().unwrap_or_else(|| Group::new(Delimiter::Brace, TokenStream::new()));
    Pieces { item, peek, rebind, body }
}

/// The place of the function's name. What generated code calls is there, and with it the errors of
/// a body that does not fit.
pub(crate) fn at_name(item: &ItemFn) -> Span {
    Span::mixed_site().located_at(item.sig.ident.span())
}

/// The body as a closure that has the function's return type.
///
/// In it, `mut self` is only lent to a second one. What a closure owns is a variable to the compiler, and
/// a value that is left in it by the end of the call is one that nobody reads; in a function, what is left
/// in `self` is none of its business.
pub(crate) fn closure(pieces: &Pieces) -> TokenStream {
    let (rebind, body) = (&pieces.rebind, &pieces.body);
    let at = at_name(&pieces.item);
    let block = if rebind.is_empty() { body.clone() } else { ending(rebind, body, at) };
    let annotation = annotation(pieces.item.returns(), at);
    if owns_mutable_self(&pieces.item.sig) {
        return quote_spanned!(at=> move || #annotation { (|| #annotation #block)() });
    }
    quote_spanned!(at=> move || #annotation #block)
}

/// The body as an async block that is told the function's return type.
pub(crate) fn async_block(pieces: &Pieces, runtime: &Runtime) -> TokenStream {
    let (rebind, hint) = (&pieces.rebind, hint(pieces.item.returns(), runtime));
    let at = at_name(&pieces.item);
    let block = ending(&quote_spanned!(at=> #rebind #hint), &pieces.body, at);
    if owns_mutable_self(&pieces.item.sig) {
        return quote_spanned!(at=> async move { (async #block).await });
    }
    quote_spanned!(at=> async move #block)
}

/// `statements`, then the body as their block's last expression.
///
/// What the body's last expression borrows from an argument is let go before the argument is dropped,
/// as in the plain function: an arm of a `match` ends the lives of its temporaries. The outer braces,
/// which are of this crate's edition, would do that too. The inner ones have to stay as written, for
/// the order of drops in the user's edition, and only in an arm does no lint call them unnecessary.
fn ending(statements: &TokenStream, body: &Group, at: Span) -> Group {
    let mut braces = Group::new(Delimiter::Brace, quote_spanned!(at=> #statements match () { () => #body }));
    braces.set_span(at);
    braces
}

/// The function with another body in the user's own braces, so that it is all the user's: a lint
/// that does not look into macros looks at it.
pub(crate) fn with_body(mut item: ItemFn, body: TokenStream) -> TokenStream {
    let mut braces = Group::new(Delimiter::Brace, body);
    if let Some(users) = &item.body {
        braces.set_span(users.span());
    }
    item.body = Some(braces);
    item.into_token_stream()
}
