//! Splits a function, and moves its body into the block that runs in the span.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Expr, FnArg, Lifetime, Type};

use super::arguments::{self, Arguments, Peek};
use super::returns::{annotation, end_of, hint, inferred};
use super::tags::used;
use super::tail;
use crate::check::returns_early;
use crate::item_fn::{ItemFn, Returns, is_owned_receiver, mentions, names_of, owns_mutable_self};
use crate::model::{Shape, TagSets};
use crate::runtime_path::Runtime;
use crate::types::is_reference;

/// The parts of a function, from which the generated function is assembled.
pub(crate) struct Pieces {
    pub(crate) item: ItemFn,
    /// Binds the names of replaced patterns before the block.
    pub(crate) peek: Vec<Peek>,
    rebind: TokenStream,
    pub(crate) body: Group,
}

/// `origins` are user expressions that are evaluated before the body, like tags.
pub(crate) fn take_apart(mut item: ItemFn, tags: &TagSets, origins: &[&Expr], shape: &Shape) -> Pieces {
    let unpacked = arguments::unpacked(&item);
    let in_place = stays_in_place(shape, &item);
    let Arguments { rebind, mut peek } = if in_place {
        // The body is not moved, so the arguments are available.
        Arguments::default()
    } else {
        let whole = borrows_self(&item) || item.body.as_ref().is_some_and(|body| has_dead_end(&body.stream()));
        let linted = matches!(shape, Shape::Spawn(_));
        arguments::plan(&mut item.sig, &used(tags, origins), whole, linted)
    };
    peek.extend(unpacked);
    let mut body = item.body.clone().unwrap_or_else(|| Group::new(Delimiter::Brace, TokenStream::new()));
    if let (false, Returns::Value(ty)) = (in_place, item.returns()) {
        body = tail::typed(&body, ty).unwrap_or(body);
    }
    Pieces { item, peek, rebind, body }
}

/// Whether the body must not move into a closure, which is never `#[track_caller]`.
pub(crate) fn stays_in_place(shape: &Shape, item: &ItemFn) -> bool {
    match shape {
        Shape::InPlace => true,
        Shape::Future(_) | Shape::Stream(_) => item.has_attribute("track_caller") && !returns_early(item),
        _ => false,
    }
}

/// The location of the function's name. Generated calls have this location, and therefore errors about a body that
/// does not satisfy their bounds.
pub(crate) fn at_name(item: &ItemFn) -> Span {
    Span::mixed_site().located_at(item.sig.ident.span())
}

/// The same location, for the first and the last token of a closure or an async block that contains the body. If both
/// are tokens of the user, the compiler names the captured variables in errors about borrows: `*list`, and not "value".
fn as_written(at: Span, body: &Group) -> Span {
    at.resolved_at(body.span_open())
}

/// The body as a closure that has the function's return type.
///
/// For `mut self`, it contains a second closure that borrows `self`. The compiler warns about a value that is assigned
/// to a captured variable and never read, but not if the variable is the `self` of a function. With this closure, the
/// return value must not borrow through `self`.
pub(crate) fn closure(pieces: &Pieces) -> TokenStream {
    closure_that_returns(pieces, &annotation(pieces.item.returns(), at_name(&pieces.item)))
}

/// The body as the closure of a job. Its return type is the type argument of a handle, which `!` cannot be.
pub(crate) fn job_closure(pieces: &Pieces, runtime: &Runtime) -> TokenStream {
    let at = at_name(&pieces.item);
    match pieces.item.returns() {
        Returns::Never => closure_that_returns(pieces, &quote_spanned!(at=> -> #runtime::Infallible)),
        Returns::Value(ty) => {
            // With the location of the type.
            let (from, to) = (at.located_at(ty.span()), at.located_at(end_of(ty)));
            let (runtime, ty, end) = (runtime.at(from), inferred(ty), quote_spanned!(to=> >));
            closure_that_returns(pieces, &quote_spanned!(from=> -> #runtime::Returned<#ty #end))
        }
        Returns::Unit => closure(pieces),
    }
}

/// The body without the box that it ends with, as a closure. Only the box has a type that can be named.
pub(crate) fn unboxing_closure(pieces: &mut Pieces, unboxed: TokenStream) -> TokenStream {
    let mut braces = Group::new(Delimiter::Brace, unboxed);
    braces.set_span(pieces.body.span());
    pieces.body = braces;
    // With a location of the user, it would get the lint for closures that return an async block.
    closure_from(at_name(&pieces.item), pieces, &TokenStream::new())
}

fn closure_that_returns(pieces: &Pieces, annotation: &TokenStream) -> TokenStream {
    closure_from(as_written(at_name(&pieces.item), &pieces.body), pieces, annotation)
}

fn closure_from(start: Span, pieces: &Pieces, annotation: &TokenStream) -> TokenStream {
    let (rebind, body) = (&pieces.rebind, &pieces.body);
    let at = at_name(&pieces.item);
    let start = quote_spanned!(start=> move ||);
    let block = if rebind.is_empty() { body.clone() } else { ending(rebind, pieces, at) };
    if borrows_self(&pieces.item) {
        return quote_spanned!(at=> move || #annotation { (|| #annotation #block)() });
    }
    quote_spanned!(at=> #start #annotation #block)
}

/// The body as an async block that has the function's return type.
pub(crate) fn async_block(pieces: &Pieces, runtime: &Runtime) -> TokenStream {
    async_block_of(pieces, false, runtime)
}

/// The same, for a job, whose return type is the type argument of a handle.
pub(crate) fn job_block(pieces: &Pieces, runtime: &Runtime) -> TokenStream {
    async_block_of(pieces, true, runtime)
}

fn async_block_of(pieces: &Pieces, as_argument: bool, runtime: &Runtime) -> TokenStream {
    let (rebind, hint) = (&pieces.rebind, hint(pieces.item.returns(), as_argument, runtime));
    let at = at_name(&pieces.item);
    let block = ending(&quote_spanned!(at=> #rebind #hint), pieces, at);
    if borrows_self(&pieces.item) {
        return quote_spanned!(at=> async move { (async #block).await });
    }
    let start = quote_spanned!(as_written(at, &pieces.body)=> async move);
    quote_spanned!(at=> #start #block)
}

/// The closure that starts the span and returns the body as an async block, when the future is first polled.
///
/// It owns the arguments until then, and has to drop them in their order if that never happens. A closure drops its
/// captures in the order in which it first mentions them.
///
/// Without the type of the output, the compiler would report a lifetime that is too short at the function, and not in the
/// body.
pub(crate) fn beginning(pieces: &Pieces, span: &TokenStream, output: &TokenStream, runtime: &Runtime) -> TokenStream {
    let at = at_name(&pieces.item);
    let block = async_block(pieces, runtime);
    let mut owned = Vec::new();
    for input in &pieces.item.sig.inputs {
        match input {
            FnArg::Receiver(receiver) if is_owned_receiver(receiver) => {
                owned.push(receiver.self_token.to_token_stream());
            }
            FnArg::Typed(typed) if !is_reference(&typed.ty) => {
                owned.extend(names_of(&typed.pat).iter().map(ToTokens::to_token_stream));
            }
            _ => {}
        }
    }
    let mentions = (owned.len() > 1).then(|| quote_spanned!(at=> let _ = (#(&#owned),*);));
    let runtime = runtime.at(at);
    // The type is not a type argument, for the reason given at `hint`.
    let block = match pieces.item.returns() {
        Returns::Value(_) => quote_spanned!(at=> #runtime::with_output(|| -> #output { #runtime::returns() }, #block)),
        _ => block,
    };
    quote_spanned!(at=> move || { #mentions (#span, #block) })
}

fn borrows_self(item: &ItemFn) -> bool {
    owns_mutable_self(&item.sig) && !matches!(item.returns(), Returns::Value(ty) if may_borrow(&ty.to_token_stream()))
}

/// Whether there seem to be unreachable statements, such as those after a `panic!()`. The compiler warns about a
/// closure that captures a reference and only uses it there.
fn has_dead_end(body: &TokenStream) -> bool {
    let tokens: Vec<_> = body.clone().into_iter().collect();
    let is_end = |token: &TokenTree| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        _ => false,
    };
    tokens.iter().enumerate().any(|(at, token)| {
        let TokenTree::Ident(word) = token else { return false };
        let rest = &tokens[at + 1..];
        let Some(end) = rest.iter().position(is_end).filter(|end| end + 1 < rest.len()) else { return false };
        match (word.to_string().as_str(), &rest[end]) {
            ("todo" | "unimplemented" | "panic" | "unreachable", _) => {
                matches!(&rest[0], TokenTree::Punct(sign) if sign.as_char() == '!')
            }
            ("return", _) => true,
            ("loop", TokenTree::Group(block)) => !mentions(&block.stream(), &Ident::new("break", Span::call_site())),
            // No arms, or only those that depend on features.
            ("match", TokenTree::Group(arms)) => match arms.stream().into_iter().next() {
                None => true,
                Some(first) => matches!(first, TokenTree::Punct(sign) if sign.as_char() == '#'),
            },
            _ => false,
        }
    })
}

/// Whether the body owns a `mut self` that the return value may borrow through. If `self` itself is returned, the lint
/// is right.
fn lends_self(item: &ItemFn) -> bool {
    let whole = || matches!(item.returns(), Returns::Value(Type::Path(path)) if path.path.is_ident("Self"));
    owns_mutable_self(&item.sig) && !borrows_self(item) && !whole()
}

fn quiet(at: Span) -> TokenStream {
    quote_spanned!(at=> #[allow(unused_assignments, reason = "what is assigned to `self` counts as read without the attribute")])
}

/// Whether a type may contain a lifetime: it names one, has a reference, or a part that may stand for anything. By
/// convention, type parameters have one letter.
fn may_borrow(ty: &TokenStream) -> bool {
    ty.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => {
            let name = ident.to_string();
            ["Self", "impl", "dyn"].contains(&name.as_str())
                || name.len() == 1 && name.starts_with(|c: char| c.is_ascii_uppercase())
        }
        TokenTree::Punct(punct) => ['&', '\''].contains(&punct.as_char()),
        TokenTree::Group(group) => may_borrow(&group.stream()),
        TokenTree::Literal(_) => false,
    })
}

/// `statements`, then the body as their block's last expression.
///
/// Temporaries in the tail expression that borrow from an argument are dropped before the argument, as in the original
/// function, because a `match` arm drops its temporaries. The user's braces have to be kept for the drop order of the
/// user's edition, and only in a `match` arm does no lint report them as unnecessary.
fn ending(statements: &TokenStream, pieces: &Pieces, at: Span) -> Group {
    let (body, quiet) = (&pieces.body, lends_self(&pieces.item).then(|| quiet(at)));
    let is_inferred =
        matches!(pieces.item.returns(), Returns::Value(ty) if mentions(&ty.to_token_stream(), &Ident::new("impl", at)));
    let block = if is_inferred {
        // The type may be known from a `return` in the body, and then the body's last expression is coerced to it. In a
        // `match` arm, this would happen after its temporaries have been dropped. The label has the location of the
        // body, and so the edition of the user, on which the drop order depends. The braces around it have this crate's
        // edition, and drop what is left of the temporaries.
        let label = label(body);
        quote_spanned!(at=> { #statements #quiet #label: #body })
    } else {
        quote_spanned!(at=> #statements #quiet match () { () => #body })
    };
    let mut braces = Group::new(Delimiter::Brace, block);
    braces.set_span(as_written(at, body));
    braces
}

/// A label that the body does not have.
fn label(body: &Group) -> Lifetime {
    let mut name = Ident::new("__body", body.span_open());
    while mentions(&body.stream(), &name) {
        name = format_ident!("{name}_");
    }
    Lifetime { apostrophe: body.span_open(), ident: name }
}

/// The function with another body inside the user's own braces, so that lints that skip macro output still apply to
/// the function.
pub(crate) fn with_body(mut item: ItemFn, body: TokenStream) -> TokenStream {
    let mut braces = Group::new(Delimiter::Brace, body);
    if let Some(users) = &item.body {
        braces.set_span(users.span());
    }
    item.body = Some(braces);
    item.into_token_stream()
}
