//! Decides which `async fn` becomes a function that returns a future.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{FnArg, Pat};

use crate::item_fn::{ItemFn, Returns, cfgs, mentions};
use crate::model::Shape;

/// Whether the function becomes one that returns a future: `async fn` holds the future that it awaits beside its
/// arguments, which the future needs as well, and both are types that the compiler has to look through.
pub(super) fn is_flat(shape: &Shape, item: &ItemFn) -> bool {
    matches!(shape, Shape::Async) && can_return_future(item)
}

/// Whether the effect is the same if the `async fn` becomes a `fn` that returns a future.
fn can_return_future(item: &ItemFn) -> bool {
    let returns = match item.returns() {
        Returns::Unit => true,
        // `!` is not allowed as an associated type.
        Returns::Never => false,
        Returns::Value(ty) => !mentions(&ty.to_token_stream(), &Ident::new("impl", Span::call_site())),
    };
    // Other attributes may want an `async fn`, and `#[must_use]` would apply to the future instead of its output.
    let known = ["allow", "cfg", "cold", "deny", "deprecated", "doc", "expect", "forbid", "inline", "warn"];
    let attributes = item.attrs.iter().all(|attr| known.iter().any(|known| attr.path().is_ident(known)));
    // A future that is never polled drops a struct in the order of its fields, whatever the order in the pattern.
    let arguments = item.sig.inputs.iter().all(|input| match input {
        FnArg::Typed(typed) => cfgs(&typed.attrs).is_empty() && !has_struct(&typed.pat),
        FnArg::Receiver(receiver) => cfgs(&receiver.attrs).is_empty(),
    });
    // The compiler explains a recursive `async fn` better than a recursive `impl Future`.
    let recursive = item.body.as_ref().is_some_and(|body| calls(&body.stream(), &item.sig.ident));
    returns && attributes && arguments && !recursive
}

fn has_struct(pat: &Pat) -> bool {
    match pat {
        Pat::Struct(_) => true,
        Pat::Tuple(pat) => pat.elems.iter().any(has_struct),
        Pat::TupleStruct(pat) => pat.elems.iter().any(has_struct),
        Pat::Paren(pat) => has_struct(&pat.pat),
        _ => false,
    }
}

/// Whether the function may call itself: by its name, or as a method of `self` or a type.
fn calls(tokens: &TokenStream, name: &Ident) -> bool {
    let mut before: [Option<TokenTree>; 2] = [None, None];
    for token in tokens.clone() {
        match &token {
            TokenTree::Ident(ident) if ident == name => {
                let is_member = matches!(&before[1], Some(TokenTree::Punct(punct)) if punct.as_char() == '.');
                let of_self = matches!(&before[0], Some(TokenTree::Ident(ident)) if ident == "self");
                if !is_member || of_self {
                    return true;
                }
            }
            TokenTree::Group(group) if calls(&group.stream(), name) => return true,
            _ => {}
        }
        before = [before[1].take(), Some(token)];
    }
    false
}
