//! Decides which `async fn` becomes a function that returns a future.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{FnArg, Pat};

use crate::item_fn::{ItemFn, Returns, cfgs, mentions};
use crate::model::Shape;

/// Whether the `async fn` becomes a `fn` that returns a future. An `async fn` would hold its arguments twice, in its
/// own state and in the future that it awaits, and the compiler would have to process both future types.
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
    let attributes = item.attrs.iter().all(|attr| {
        known.iter().any(|known| attr.path().is_ident(known))
            // The expectation would be unfulfilled.
            && !mentions(&attr.meta.to_token_stream(), &Ident::new("async_fn_in_trait", Span::call_site()))
    });
    // A future that is never polled drops a struct in the order of its fields, whatever the order in the pattern.
    let arguments = item.sig.inputs.iter().all(|input| match input {
        FnArg::Typed(typed) => cfgs(&typed.attrs).is_empty() && !has_struct(&typed.pat),
        FnArg::Receiver(receiver) => cfgs(&receiver.attrs).is_empty(),
    });
    // The compiler explains a recursive `async fn` better than a recursive `impl Future`.
    let recursive = item.body.as_ref().is_some_and(|body| calls(&body.stream(), &item.sig.ident));
    // The compiler explains an `async fn main` that no runtime calls better than one that returns `impl Future`.
    let is_main = item.sig.ident == "main" && item.sig.inputs.is_empty();
    returns && attributes && arguments && !recursive && !is_main
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_depends_on_the_async_fn_stays_one() {
        for (text, expected) in [
            ("async fn f(a: u8, (b, _): (u8, u8)) {}", true),
            ("async fn f(&self) -> Result<u8, Error> {}", true),
            ("#[inline] #[doc = \"\"] #[allow(unused)] async fn f() {}", true),
            ("#[must_use] async fn f() -> u8 {}", false),
            ("#[expect(async_fn_in_trait)] async fn f() {}", false),
            ("#[other::attribute] async fn f() {}", false),
            ("async fn f() -> ! {}", false),
            ("async fn f() -> Vec<impl Send> {}", false),
            ("async fn f(#[cfg(unix)] a: u8) {}", false),
            ("async fn f(#[cfg(unix)] &self) {}", false),
            ("async fn f(A { b, c }: A) {}", false),
            ("async fn f((_, A { b, .. }): (u8, A)) {}", false),
            ("async fn f(Some((A { b, .. })): Some) {}", false),
            ("async fn main() {}", false),
            ("async fn main(&self) {}", true),
            ("async fn f() { f().await }", false),
            ("async fn f() { g(|| [f()]) }", false),
            ("async fn f(&self) { self.f().await }", false),
            ("async fn f(&self) { Self::f().await }", false),
            ("async fn f(&self) { self.g.f().await }", true),
            ("async fn f(&self) { g().f().await }", true),
        ] {
            let item = ItemFn::parse(text.parse().unwrap()).unwrap();
            assert_eq!(is_flat(&Shape::Async, &item), expected, "{text}");
            assert!(!is_flat(&Shape::AsyncStream, &item));
        }
    }
}
