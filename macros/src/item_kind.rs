//! What an annotated item is, judging by how it begins.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Error, Result, Token, Visibility};

pub(crate) fn is_word(input: ParseStream<'_>, word: &str) -> bool {
    input.fork().parse::<Ident>().is_ok_and(|ident| ident == word)
}

/// Whether a function signature starts here.
pub(crate) fn is_fn(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    loop {
        if ahead.peek(Token![fn]) {
            return true;
        }
        let qualifier = ahead.peek(Token![const]) || ahead.peek(Token![async]) || ahead.peek(Token![unsafe]);
        if qualifier {
            // `const X: …` is an item, `const fn` is a function.
            let _ = ahead.parse::<TokenTree>();
        } else if ahead.peek(Token![extern]) {
            let _ = ahead.parse::<Option<syn::Abi>>();
        } else {
            return false;
        }
    }
}

/// Whether this is a function, if maybe one that cannot be parsed.
pub(crate) fn looks_like_fn(item: TokenStream) -> bool {
    let parser = |input: ParseStream<'_>| {
        before_qualifiers(input)?;
        let found = is_fn(input);
        input.parse::<TokenStream>()?;
        Ok(found)
    };
    parser.parse2(item).unwrap_or(false)
}

/// What precedes the qualifiers of a function: its attributes, its visibility, and `default`.
pub(crate) fn before_qualifiers(input: ParseStream<'_>) -> Result<(Vec<Attribute>, Visibility, Option<Ident>)> {
    let (attrs, vis) = (input.call(Attribute::parse_outer)?, input.parse()?);
    let defaultness = is_word(input, "default").then(|| input.parse()).transpose()?;
    Ok((attrs, vis, defaultness))
}

/// Names the item that was annotated instead of a function.
pub(crate) fn what(input: ParseStream<'_>) -> Option<&'static str> {
    let ahead = input.fork();
    let _ = ahead.parse::<Option<Token![unsafe]>>();
    let words = [
        ("struct", "a struct"),
        ("enum", "an enum"),
        ("union", "a union"),
        ("trait", "a trait"),
        ("mod", "a module"),
        ("impl", "an `impl` block"),
        ("const", "a constant"),
        ("static", "a static"),
        ("type", "a type alias"),
        ("use", "a `use` declaration"),
        ("extern", "an `extern` block"),
        ("macro_rules", "a macro"),
        ("auto", "a trait"),
        ("safe", "a function of an `extern` block"),
        ("let", "a statement"),
    ];
    if ahead.peek(Token![extern]) && ahead.peek2(Token![crate]) {
        return Some("an `extern crate` declaration");
    }
    let word = ahead.call(Ident::parse_any).ok()?.to_string();
    let known = words.iter().find(|(first, _)| *first == word).map(|(_, what)| *what);
    known.or_else(|| ahead.peek(Token![!]).then_some("a macro"))
}

pub(crate) fn not_a_function(input: ParseStream<'_>) -> Error {
    let what = what(input).unwrap_or("something else");
    let all = input.parse::<TokenStream>().unwrap_or_default();
    let first = all.into_iter().next().map_or_else(Span::call_site, |token| token.span());
    Error::new(first, format!("found {what}"))
}
