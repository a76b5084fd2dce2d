//! Functions that return `impl Trait`, and are still to be written: `fn rows() -> impl Debug { unreachable!() }`.
//!
//! If nothing determines the type of the result, the compiler falls back to `()`, or in edition 2024 to `!`. It does so
//! after it has checked everything else, and inspecting the result requires its type before that.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens as _;

use crate::item_fn::{ItemFn, Returns, mentions};

/// Whether the type of an `impl Trait` is unknown, because the function never returns.
pub(super) fn is_unwritten(item: &ItemFn) -> bool {
    let Returns::Value(ty) = item.returns() else { return false };
    let word = |name| Ident::new(name, Span::call_site());
    let Some(body) = &item.body else { return false };
    let body = body.stream();
    mentions(&ty.to_token_stream(), &word("impl"))
        && never_ends(body.clone())
        && !mentions(&body, &word("return"))
        && !has_question_mark(body)
}

/// Whether the last statement is a call of a macro that panics, or a `loop` without a `break`.
fn never_ends(body: TokenStream) -> bool {
    let mut tokens: Vec<_> = body.into_iter().collect();
    let is = |token: &TokenTree, sign| matches!(token, TokenTree::Punct(it) if it.as_char() == sign);
    if tokens.last().is_some_and(|last| is(last, ';')) {
        tokens.pop();
    }
    match &tokens[..] {
        [.., TokenTree::Ident(name), sign, TokenTree::Group(_)] if is(sign, '!') => {
            ["panic", "todo", "unimplemented", "unreachable"].iter().any(|known| name == known)
        }
        [.., TokenTree::Ident(name), TokenTree::Group(block)] => {
            name == "loop" && !mentions(&block.stream(), &Ident::new("break", Span::call_site()))
        }
        _ => false,
    }
}

fn has_question_mark(body: TokenStream) -> bool {
    body.into_iter().any(|token| match token {
        TokenTree::Group(group) => has_question_mark(group.stream()),
        TokenTree::Punct(sign) => sign.as_char() == '?',
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_unknown_if_nothing_is_returned() {
        for (text, expected) in [
            ("fn f() -> impl Debug { unreachable!() }", true),
            ("fn f(n: u8) -> impl Debug { log(n); std::panic!(\"later\"); }", true),
            ("async fn f() -> Vec<impl Debug> { let n = panic!(); }", true),
            ("fn f() -> impl Debug { loop { g(); } }", true),
            ("fn f() -> impl Debug { loop { break 1; } }", false),
            ("fn f(n: u8) -> impl Debug { if n == 0 { return 1; } unreachable!() }", false),
            ("fn f(n: u8) -> Result<impl Debug, E> { g(n)?; unreachable!() }", false),
            ("fn f() -> impl Debug { if g() { 1 } else { unreachable!() } }", false),
            ("fn f() -> impl Debug { format!() }", false),
            ("fn f() -> impl Debug {}", false),
            ("fn f() -> u8 { unreachable!() }", false),
            ("fn f() -> ! { unreachable!() }", false),
            ("fn f() { unreachable!() }", false),
        ] {
            assert_eq!(is_unwritten(&ItemFn::parse(text.parse().unwrap()).unwrap()), expected, "{text}");
        }
    }
}
