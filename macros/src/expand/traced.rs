//! Generates a function that runs in a span.
//!
//! ```text
//! // Input:
//! #[traced(kind = server)]
//! async fn place(order: Order) -> Result<Id, Error> { BODY }
//!
//! // Output:
//! fn place(order: Order) -> impl Future<Output = Result<Id, Error>> {
//!     future(
//!         move || {
//!             (
//!                 start_untagged(&const { callsite("place", "app::place").kind(Server) }),
//!                 with_output::<Result<Id, Error>, _>(async move {
//!                     let order = order;
//!                     if false { return returns::<Result<Id, Error>>(); }
//!                     match () { () => { BODY } }
//!                 }),
//!             )
//!         },
//!         |result| inspect(result).display(),
//!     )
//! }
//! ```
//!
//! The closure is called when the future is first polled. Where the signature has to stay, as for an attribute below that
//! wants an `async fn`, the function awaits a future that contains the same block.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote_spanned};
use syn::{Expr, FnArg, Pat};

use super::arguments::{self, Peek};
use super::as_written;
use super::body::{Pieces, async_block, at_name, beginning, closure, stays_in_place, take_apart, with_body};
use super::returns::inferred;
use super::tags::{Closures, closures, has_names, peeks, place, reference, used};
use super::traced_spawn;
use crate::check::recurses;
use crate::item_fn::{ItemFn, Returns, Wrapped, associated, cfgs, is_reference, mentions, pinned_opaque};
use crate::model::{Links, Mode, Name, Parent, Place, Shape, Spawn, TagSets, Tagged, Traced};
use crate::options::{ErrMode, RetMode, Spanned};
use crate::runtime_path::Runtime;

pub(crate) fn print(traced: Traced) -> TokenStream {
    let mut origins: Vec<_> = traced.links.iter().map(|(Links::One(expr) | Links::All(expr))| expr).collect();
    if let Parent::Given(expr) = &traced.parent {
        origins.push(expr);
    }
    if let Shape::Spawn(Spawn { place: Place::TaskOn(expr) | Place::BlockingOn(expr), .. }) = &traced.shape {
        origins.push(expr);
    }
    let pieces = take_apart(traced.item.clone(), &traced.tags, &origins, &traced.shape);
    let opened = opening(&traced, &pieces.peek);
    let unpacked = arguments::unpacked(&traced.item);
    let in_its_arguments = opening(&traced, &unpacked);
    let looks = !origins.is_empty()
        || matches!(traced.name, Name::Expr(_))
        || has_names(&used(&traced.tags, &[]))
        || traced.runtime.is_named();
    let Traced { runtime, item, tags, err, ret, shape, .. } = traced;
    let span = started(&opened, &pieces.item, &pieces.peek, &tags, &runtime);
    // The failure of a job is logged, unless its description is disabled.
    let is_logged = match (err, &shape) {
        (ErrMode::Log, _) => true,
        (err, Shape::Spawn(_)) => matches!(err, ErrMode::Display),
        _ => false,
    };
    let is_logged = is_logged && matches!(pieces.item.returns(), Returns::Value(_));
    let outcome = outcome(err, is_logged, ret, &parameter(&pieces.item, &shape), &runtime);
    match shape {
        Shape::Spawn(job) => traced_spawn::print(pieces, &span, &outcome, &job, &runtime),
        shape => {
            let looks = looks.then(|| started(&in_its_arguments, &item, &unpacked, &tags, &runtime));
            let for_docs = is_flat(&shape, &item);
            let mut out = as_written::print(item, looks.as_ref(), for_docs, &runtime);
            out.extend(around(pieces, &span, &outcome, &shape, &runtime));
            out
        }
    }
}

/// `#[biz_tags]` alone: the same, without a span.
pub(crate) fn print_tagged(tagged: Tagged) -> TokenStream {
    let Tagged { runtime, item, tags, shape } = tagged;
    let at = at_name(&item);
    let pieces = take_apart(item.clone(), &tags, &[], &shape);
    let runtime_at = runtime.at(at);
    let opening = Opening::Tags(quote_spanned!(at=> #runtime_at::tags()));
    let span = started(&opening, &pieces.item, &pieces.peek, &tags, &runtime);
    let outcome = outcome(ErrMode::Display, false, None, &parameter(&pieces.item, &shape), &runtime);
    let looks = has_names(&used(&tags, &[])) || runtime.is_named();
    let looks = looks.then(|| started(&opening, &item, &arguments::unpacked(&item), &tags, &runtime));
    let for_docs = is_flat(&shape, &item);
    let mut out = as_written::print(item, looks.as_ref(), for_docs, &runtime);
    out.extend(around(pieces, &span, &outcome, &shape, &runtime));
    out
}

/// What is configured before the tags.
enum Opening {
    /// The callsite of the span, and the calls that configure its builder.
    Span { callsite: TokenStream, calls: TokenStream, start: &'static str },
    /// Tags without a span.
    Tags(TokenStream),
}

/// The expression that starts the span.
fn started(opening: &Opening, item: &ItemFn, peek: &[Peek], tags: &TagSets, runtime: &Runtime) -> TokenStream {
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

/// What precedes the tags.
fn opening(traced: &Traced, peek: &[Peek]) -> Opening {
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

/// The closure that inspects the return value.
fn outcome(
    err: ErrMode,
    is_logged: bool,
    ret: Option<Spanned<RetMode>>,
    parameter: &TokenStream,
    runtime: &Runtime,
) -> TokenStream {
    let span = Span::mixed_site();
    let mode = Ident::new(
        match err {
            ErrMode::Off => "__off",
            ErrMode::Display | ErrMode::Log => "__display",
            ErrMode::Debug => "__debug",
        },
        span,
    );
    let chain = is_logged.then(|| quote_spanned!(span=> .with_error_chain(#runtime::inspect(__result).__chain())));
    let returned = ret.map(|ret| {
        // If the return type has no conversion, the error refers to the option.
        let at = span.located_at(ret.key.span());
        let runtime = runtime.at(at);
        let convert = Ident::new(
            match ret.value {
                RetMode::Value => "value",
                RetMode::Debug => "debug",
            },
            at,
        );
        quote_spanned!(at=> .returned(|| #runtime::inspect(__result).__value().and_then(|__value| #runtime::#convert(__value))))
    });
    // It captures nothing. Without `move`, the compiler's suggestions for borrow errors in the body would refer to
    // this closure.
    quote_spanned!(span=> move |__result #parameter| #runtime::inspect(__result).#mode() #chain #returned)
}

/// The type of that closure's argument, where it cannot be inferred in time: the output of an `impl Future` is
/// determined by the body, which may leave it open.
fn parameter(item: &ItemFn, shape: &Shape) -> TokenStream {
    let name = match shape {
        Shape::Future(_) => "Output",
        Shape::Stream(_) | Shape::AsyncStream => "Item",
        _ => return TokenStream::new(),
    };
    let Returns::Value(ty) = item.returns() else { return TokenStream::new() };
    associated(pinned_opaque(ty).unwrap_or(ty), name).map_or_else(TokenStream::new, |ty| {
        let ty = inferred(ty);
        quote_spanned!(Span::mixed_site()=> : &#ty)
    })
}

fn around(
    mut pieces: Pieces,
    span: &TokenStream,
    outcome: &TokenStream,
    shape: &Shape,
    runtime: &Runtime,
) -> TokenStream {
    let at = at_name(&pieces.item);
    let flat = is_flat(shape, &pieces.item);
    as_written::otherwise(&mut pieces.item, flat);
    let body = match shape {
        Shape::Sync | Shape::Spawn(_) => {
            let body = closure(&pieces);
            // Not called `run`: a trait of the application's that all types implement may have a method of that name,
            // and by value.
            quote_spanned!(at=> #span.__run(#body, #outcome))
        }
        Shape::InPlace => {
            let body = &pieces.body;
            let recurses = recurses(&pieces.item);
            let returns = mentions(&body.stream(), &Ident::new("return", at));
            if unseen(&pieces.item) || recurses && returns {
                let body = body.stream();
                quote_spanned!(at=> let __span = #span.enter(); #body)
            } else if recurses {
                // As below, but without a condition, which the compiler's lint would treat as a way out. Generated
                // code is exempt from the lint for unreachable arms.
                let value = quote_spanned!(at=> match () { () => #body, _ => #runtime::returns() });
                quote_spanned!(at=> let __span = #span.enter(); __span.exit(#value, #outcome))
            } else {
                // With a second arm, a diverging body does not make the call unreachable.
                let value = quote_spanned!(at=> match () { () if true => #body, () => #runtime::returns() });
                quote_spanned!(at=> let __span = #span.enter(); __span.exit(#value, #outcome))
            }
        }
        Shape::Async if flat => {
            let output = if let Returns::Value(ty) = pieces.item.returns() {
                ty.to_token_stream()
            } else {
                quote_spanned!(at=> ())
            };
            let begin = beginning(&pieces, span, &output, runtime);
            let runtime = runtime.at(at);
            // These tokens have the edition of this crate, in which `impl Trait` captures every lifetime, as the
            // future of an `async fn` does in all editions.
            pieces.item.sig.output = syn::parse_quote_spanned!(at=> -> impl #runtime::Future<Output = #output>);
            pieces.item.sig.asyncness = None;
            quote_spanned!(at=> #runtime::future(#begin, #outcome))
        }
        Shape::Async => {
            let body = async_block(&pieces, runtime);
            let future = quote_spanned!(at=> #span.run_async(#body, #outcome).await);
            match pieces.item.returns() {
                Returns::Never => quote_spanned!(at=> match #future {}),
                _ => future,
            }
        }
        Shape::Future(wrapped) | Shape::Stream(wrapped) if stays_in_place(shape, &pieces.item) => {
            let body = &pieces.body;
            let method = Ident::new(if let Shape::Stream(_) = shape { "stream" } else { "run_async_with" }, at);
            let value = quote_spanned!(at=> match () { () if true => #body, () => #runtime::returns() });
            let wrap = boxed(*wrapped, quote_spanned!(at=> __span.leave().#method(|| __value, #outcome)), runtime);
            quote_spanned!(at=> let __span = #span.enter(); let __value = #value; #wrap)
        }
        Shape::Future(wrapped) => {
            let body = closure(&pieces);
            boxed(*wrapped, quote_spanned!(at=> #span.run_async_with(#body, #outcome)), runtime)
        }
        Shape::Stream(wrapped) => {
            let body = closure(&pieces);
            boxed(*wrapped, quote_spanned!(at=> #span.stream(#body, #outcome)), runtime)
        }
        Shape::AsyncStream => {
            let body = async_block(&pieces, runtime);
            quote_spanned!(at=> #span.stream_after(#body, #outcome).await)
        }
    };
    with_body(pieces.item, body)
}

/// Whether the function becomes one that returns a future: `async fn` holds the future that it awaits beside its
/// arguments, which the future needs as well, and both are types that the compiler has to look through.
fn is_flat(shape: &Shape, item: &ItemFn) -> bool {
    matches!(shape, Shape::Async) && can_return_future(item)
}

/// Whether the effect is the same if the `async fn` becomes a `fn` that returns a future.
fn can_return_future(item: &ItemFn) -> bool {
    let returns = match item.returns() {
        Returns::Unit => true,
        // `!` is not allowed as an associated type.
        Returns::Never => false,
        Returns::Value(ty) => !mentions(&ty.to_token_stream(), &Ident::new("impl", Span::call_site())),
    };
    // Other attributes may want an `async fn`, and `#[must_use]` would apply to the future instead of its output.
    let known = ["allow", "cfg", "cold", "deny", "deprecated", "doc", "expect", "forbid", "inline", "warn"];
    let attributes = item.attrs.iter().all(|attr| known.iter().any(|known| attr.path().is_ident(known)));
    // A future that is never polled drops a struct in the order of its fields, whatever the order in the pattern.
    let arguments = item.sig.inputs.iter().all(|input| match input {
        FnArg::Typed(typed) => cfgs(&typed.attrs).is_empty() && !has_struct(&typed.pat),
        FnArg::Receiver(receiver) => cfgs(&receiver.attrs).is_empty(),
    });
    // The compiler explains a recursive `async fn` better than a recursive `impl Future`.
    let recursive = item.body.as_ref().is_some_and(|body| calls(&body.stream(), &item.sig.ident));
    returns && attributes && arguments && !recursive
}

fn has_struct(pat: &Pat) -> bool {
    match pat {
        Pat::Struct(_) => true,
        Pat::Tuple(pat) => pat.elems.iter().any(has_struct),
        Pat::TupleStruct(pat) => pat.elems.iter().any(has_struct),
        Pat::Paren(pat) => has_struct(&pat.pat),
        _ => false,
    }
}

/// Whether the function may call itself: by its name, or as a method of `self` or a type.
fn calls(tokens: &TokenStream, name: &Ident) -> bool {
    let mut before: [Option<TokenTree>; 2] = [None, None];
    for token in tokens.clone() {
        match &token {
            TokenTree::Ident(ident) if ident == name => {
                let is_member = matches!(&before[1], Some(TokenTree::Punct(punct)) if punct.as_char() == '.');
                let of_self = matches!(&before[0], Some(TokenTree::Ident(ident)) if ident == "self");
                if !is_member || of_self {
                    return true;
                }
            }
            TokenTree::Group(group) if calls(&group.stream(), name) => return true,
            _ => {}
        }
        before = [before[1].take(), Some(token)];
    }
    false
}

/// Whether the return value has nothing to record, so that it does not have to be passed on.
fn unseen(item: &ItemFn) -> bool {
    matches!(item.returns(), Returns::Never) || item.returns_function()
}

fn boxed(wrapped: Wrapped, inner: TokenStream, runtime: &Runtime) -> TokenStream {
    match wrapped {
        Wrapped::Impl => inner,
        Wrapped::Boxed => quote_spanned!(Span::mixed_site()=> #runtime::Box::pin(#inner)),
    }
}
