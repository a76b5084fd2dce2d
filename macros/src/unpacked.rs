//! Patterns that `#[async_trait]` has moved from the arguments into the body.
//!
//! ```text
//! // What it makes of `async fn place(&self, Path(tenant_id): Path<String>)`:
//! fn place(&self, __arg1: Path<String>) -> Pin<Box<dyn Future<Output = ()>>> {
//!     Box::pin(async move {
//!         let Path(tenant_id) = { let __arg1 = __arg1; __arg1 };
//!         …
//!     })
//! }
//! ```

use proc_macro2::{Delimiter, Group, Ident, Spacing, TokenStream, TokenTree};
use syn::parse::Parser as _;
use syn::{FnArg, Pat};

use crate::item_fn::{ItemFn, cfgs, mentions};

/// A pattern, and the argument that is matched against it.
pub(crate) struct Unpacked {
    pub(crate) argument: Ident,
    pub(crate) cfgs: TokenStream,
    pub(crate) pat: Pat,
}

/// Every such pattern of the function.
pub(crate) fn patterns(item: &ItemFn) -> Vec<Unpacked> {
    let arguments = item.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => match &*typed.pat {
            Pat::Ident(pat) if pat.ident.to_string().starts_with("__arg") => Some((&pat.ident, cfgs(&typed.attrs))),
            _ => None,
        },
        FnArg::Receiver(_) => None,
    });
    let mut arguments = arguments.peekable();
    if item.sig.asyncness.is_some() || arguments.peek().is_none() {
        return Vec::new();
    }
    let Some(body) = item.body.as_ref().and_then(|body| async_block(body.stream())) else { return Vec::new() };
    let found = arguments.filter_map(|(argument, cfgs)| {
        Some(Unpacked { argument: argument.clone(), cfgs, pat: pattern_of(argument, body.stream())? })
    });
    found.collect()
}

/// The block of `Box::pin(async move { … })`.
fn async_block(body: TokenStream) -> Option<Group> {
    let last = |tokens: TokenStream, delimiter| match tokens.into_iter().last() {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group),
        _ => None,
    };
    last(last(body, Delimiter::Parenthesis)?.stream(), Delimiter::Brace)
}

/// The pattern of the statement that unpacks the argument.
fn pattern_of(argument: &Ident, body: TokenStream) -> Option<Pat> {
    let mut tokens = body.into_iter();
    while let Some(token) = tokens.next() {
        if !matches!(&token, TokenTree::Ident(word) if word == "let") {
            continue;
        }
        let mut pat = TokenStream::new();
        let mut joint = false;
        for token in tokens.by_ref() {
            match &token {
                TokenTree::Punct(sign) if sign.as_char() == '=' && !joint => break,
                TokenTree::Punct(sign) => joint = sign.spacing() == Spacing::Joint,
                _ => joint = false,
            }
            pat.extend([token]);
        }
        let value = TokenStream::from(tokens.next()?);
        if mentions(&value, argument) {
            return Pat::parse_single.parse2(pat).ok().filter(|pat| !matches!(pat, Pat::Ident(_)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use quote::ToTokens as _;

    use super::*;
    use crate::item_fn::names_of;

    /// What is found in a method of `#[async_trait]` with this body: each argument with the names in its pattern.
    fn found(arguments: &str, body: &str) -> Vec<String> {
        let text = format!("fn f({arguments}) -> Pin<Box<dyn Future>> {{ Box::pin(async move {{ {body} }}) }}");
        let patterns = patterns(&ItemFn::parse(text.parse().unwrap()).unwrap());
        let names = |pat| names_of(pat).iter().map(Ident::to_string).collect::<Vec<_>>().join(" ");
        patterns.iter().map(|unpacked| format!("{}: {}", unpacked.argument, names(&unpacked.pat))).collect()
    }

    #[test]
    fn patterns_are_found_where_async_trait_has_moved_them() {
        let arguments = "&self, __arg1: Path<String>, a: u8, __arg3: Range";
        let rest = "let a = a; let __ret: u8 = { let b = __arg1; b };";
        for (body, expected) in [
            (
                "let Path(tenant_id) = { let __arg1 = __arg1; __arg1 }; let Range { from, to: (b, _) } = __arg3;",
                &["__arg1: tenant_id", "__arg3: from b"][..],
            ),
            ("let a = a; let (Some(1..=2) | Other(c)) = __arg3;", &["__arg3: "]),
            ("let [b, ..] = __arg1;", &["__arg1: b"]),
            ("let b = __arg1;", &[]),
            ("let Path(b) = other;", &[]),
            ("b(__arg1)", &[]),
        ] {
            assert_eq!(found(arguments, &format!("{body} {rest}")), expected, "{body}");
        }
    }

    #[test]
    fn other_functions_have_none() {
        let body = "let Path(a) = __arg1;";
        assert!(found("a: u8", body).is_empty());
        for text in [
            format!("async fn f(__arg1: u8) {{ Box::pin(async move {{ {body} }}) }}"),
            format!("fn f(__arg1: u8) {{ {body} }}"),
            format!("fn f(__arg1: u8) {{ Box::pin([{body}]) }}"),
            "fn f(__arg1: u8);".to_owned(),
        ] {
            assert!(patterns(&ItemFn::parse(text.parse().unwrap()).unwrap()).is_empty(), "{text}");
        }
    }

    #[test]
    fn conditions_of_the_argument_are_those_of_the_pattern() {
        let text = "fn f(#[cfg(unix)] #[allow(unused)] __arg1: A) { Box::pin(async move { let A(b) = __arg1; }) }";
        let found = patterns(&ItemFn::parse(text.parse().unwrap()).unwrap());
        assert_eq!(found[0].cfgs.to_string(), "#[cfg(unix)]".parse::<TokenStream>().unwrap().to_string());
        assert_eq!(found[0].pat.to_token_stream().to_string(), "A (b)");
    }
}
