//! What an annotated item is, judging by how it begins.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Error, Expr, Result, Token, Visibility};

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

/// Whether this begins like a function, even if it cannot be parsed as one.
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
    ];
    if ahead.peek(Token![extern]) && ahead.peek2(Token![crate]) {
        return Some("an `extern crate` declaration");
    }
    let word = ahead.call(Ident::parse_any).ok()?.to_string();
    let known = words.iter().find(|(first, _)| *first == word).map(|(_, what)| *what);
    known.or_else(|| ahead.peek(Token![!]).then_some("a macro"))
}

/// A part of a function, in place of an item.
pub(crate) struct Part {
    pub(crate) kind: PartKind,
    /// The location of its first token.
    pub(crate) span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartKind {
    Statement,
    Closure,
    Async,
    Block,
    Expression,
}

impl Part {
    /// `None` if `item` may be an item.
    pub(crate) fn of(item: &TokenStream) -> Option<Self> {
        let mut tokens: Vec<_> = item.clone().into_iter().collect();
        let span = tokens.first()?.span();
        let ends = matches!(tokens.last(), Some(TokenTree::Punct(end)) if end.as_char() == ';');
        if ends {
            tokens.pop();
        }
        let is_let = matches!(&tokens[..], [TokenTree::Ident(word), ..] if word == "let");
        let kind = match syn::parse2::<Expr>(tokens.into_iter().collect()) {
            _ if is_let => PartKind::Statement,
            // A macro call may expand to items.
            Err(_) | Ok(Expr::Macro(_)) => return None,
            Ok(_) if ends => PartKind::Statement,
            Ok(Expr::Closure(_)) => PartKind::Closure,
            Ok(Expr::Async(_)) => PartKind::Async,
            Ok(Expr::Block(_) | Expr::Unsafe(_)) => PartKind::Block,
            Ok(_) => PartKind::Expression,
        };
        Some(Self { kind, span })
    }

    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            PartKind::Statement => "a statement",
            PartKind::Closure => "a closure",
            PartKind::Async => "an `async` block",
            PartKind::Block => "a block",
            PartKind::Expression => "an expression",
        }
    }
}

pub(crate) fn not_a_function(input: ParseStream<'_>) -> Error {
    let what = what(input).unwrap_or("something else");
    let all = input.parse::<TokenStream>().unwrap_or_default();
    let first = all.into_iter().next().map_or_else(Span::call_site, |token| token.span());
    Error::new(first, format!("found {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_functions_are_not_items() {
        for (item, expected) in [
            ("|a: u8| a", Some(PartKind::Closure)),
            ("async move || 1", Some(PartKind::Closure)),
            ("async move { 1 }", Some(PartKind::Async)),
            ("{ 1 }", Some(PartKind::Block)),
            ("unsafe { 1 }", Some(PartKind::Block)),
            ("if a { 1 } else { 2 }", Some(PartKind::Expression)),
            ("f()", Some(PartKind::Expression)),
            ("f();", Some(PartKind::Statement)),
            ("let a = 1;", Some(PartKind::Statement)),
            ("let Some(a) = b else { return };", Some(PartKind::Statement)),
            ("made!();", None),
            ("made! {}", None),
            ("struct A;", None),
            ("unsafe extern \"C\" {}", None),
            ("const A: u8 = 1;", None),
            ("async fn f() {}", None),
            ("", None),
        ] {
            let part = Part::of(&item.parse().unwrap());
            assert_eq!(part.map(|part| part.kind), expected, "{item}");
        }
    }
}
