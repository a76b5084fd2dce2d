use proc_macro2::{Delimiter, Group};
use syn::parse::Parser as _;

use super::*;

fn tag(tokens: TokenStream) -> Tag {
    let text = tokens.to_string();
    Tag::parse.parse2(tokens).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn a_name_or_a_value_may_come_from_a_macro() {
    // As from `$name:expr`.
    let given = |tokens: TokenStream| TokenTree::Group(Group::new(Delimiter::None, tokens));
    let name = given(quote!(order_no));
    let argument = tag(quote!(#name));
    assert!(matches!(argument.source, Source::Argument(ident) if ident == "order_no"));
    assert_eq!(argument.key, "order_no");

    let value = given(quote!(order.no + 1));
    let named = tag(quote!(order_no = #value else 0));
    assert!(matches!(named.source, Source::Expr(Expr::Group(_))) && named.fallback.is_some());
}

#[test]
fn an_argument_is_converted_or_has_a_default() {
    for (text, through, has_fallback) in [
        ("a", "value", false),
        ("%a", "display", false),
        ("?a", "debug", false),
        ("a else 1", "value", true),
        ("b = %a", "display", false),
        ("\"b.c\" = a else 1", "value", true),
    ] {
        let tag = tag(text.parse().unwrap());
        let found = match tag.through {
            Through::Value => "value",
            Through::Display => "display",
            Through::Debug => "debug",
        };
        assert_eq!((found, tag.fallback.is_some()), (through, has_fallback), "{text}");
    }
}

#[test]
fn the_error_for_a_formatted_default_keeps_the_key() {
    for (text, fix) in [
        ("%user else 1", "`user = user.as_ref().map(throughline::display) else …`"),
        ("a = ?user else 1", "`a = user.as_ref().map(throughline::debug) else …`"),
        ("name = %user else 1", "`name = user.as_ref().map(throughline::display) else …`"),
        ("%self.user else 1", "`name = self.user.as_ref().map(throughline::display) else …`"),
    ] {
        let Err(error) = Tag::parse.parse_str(text) else { panic!("{text}") };
        assert!(error.to_string().ends_with(fix), "{text}: {error}");
    }
}

#[test]
fn modifiers_apply_to_the_tags_inside() {
    let report = Report::default();
    let parser = |input: ParseStream<'_>| Ok(list(input, &report));
    let tags = parser.parse_str("a, hash(b, required(c = 1), propagate(d)), mask(e), f").unwrap();
    let shown = |tag: &Tag| {
        let names: Vec<_> = tag.modifiers.iter().map(|modifier| modifier.name()).collect();
        format!("{}: {}", tag.key, names.join(" "))
    };
    let expected = ["a: ", "b: hash", "c: hash required", "d: hash propagate", "e: mask", "f: "];
    assert_eq!(tags.iter().map(shown).collect::<Vec<_>>(), expected);
    assert!(report.is_empty());
}
