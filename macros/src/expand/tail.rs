//! Types of the parameters of closures that a function returns.
//!
//! In `async fn f() -> impl Fn(&str) -> usize { |text| text.len() }`, the compiler infers the type of `text` from the
//! signature. It does not in an async block.
//!
//! Like the compiler, this only looks at the tail of the function, and into tuples and blocks.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Block, Expr, GenericParam, Pat, PatType, PathArguments, Stmt, Token, TraitBound, Type, TypeParamBound};

use crate::types::{is_opaque_function, peel};

/// The body with the parameters' types at each closure that stands where `returned` has an `impl Fn(…)`; `None` if
/// there is no such closure.
pub(crate) fn typed(body: &Group, returned: &Type) -> Option<Group> {
    if !is_opaque_function(returned) {
        return None;
    }
    let mut block: Block = syn::parse2(TokenTree::Group(body.clone()).into()).ok()?;
    if !annotate_last(&mut block, returned) {
        return None;
    }
    let mut typed = Group::new(body.delimiter(), block.stmts.iter().map(Stmt::to_token_stream).collect());
    typed.set_span(body.span());
    Some(typed)
}

/// Returns whether there was something to annotate.
fn annotate(tail: &mut Expr, returned: &Type) -> bool {
    match (tail, peel(returned)) {
        (Expr::Closure(closure), Type::ImplTrait(opaque)) => {
            let Some(types) = opaque.bounds.iter().find_map(parameters) else { return false };
            let untyped = closure.inputs.iter_mut().zip(types).filter(|(pat, _)| !matches!(pat, Pat::Type(_)));
            untyped.map(|(pat, ty)| *pat = with_type(pat.clone(), ty)).count() > 0
        }
        (Expr::Tuple(tail), Type::Tuple(returned)) => {
            let parts = tail.elems.iter_mut().zip(&returned.elems);
            parts.fold(false, |found, (tail, returned)| annotate(tail, returned) || found)
        }
        (Expr::Paren(tail), returned) => annotate(&mut tail.expr, returned),
        (Expr::Block(tail), returned) => annotate_last(&mut tail.block, returned),
        (Expr::Unsafe(tail), returned) => annotate_last(&mut tail.block, returned),
        _ => false,
    }
}

fn annotate_last(block: &mut Block, returned: &Type) -> bool {
    match block.stmts.last_mut() {
        Some(Stmt::Expr(tail, None)) => annotate(tail, returned),
        _ => false,
    }
}

/// The types of the parameters, if the bound is `Fn(…)` or the like.
fn parameters(bound: &TypeParamBound) -> Option<Vec<Type>> {
    let TypeParamBound::Trait(TraitBound { lifetimes, path, .. }) = bound else { return None };
    let PathArguments::Parenthesized(arguments) = &path.segments.last()?.arguments else { return None };
    let bound: Vec<_> = lifetimes.iter().flat_map(|bound| &bound.lifetimes).filter_map(lifetime).collect();
    let types = arguments.inputs.iter().map(|input| syn::parse2(elided(input.ty.to_token_stream(), &bound)));
    types.collect::<Result<_, _>>().ok()
}

fn lifetime(param: &GenericParam) -> Option<&Ident> {
    match param {
        GenericParam::Lifetime(param) => Some(&param.lifetime.ident),
        _ => None,
    }
}

/// The type with `'_` instead of these lifetimes, which a closure cannot name.
fn elided(ty: TokenStream, bound: &[&Ident]) -> TokenStream {
    let mut is_lifetime = false;
    let elide = |token| match token {
        TokenTree::Ident(name) if std::mem::take(&mut is_lifetime) && bound.contains(&&name) => {
            TokenTree::Ident(Ident::new("_", name.span()))
        }
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), elided(group.stream(), bound));
            inner.set_span(group.span());
            TokenTree::Group(inner)
        }
        TokenTree::Punct(punct) => {
            is_lifetime = punct.as_char() == '\'';
            TokenTree::Punct(punct)
        }
        other => other,
    };
    ty.into_iter().map(elide).collect()
}

fn with_type(pat: Pat, ty: Type) -> Pat {
    let colon_token = Token![:](Span::mixed_site());
    Pat::Type(PatType { attrs: Vec::new(), pat: Box::new(pat), colon_token, ty: Box::new(ty) })
}

#[cfg(test)]
mod tests {
    use quote::quote;
    use syn::parse_quote;

    use super::*;

    fn typed_as(returned: &Type, body: TokenStream) -> Option<String> {
        let body = Group::new(proc_macro2::Delimiter::Brace, body);
        typed(&body, returned).map(|body| body.stream().to_string())
    }

    #[test]
    fn parameters_get_the_types_of_the_signature() {
        for (returned, body, expected) in [
            (parse_quote!(impl Fn(&str) -> usize), quote!(|t| t.len()), quote!(|t: &str| t.len())),
            (
                parse_quote!(impl FnOnce(A, &B) + 'a),
                quote!(g(); move |a, b: &B| ()),
                quote!(g(); move |a: A, b: &B| ()),
            ),
            (parse_quote!(impl for<'x> Fn(&'x [&'a T])), quote!(|t| ()), quote!(|t: &'_ [&'a T]| ())),
            (parse_quote!(impl Send + AsyncFn(u8)), quote!((async |n| n)), quote!((async |n: u8| n))),
            (parse_quote!((u8, impl Fn(&str))), quote!((1, |t| ())), quote!((1, |t: &str| ()))),
            (parse_quote!(impl Fn(&str)), quote!({ |t| () }), quote!({ |t: &str| () })),
            (parse_quote!(impl Fn(&str)), quote!(unsafe { |t| () }), quote!(unsafe { |t: &str| () })),
            (parse_quote!(impl Fn(&P)), quote!(|P { x, .. }| ()), quote!(|P { x, .. }: &P| ())),
        ] {
            assert_eq!(typed_as(&returned, body), Some(expected.to_string()));
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for (returned, body) in [
            (parse_quote!(impl Fn(&str)), quote!(|t: &str| ())),
            (parse_quote!(impl Fn()), quote!(|| ())),
            (parse_quote!(impl Fn(&str)), quote!(let f = |t: &str| (); f)),
            (parse_quote!(impl Fn(&str)), quote!(|t| ();)),
            (parse_quote!(impl Handler), quote!(|t| ())),
            (parse_quote!(Box<dyn Fn(&str)>), quote!(Box::new(|t| ()))),
            (
                parse_quote!(impl Fn(&str)),
                quote!(match n {
                    _ => |t| (),
                }),
            ),
            (parse_quote!(Option<impl Fn(&str)>), quote!(Some(|t| ()))),
            (parse_quote!(u8), quote!(a | b)),
        ] {
            assert_eq!(typed_as(&returned, body), None);
        }
    }
}
