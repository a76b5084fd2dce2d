//! Generates code for tags: each becomes a statement in a closure.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, TokenStreamExt as _, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Expr, FnArg};

use super::arguments::Peek;
use crate::item_fn::{ItemFn, cfgs, mentions};
use crate::model::TagSets;
use crate::runtime_path::Runtime;
use crate::tag::{Modifier, Source, Tag, Through};

/// The closures that generated code passes to the runtime.
pub(crate) struct Closures {
    /// For propagated tags; `None` if there are none.
    pub(crate) propagate: Option<TokenStream>,
    /// For all others; `None` if there are none.
    pub(crate) fill: Option<TokenStream>,
}

pub(crate) fn closures(sets: &TagSets, item: &ItemFn, peek: &[Peek], runtime: &Runtime) -> Closures {
    let tags = Ident::new("__tags", Span::mixed_site());
    let (mut leaving, mut staying) = (Vec::new(), Vec::new());
    let all = sets.own.iter().map(|tag| (tag, "add")).chain(sets.scoped.iter().map(|tag| (tag, "scope")));
    for (tag, method) in all {
        let statement = statement(tag, &tags, method, item, runtime);
        let leaves = tag.modifiers.contains(&Modifier::Propagate);
        if leaves { leaving.push(statement) } else { staying.push(statement) }
    }
    let closure = |statements: &[TokenStream]| {
        let peeks = peeks(statements, peek);
        (!statements.is_empty()).then(|| quote_spanned!(Span::mixed_site()=> |#tags| { #peeks #(#statements)* }))
    };
    Closures { propagate: closure(&leaving), fill: closure(&staying) }
}

fn statement(tag: &Tag, tags: &Ident, method: &str, item: &ItemFn, runtime: &Runtime) -> TokenStream {
    let span = Span::mixed_site();
    let key = &tag.key;
    let method = Ident::new(method, span);
    let (value, cfgs) = match &tag.source {
        Source::Argument(ident) => (ident.to_token_stream(), argument_cfgs(ident, item)),
        Source::Expr(expr) => (operand(expr), TokenStream::new()),
    };
    let is_plain = tag.modifiers.is_empty() && tag.fallback.is_none() && matches!(tag.through, Through::Value);
    if is_plain && is_infallible(&tag.source) {
        // Nothing has to be caught, so it needs no closure, which would add code to every function.
        let at = Span::mixed_site().located_at(value.span());
        let method = Ident::new(if method == "add" { "add_value" } else { "scope_value" }, span);
        let value = quote_spanned!(at=> &#value);
        return quote_spanned!(span=> #cfgs #tags.#method(#key, #value););
    }
    if is_plain {
        let is_scoped = method == "scope";
        let at = Span::mixed_site().located_at(value.span());
        let runtime = runtime.at(at);
        let put = quote_spanned!(at=> #runtime::put(#tags, #key, #is_scoped, &#value));
        return quote_spanned!(span=> #cfgs #tags.collect(#key, #is_scoped, |#tags| #put););
    }
    let function = match tag.through {
        Through::Value if tag.fallback.is_some() => "optional",
        Through::Value => "value",
        Through::Display => "display",
        Through::Debug => "debug",
    };
    let value = convert(function, &value, runtime);
    let mut calls = TokenStream::new();
    // First `required`, which checks the original value, then the fallback, then the modifiers that hide either.
    if tag.modifiers.contains(&Modifier::Required) {
        calls.extend(quote_spanned!(span=> .required()));
    }
    if let Some(fallback) = &tag.fallback {
        let fallback = convert("value", &operand(fallback), runtime);
        calls.extend(quote_spanned!(span=> .or(|| #fallback)));
    }
    for (modifier, call) in [(Modifier::Hash, "hash"), (Modifier::Mask, "mask"), (Modifier::Propagate, "propagate")] {
        if tag.modifiers.contains(&modifier) {
            let call = Ident::new(call, span);
            calls.extend(quote_spanned!(span=> .#call()));
        }
    }
    // Values are truncated only after they have been hashed or masked.
    let hides = tag.modifiers.iter().any(|modifier| matches!(modifier, Modifier::Hash | Modifier::Mask));
    let new = if hides {
        quote_spanned!(span=> #runtime::Tag::whole(|| #value))
    } else {
        quote_spanned!(span=> #runtime::Tag::new(#value))
    };
    quote_spanned!(span=> #cfgs #tags.#method(#key, || #new #calls);)
}

/// Whether the value is a variable, a constant or a literal, whose evaluation cannot panic. That of a field can, by
/// `Deref`.
fn is_infallible(source: &Source) -> bool {
    match source {
        Source::Argument(_) | Source::Expr(Expr::Path(_) | Expr::Lit(_)) => true,
        Source::Expr(_) => false,
    }
}

/// The conversion has the location of the user's value, so that errors refer to it.
fn convert(function: &str, value: &TokenStream, runtime: &Runtime) -> TokenStream {
    let at = Span::mixed_site().located_at(value.span());
    let function = Ident::new(function, at);
    let runtime = runtime.at(at);
    quote_spanned!(at=> #runtime::#function(&#value))
}

/// The start of the expression. On stable, spans of several tokens cannot be joined.
pub(super) fn place(expr: &Expr) -> Span {
    Span::mixed_site().located_at(expr.span())
}

/// Borrows the value of the expression.
pub(super) fn reference(expr: &Expr) -> TokenStream {
    let value = operand(expr);
    quote_spanned!(place(expr)=> &#value)
}

/// The expression as the operand of `&`.
fn operand(expr: &Expr) -> TokenStream {
    let tight = matches!(
        expr,
        Expr::Path(_)
            | Expr::Field(_)
            | Expr::MethodCall(_)
            | Expr::Call(_)
            | Expr::Index(_)
            | Expr::Lit(_)
            | Expr::Macro(_)
            | Expr::Paren(_)
            | Expr::Reference(_)
            | Expr::Block(_)
            | Expr::Array(_)
            | Expr::Tuple(_)
            | Expr::Await(_)
            | Expr::Try(_)
    );
    if tight { expr.to_token_stream() } else { quote_spanned!(place(expr)=> (#expr)) }
}

/// If an argument is removed by `cfg`, so is its tag.
fn argument_cfgs(ident: &Ident, item: &ItemFn) -> TokenStream {
    let typed = item.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    let mut of_ident = typed.filter(|typed| mentions(&typed.pat.to_token_stream(), ident));
    of_ident.next().map(|typed| cfgs(&typed.attrs)).unwrap_or_default()
}

/// Binds the names of a pattern that has been moved into the block.
pub(super) fn peeks(statements: &[TokenStream], peek: &[Peek]) -> TokenStream {
    let mut out = TokenStream::new();
    for Peek { names, cfgs, statement } in peek {
        if !names.iter().any(|name| statements.iter().any(|statement| mentions(statement, name))) {
            continue;
        }
        // The pattern is repeated in full, although a tag may use only one of its names, and a name may be that of a
        // function in generated code. Lints stay as they are, because a crate may forbid to allow them.
        let span = Span::mixed_site();
        out.extend(quote_spanned!(span=> #cfgs #statement #(#cfgs let _ = &#names;)*));
    }
    out
}

/// Everything that the tags and `origins` use.
pub(super) fn used(sets: &TagSets, origins: &[&Expr]) -> TokenStream {
    let mut tokens = TokenStream::new();
    for tag in sets.own.iter().chain(&sets.scoped) {
        match &tag.source {
            Source::Argument(ident) => ident.to_tokens(&mut tokens),
            Source::Expr(expr) => expr.to_tokens(&mut tokens),
        }
        tag.fallback.to_tokens(&mut tokens);
    }
    tokens.append_all(origins);
    tokens
}

/// Whether there is more than literals in `tokens`.
pub(super) fn has_names(tokens: &TokenStream) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(_) => true,
        TokenTree::Group(group) => has_names(&group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}
