//! Bodies that end with a box of an async block.
//!
//! ```text
//! // What `#[async_trait]` makes of `async fn find(&self, id: u64) -> Option<T>`:
//! fn find<'a, 'b>(&'a self, id: u64) -> Pin<Box<dyn Future<Output = Option<T>> + Send + 'b>> {
//!     Box::pin(async move { … })
//! }
//! ```

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use syn::Path;
use syn::parse::Parser as _;

use crate::check::returns_early;
use crate::item_fn::ItemFn;

/// `Box::pin(async move { … })` or `async move { … }.boxed()`, and what precedes it.
#[derive(Default)]
pub(crate) struct BoxedBlock {
    /// The statements, and `async move { … }`.
    pub(crate) unboxed: TokenStream,
    /// `Box::pin`, if that is what boxes it.
    pub(crate) pin: TokenStream,
    /// `.boxed()`, if that is what boxes it.
    pub(crate) boxed: TokenStream,
}

impl BoxedBlock {
    /// `None` if the body ends with anything else, or before that.
    pub(crate) fn of(item: &ItemFn) -> Option<Self> {
        let mut body: Vec<_> = item.body.as_ref()?.stream().into_iter().collect();
        let TokenTree::Group(last) = body.pop()? else { return None };
        if last.delimiter() != Delimiter::Parenthesis {
            return None;
        }
        let found = if last.stream().is_empty() { boxed(body, last) } else { pinned(body, &last) };
        found.filter(|_| !returns_early(item))
    }
}

/// `Box::pin(async move { … })`.
fn pinned(mut body: Vec<TokenTree>, argument: &Group) -> Option<BoxedBlock> {
    let start = body.iter().rposition(|token| !is_of_path(token)).map_or(0, |at| at + 1);
    let pin = body.split_off(start).into_iter().collect();
    let mut block: Vec<_> = argument.stream().into_iter().collect();
    let is_one = block.len() == BLOCK && is_async_move(&block);
    (is_one && is_box_pin(&pin) && ends_statement(&body)).then(|| {
        body.append(&mut block);
        BoxedBlock { unboxed: body.into_iter().collect(), pin, boxed: TokenStream::new() }
    })
}

/// `async move { … }.boxed()`.
fn boxed(mut body: Vec<TokenTree>, no_arguments: Group) -> Option<BoxedBlock> {
    let mut boxed = body.split_off(body.len().checked_sub(2)?);
    let is_boxed = match &boxed[..] {
        [TokenTree::Punct(dot), TokenTree::Ident(name)] => {
            dot.as_char() == '.' && ["boxed", "boxed_local"].iter().any(|known| name == known)
        }
        _ => false,
    };
    let (statements, block) = body.split_at(body.len().checked_sub(BLOCK)?);
    (is_boxed && is_async_move(block) && ends_statement(statements)).then(|| {
        boxed.push(TokenTree::Group(no_arguments));
        BoxedBlock { boxed: boxed.into_iter().collect(), pin: TokenStream::new(), unboxed: body.into_iter().collect() }
    })
}

fn is_of_path(token: &TokenTree) -> bool {
    match token {
        TokenTree::Ident(_) => true,
        TokenTree::Punct(sign) => sign.as_char() == ':',
        _ => false,
    }
}

fn is_box_pin(path: &TokenStream) -> bool {
    let Ok(path) = Path::parse_mod_style.parse2(path.clone()) else { return false };
    let mut names = path.segments.iter().rev().map(|segment| &segment.ident);
    names.next().is_some_and(|name| name == "pin") && names.next().is_some_and(|name| name == "Box")
}

/// The tokens of `async move { … }`.
const BLOCK: usize = 3;

/// Without `move`, the block may borrow from what is local to the closure that it is moved into.
fn is_async_move(block: &[TokenTree]) -> bool {
    match block {
        [TokenTree::Ident(first), TokenTree::Ident(second), TokenTree::Group(block)] => {
            first == "async" && second == "move" && block.delimiter() == Delimiter::Brace
        }
        _ => false,
    }
}

fn ends_statement(statements: &[TokenTree]) -> bool {
    match statements.last() {
        None => true,
        Some(TokenTree::Punct(sign)) => sign.as_char() == ';',
        Some(TokenTree::Group(group)) => group.delimiter() == Delimiter::Brace,
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_ends_with_a_box_of_a_block() {
        for (body, expected) in [
            ("Box::pin(async move { a() })", Some("async move { a() }")),
            ("::std::boxed::Box::pin(async move { return 1 })", Some("async move { return 1 }")),
            ("let b = c; Box::pin(async move { a(b) })", Some("let b = c; async move { a(b) }")),
            ("if b { c() } Box::pin(async move { a() })", Some("if b { c() } async move { a() }")),
            ("async move { a() }.boxed()", Some("async move { a() }")),
            ("let b = c; async move { a(b) }.boxed_local()", Some("let b = c; async move { a(b) }")),
            ("if b { return c() } Box::pin(async move { a() })", None),
            ("if b { return c() } async move { a() }.boxed()", None),
            ("Box::pin(async { a() })", None),
            ("Box::pin(async move { a() }.map(b))", None),
            ("Box::pin(async move || a())", None),
            ("Box::pin[async move { a() }]", None),
            ("Box::pin()", None),
            ("Rc::pin(async move { a() })", None),
            ("pin(async move { a() })", None),
            ("return Box::pin(async move { a() })", None),
            ("let b = Box::pin(async move { a() })", None),
            ("b(Box::pin(async move { a() }))", None),
            ("b + Box::pin(async move { a() })", None),
            ("Box::pin(async move { a() });", None),
            ("async { a() }.boxed()", None),
            ("async move { a() }.boxed(b)", None),
            ("async move { a() }.shared()", None),
            ("async move { a() }.map(b).boxed()", None),
            ("b = async move { a() }.boxed()", None),
            ("b().boxed()", None),
            ("boxed()", None),
            ("()", None),
            ("", None),
        ] {
            let item = ItemFn::parse(format!("fn f() {{ {body} }}").parse().unwrap()).unwrap();
            let found = BoxedBlock::of(&item).map(|found| found.unboxed.to_string());
            let expected = expected.map(|text| text.parse::<TokenStream>().unwrap().to_string());
            assert_eq!(found, expected, "{body}");
        }
    }
}
