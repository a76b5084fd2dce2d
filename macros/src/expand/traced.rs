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
//!                 with_output(|| -> Result<Id, Error> { returns() }, async move {
//!                     let order = order;
//!                     if false { let returned: Result<Id, Error> = returns(); return returned; }
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

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{ReturnType, Signature};

use super::arguments;
use super::as_written;
use super::body::{
    Pieces, async_block, at_name, beginning, closure, stays_in_place, take_apart, unboxing_closure, with_body,
};
use super::flat::is_flat;
use super::returns::{self, inferred};
use super::start::{Opening, opening, started};
use super::tags::{has_names, used};
use super::traced_spawn;
use super::unwritten::is_unwritten;
use crate::boxed_block::BoxedBlock;
use crate::check::recurses;
use crate::item_fn::{ItemFn, Returns, mentions};
use crate::model::{Links, Name, Parent, Place, Shape, Spawn, Tagged, Traced};
use crate::options::{ErrMode, RetMode, Spanned};
use crate::runtime_path::Runtime;
use crate::types::{Wrapped, associated, pinned_opaque, resolved};

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
    let outcome = match ret {
        None if is_unwritten(&item) => no_outcome(&runtime),
        ret => outcome(err, is_logged, ret, &parameter(&pieces.item, &shape, &runtime), &runtime),
    };
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
    let outcome = if is_unwritten(&item) {
        no_outcome(&runtime)
    } else {
        outcome(ErrMode::Display, false, None, &parameter(&pieces.item, &shape, &runtime), &runtime)
    };
    let looks = has_names(&used(&tags, &[])) || runtime.is_named();
    let looks = looks.then(|| started(&opening, &item, &arguments::unpacked(&item), &tags, &runtime));
    let for_docs = is_flat(&shape, &item);
    let mut out = as_written::print(item, looks.as_ref(), for_docs, &runtime);
    out.extend(around(pieces, &span, &outcome, &shape, &runtime));
    out
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

/// The same, for a result whose type is unknown.
fn no_outcome(runtime: &Runtime) -> TokenStream {
    quote_spanned!(Span::mixed_site()=> move |_| #runtime::inspect(&()).__off())
}

/// The type of that closure's argument, where it cannot be inferred in time: the output of an `impl Future`, and of a
/// block that is boxed, is determined by the body, which may leave it open.
fn parameter(item: &ItemFn, shape: &Shape, runtime: &Runtime) -> TokenStream {
    let Returns::Value(ty) = item.returns() else { return TokenStream::new() };
    let known = match shape {
        Shape::Future(_) => associated(pinned_opaque(ty).unwrap_or(ty), "Output"),
        Shape::FutureInBox => {
            let Some(of) = resolved(ty) else {
                // A name of such a box.
                let (runtime, ty) = (runtime.at(Span::mixed_site().located_at(ty.span())), inferred(ty));
                return quote_spanned!(Span::mixed_site()=> : &<#ty as #runtime::Future>::Output);
            };
            Some(of)
        }
        Shape::Stream(_) | Shape::AsyncStream => associated(pinned_opaque(ty).unwrap_or(ty), "Item"),
        _ => None,
    };
    known.map_or_else(TokenStream::new, |ty| {
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
            // Not called `run`: a trait of the application with a blanket implementation may have a method of that name
            // that takes `self` by value.
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
            let end = end_of(&pieces.item.sig);
            let from = at.located_at(start_of(&pieces.item.sig));
            let runtime_from = runtime.at(from);
            pieces.item.sig.output =
                syn::parse_quote_spanned!(from=> -> impl #runtime_from::Future<Output = #output #end);
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
        Shape::FutureInBox => {
            // The check has found it.
            let BoxedBlock { unboxed, pin, boxed } = BoxedBlock::of(&pieces.item).unwrap_or_default();
            let body = unboxing_closure(&mut pieces, unboxed);
            quote_spanned!(at=> #pin(#span.run_async_with(#body, #outcome))#boxed)
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

/// The location of the return type, or of the closing parenthesis if there is none.
fn start_of(sig: &Signature) -> Span {
    match &sig.output {
        ReturnType::Type(_, ty) => ty.span(),
        ReturnType::Default => sig.paren_token.span.close(),
    }
}

/// The last token of the signature, which has the location of the user's last one: the compiler underlines what is
/// between the first and the last, or the attribute if one of them is generated.
fn end_of(sig: &Signature) -> TokenStream {
    let end = match &sig.output {
        ReturnType::Type(_, ty) => returns::end_of(ty),
        ReturnType::Default => sig.paren_token.span.close(),
    };
    quote_spanned!(end=> >)
}

/// Whether there is nothing to record about the return value, so that it does not have to be inspected.
fn unseen(item: &ItemFn) -> bool {
    matches!(item.returns(), Returns::Never) || item.returns_function()
}

fn boxed(wrapped: Wrapped, inner: TokenStream, runtime: &Runtime) -> TokenStream {
    match wrapped {
        Wrapped::Impl => inner,
        Wrapped::Boxed => quote_spanned!(Span::mixed_site()=> #runtime::Box::pin(#inner)),
    }
}
