//! Generates the expression that starts a span, or sets tags without one.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, quote_spanned};
use syn::{Expr, FnArg, Pat};

use super::arguments::Peek;
use super::body::at_name;
use super::tags::{Closures, closures, peeks, place, reference};
use crate::item_fn::ItemFn;
use crate::model::{Links, Mode, Name, Parent, Shape, TagSets, Traced};
use crate::options::ErrMode;
use crate::runtime_path::Runtime;
use crate::types::is_reference;

/// What is configured before the tags.
pub(super) enum Opening {
    /// The callsite of the span, and the calls that configure its builder.
    Span { callsite: TokenStream, calls: TokenStream, start: &'static str },
    /// Tags without a span.
    Tags(TokenStream),
}

/// The expression that starts the span.
pub(super) fn started(
    opening: &Opening,
    item: &ItemFn,
    peek: &[Peek],
    tags: &TagSets,
    runtime: &Runtime,
) -> TokenStream {
    let at = at_name(item);
    let Closures { propagate, fill } = closures(tags, item, peek, runtime);
    let propagate = propagate.map(|closure| quote_spanned!(at=> .propagate(#closure)));
    let runtime = runtime.at(at);
    let opening = match opening {
        // Most spans have nothing to configure, and need no builder.
        Opening::Span { callsite, calls, start } if calls.is_empty() && propagate.is_none() => {
            let untagged = Ident::new(&format!("{start}_untagged"), at);
            let start = Ident::new(start, at);
            return if let Some(fill) = fill {
                quote_spanned!(at=> #runtime::#start(#callsite, #fill))
            } else {
                quote_spanned!(at=> #runtime::#untagged(#callsite))
            };
        }
        Opening::Span { callsite, calls, .. } => quote_spanned!(at=> #runtime::span(#callsite) #calls),
        Opening::Tags(tags) => tags.clone(),
    };
    let fill = fill.unwrap_or_else(|| quote_spanned!(Span::mixed_site()=> |_| {}));
    quote_spanned!(at=> #opening #propagate .start_with(#fill))
}

/// The part of the expression before the tags.
pub(super) fn opening(traced: &Traced, peek: &[Peek]) -> Opening {
    let Traced { runtime, item, name, function, kind, parent, links, err, cancel, shape, tags, .. } = traced;
    let span = Span::mixed_site();
    let at = at_name(item);
    let runtime = &runtime.at(at);
    let name = match name {
        Name::Text(text) => text.to_token_stream(),
        Name::Expr(expr) => expr.to_token_stream(),
    };
    let path = format!("::{function}");
    let kind = kind.map(|kind| {
        let kind = Ident::new(kind, span);
        quote_spanned!(span=> .kind(#runtime::SpanKind::#kind))
    });
    let cancel = (!cancel).then(|| quote_spanned!(span=> .cancel_off()));
    let log = matches!(err, ErrMode::Log).then(|| quote_spanned!(span=> .log()));
    let tags = (!tags.scoped.is_empty()).then(|| quote_spanned!(span=> .with_scoped_tags()));
    // `Location::caller` uses the location of user code, which for generated code is the attribute. The function's
    // name has the right location.
    let own = item.sig.ident.span();
    let runtime_own = traced.runtime.written_at(own);
    let callsite = quote_spanned! {own=>
        #runtime_own::callsite(#name, #runtime_own::concat!(#runtime_own::module_path!(), #path))
    };
    let callsite = quote_spanned!(at=> &const { #callsite #kind #cancel #log #tags });
    let mut calls = TokenStream::new();
    match parent {
        Parent::Current => {}
        // Handled below for a detached job that starts a new trace.
        Parent::Root if matches!(shape, Shape::Spawn(_)) => {}
        Parent::Root => calls.extend(quote_spanned!(span=> .root())),
        Parent::Given(expr) => {
            let (at, value) = (place(expr), reference(expr));
            calls.extend(apart(at, &quote_spanned!(at=> parent(#value)), peek));
        }
    }
    for links in links {
        let (Links::One(expr) | Links::All(expr)) = links;
        let expr = ungrouped(expr);
        let (at, value) = (place(expr), reference(expr));
        calls.extend(apart(
            at,
            &match links {
                Links::One(_) => quote_spanned!(at=> link(#value)),
                // Arguments are borrowed; other expressions may be iterators.
                Links::All(_) if is_borrowed(expr, item, peek) => quote_spanned!(at=> links(&*#expr)),
                Links::All(_) if matches!(expr, Expr::Path(_) | Expr::Field(_)) => quote_spanned!(at=> links(#value)),
                Links::All(_) => quote_spanned!(at=> links(#expr)),
            },
            peek,
        ));
    }
    if let Shape::Spawn(spawn) = shape {
        calls.extend(match spawn.mode {
            Mode::Child => quote_spanned!(span=> .detached()),
            Mode::Link => quote_spanned!(span=> .detached_link()),
            Mode::Root => quote_spanned!(span=> .detached_root()),
        });
    }
    let start = if matches!(shape, Shape::Sync) { "enter" } else { "start" };
    Opening::Span { callsite, calls, start }
}

/// The expression without the invisible group of a macro variable.
fn ungrouped(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(group) => ungrouped(&group.expr),
        other => other,
    }
}

/// Whether the expression is the name of a reference: an argument that is one, or a borrowed part of a replaced
/// pattern.
fn is_borrowed(expr: &Expr, item: &ItemFn, peek: &[Peek]) -> bool {
    let Expr::Path(path) = expr else { return false };
    let argument = item.sig.inputs.iter().any(|input| match input {
        FnArg::Typed(typed) => {
            is_reference(&typed.ty) && matches!(&*typed.pat, Pat::Ident(pat) if path.path.is_ident(&pat.ident))
        }
        FnArg::Receiver(_) => false,
    });
    argument || peek.iter().flat_map(|peek| &peek.names).any(|name| path.path.is_ident(name))
}

/// A method call on the span builder, in a closure of its own. Otherwise, temporaries in the user's expression, such as
/// lock guards, would live as long as the whole method chain, which runs the body.
fn apart(at: Span, call: &TokenStream, peek: &[Peek]) -> TokenStream {
    let peeks = peeks(std::slice::from_ref(call), peek);
    if peeks.is_empty() {
        return quote_spanned!(at=> .with(|__span| __span.#call));
    }
    quote_spanned!(at=> .with(|__span| { #peeks __span.#call }))
}
