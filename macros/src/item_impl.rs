//! An `impl` block: its methods are separated from the other members; everything else stays raw tokens.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::quote;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, ItemImpl as Header, Result, Token, Type, Visibility, token};

use crate::item_fn::ungroup;
use crate::item_kind::{is_fn, is_word};
use crate::types::peel;

/// An `impl` block in pieces.
pub(crate) struct ItemImpl {
    /// Everything before the braces.
    pub(crate) header: TokenStream,
    /// The name of the type, if it has one.
    pub(crate) self_type: Option<Ident>,
    /// The block without its members, if its header is understood.
    pub(crate) parsed: Option<Header>,
    pub(crate) braces: Group,
    pub(crate) members: Vec<Member>,
}

pub(crate) enum Member {
    Fn(TokenStream),
    Other(TokenStream),
}

impl ItemImpl {
    /// `None` if `item` is not an `impl` block.
    pub(crate) fn parse(item: &TokenStream) -> Option<Result<Self>> {
        let is_impl = |input: ParseStream<'_>| {
            input.call(Attribute::parse_outer)?;
            if is_word(input, "default") {
                input.parse::<TokenTree>()?;
            }
            input.parse::<Option<Token![unsafe]>>()?;
            let found = input.peek(Token![impl]);
            input.parse::<TokenStream>()?;
            Ok(found)
        };
        let item = ungroup(item.clone());
        if !is_impl.parse2(item.clone()).unwrap_or(false) {
            return None;
        }
        let mut tokens: Vec<TokenTree> = item.into_iter().collect();
        let Some(TokenTree::Group(braces)) = tokens.pop() else { return None };
        let header: TokenStream = tokens.into_iter().collect();
        let mut whole = header.clone();
        whole.extend([TokenTree::Group(Group::new(braces.delimiter(), TokenStream::new()))]);
        // If `syn` does not know the syntax, the block is traced without the type's name and the bounds.
        let parsed = syn::parse2::<Header>(whole).ok();
        let self_type = parsed.as_ref().and_then(|header| type_name(&header.self_ty));
        let members = members.parse2(braces.stream().into_iter().flat_map(open_member).collect());
        Some(members.map(|members| Self { header, self_type, parsed, braces, members }))
    }
}

fn type_name(ty: &Type) -> Option<Ident> {
    match peel(ty) {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.clone()),
        Type::Reference(reference) => type_name(&reference.elem),
        _ => None,
    }
}

/// A member without the invisible group around it (`$method:item`). Such a group around a type or an
/// expression stays.
fn open_member(token: TokenTree) -> TokenStream {
    let begins = |input: ParseStream<'_>| {
        input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        if is_word(input, "default") {
            input.parse::<TokenTree>()?;
        }
        let begins = is_fn(input) || input.peek(Token![const]) || input.peek(Token![type]);
        input.parse::<TokenStream>()?;
        Ok(begins)
    };
    let TokenTree::Group(group) = &token else { return token.into() };
    if group.delimiter() != Delimiter::None {
        return token.into();
    }
    let member = ungroup(group.stream());
    let ends = match member.clone().into_iter().last() {
        Some(TokenTree::Group(last)) => last.delimiter() == Delimiter::Brace,
        Some(TokenTree::Punct(last)) => last.as_char() == ';',
        _ => false,
    };
    if ends && begins.parse2(member.clone()).unwrap_or(false) { member } else { token.into() }
}

fn members(input: ParseStream<'_>) -> Result<Vec<Member>> {
    let mut members = Vec::new();
    let inner = input.call(Attribute::parse_inner)?;
    if !inner.is_empty() {
        members.push(Member::Other(quote!(#(#inner)*)));
    }
    while !input.is_empty() {
        let start = input.fork();
        input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        if is_word(input, "default") {
            input.parse::<TokenTree>()?;
        }
        let is_fn = is_fn(input);
        // A constant or a type ends with its semicolon, anything else with its braces or a semicolon.
        // Braces that are an argument, `Bits<{ N }>`, go on.
        let only_semi = !is_fn && (input.peek(Token![const]) || input.peek(Token![type]));
        while !input.is_empty() {
            let semi = input.peek(Token![;]);
            let braces = input.peek(token::Brace) && !only_semi;
            input.parse::<TokenTree>()?;
            if semi || braces && !(input.peek(Token![>]) || input.peek(Token![,]) || input.peek(Token![;])) {
                break;
            }
        }
        let mut tokens = TokenStream::new();
        while start.cursor() != input.cursor() {
            tokens.extend([start.parse::<TokenTree>()?]);
        }
        members.push(if is_fn { Member::Fn(tokens) } else { Member::Other(tokens) });
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shown::shown;

    /// The members of a block, the methods with a mark in front.
    fn members_of(block: &str) -> Vec<String> {
        members_of_tokens(&block.parse().unwrap())
    }

    fn members_of_tokens(block: &TokenStream) -> Vec<String> {
        let block = ItemImpl::parse(block).unwrap().unwrap_or_else(|error| panic!("{error}"));
        let shown = |member| match member {
            Member::Fn(tokens) => format!("fn: {}", shown(tokens)),
            Member::Other(tokens) => shown(tokens),
        };
        block.members.into_iter().map(shown).collect()
    }

    #[test]
    fn a_member_ends_with_its_braces_or_its_semicolon() {
        for members in [
            &["fn: fn a() { 1 }", "fn: pub(crate) const unsafe fn b() { 2 }", "fn: default async fn c() { 3 }"][..],
            &["fn: fn a() -> Bits<{ N }> { 1 }", "fn: fn b() { 2 }"],
            &["fn: fn a() -> Bits<{ N }, u8> { 1 }", "fn: fn b() { 2 }"],
            &["fn: fn a() -> [u8; { N }] { 1 }", "fn: fn b() { 2 }"],
            &["fn: fn a();", "fn: extern \"C\" fn b() { 2 }"],
            &["const A: u8 = { 1 };", "fn: fn b() { 2 }"],
            &["const A: u8 = if B { 1 } else { 2 };", "type C = Bits<{ 3 }>;", "fn: fn b() { 2 }"],
            &["made!{ a }", "fn: fn b() { 2 }", "made!(a);", "fn: #[cold] fn c() { 3 }"],
        ] {
            let block = format!("impl A {{ {} }}", members.join(" ")).replace("fn: ", "");
            assert_eq!(members_of(&block), members);
        }
    }

    #[test]
    fn members_from_a_macro_are_separated() {
        // As from `$member:item`.
        let given = |member: &str| TokenTree::Group(Group::new(Delimiter::None, member.parse().unwrap()));
        for member in
            ["const A: u8 = 1;", "type A = u8;", "pub fn a() { 1 }", "#[cold] fn a();", "default fn a() { 1 }"]
        {
            let (member, next) = (given(member), given("fn b() { 2 }"));
            let members = members_of_tokens(&quote!(impl A { #member #next }));
            assert_eq!(members.len(), 2, "{members:?}");
            assert_eq!(members[1], "fn: fn b() { 2 }");
        }
        // An expression or a type.
        let (value, ty) = (given("{ 1 }"), given("[u8; 2]"));
        let members = members_of_tokens(&quote!(impl A { const A: #ty = #value; fn b() -> #ty #value }));
        assert_eq!(members, ["const A: [u8; 2] = { 1 };", "fn: fn b() -> [u8; 2] { 1 }"]);
    }

    #[test]
    fn other_items_are_not_blocks() {
        for (item, expected) in [
            ("impl A {}", true),
            ("#[cold] unsafe impl A {}", true),
            ("default impl A for B {}", true),
            ("fn a() {}", false),
            ("struct A {}", false),
            ("impl A;", false),
        ] {
            assert_eq!(ItemImpl::parse(&item.parse().unwrap()).is_some(), expected, "{item}");
        }
    }

    #[test]
    fn the_type_is_named() {
        for (header, expected) in [
            ("impl A", Some("A")),
            ("impl<T> a::A<T>", Some("A")),
            ("impl Clone for &'static mut A", Some("A")),
            ("impl Clone for (A)", Some("A")),
            ("impl Clone for [A]", None),
        ] {
            let block = ItemImpl::parse(&format!("{header} {{}}").parse().unwrap()).unwrap().ok().unwrap();
            assert_eq!(block.self_type.map(|name| name.to_string()).as_deref(), expected, "{header}");
        }
    }
}
