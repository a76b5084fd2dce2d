//! Generates a function that spawns its body as a detached job.
//!
//! ```text
//! // Input:
//! #[traced_spawn]
//! async fn receipt(order: Order) -> Result<(), Error> { BODY }
//!
//! // Output:
//! fn receipt(order: Order) -> JoinHandle<Result<(), Error>> {
//!     takes::<Order>();
//!     span(&const { callsite("receipt", "app::receipt") })
//!         .detached()
//!         .start_with(|_| {})
//!         .spawn_giving(async move { … }, |result| inspect(result).display(), gives::<Result<(), Error>>())
//! }
//! ```

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens as _, quote_spanned};
use syn::Expr;
use syn::ext::IdentExt as _;

use super::body::{Pieces, at_name, job_block, job_closure, with_body};
use super::sent;
use super::tags::{peeks, place, reference};
use crate::item_fn::{ItemFn, Returns};
use crate::model::{Place, Spawn};
use crate::runtime_path::Runtime;

pub(crate) fn print(
    mut pieces: Pieces,
    span: &TokenStream,
    outcome: &TokenStream,
    job: &Spawn,
    runtime: &Runtime,
) -> TokenStream {
    let site = Span::mixed_site();
    // Unsatisfied bounds of the job (`Send`, `'static`) are reported at the function's name.
    let at = at_name(&pieces.item);
    let task = |pieces: &Pieces| job_block(pieces, runtime);
    // A job that stays on its thread needs no `Send` bounds.
    let (takes, gives) = match &job.place {
        Place::Local => (TokenStream::new(), None),
        _ => (sent::arguments(&pieces.item, runtime), sent::result(&pieces.item, runtime)),
    };
    let method = |name: &str| match &gives {
        Some(_) => Ident::new(&format!("{name}_giving"), at),
        None => Ident::new(name, at),
    };
    let gives = gives.as_ref().map(|gives| quote_spanned!(at=> , #gives));
    let call = match &job.place {
        Place::Task => {
            let (method, task) = (method("spawn"), task(&pieces));
            quote_spanned!(at=> #method(#task, #outcome #gives))
        }
        Place::TaskOn(handle) => {
            let (method, handle, task) = (method("spawn_on"), own(handle, &pieces, runtime), task(&pieces));
            quote_spanned!(at=> #method(#handle, #task, #outcome #gives))
        }
        Place::Local => {
            let (method, task) = (method("spawn_local"), task(&pieces));
            quote_spanned!(at=> #method(#task, #outcome))
        }
        Place::Blocking => {
            let (method, body) = (method("spawn_blocking"), job_closure(&pieces, runtime));
            quote_spanned!(at=> #method(#body, #outcome #gives))
        }
        Place::BlockingOn(handle) => {
            let (method, handle, body) =
                (method("spawn_blocking_on"), own(handle, &pieces, runtime), job_closure(&pieces, runtime));
            quote_spanned!(at=> #method(#handle, #body, #outcome #gives))
        }
        Place::Thread => {
            let (method, body, name) =
                (method("spawn_thread"), job_closure(&pieces, runtime), pieces.item.sig.ident.unraw().to_string());
            quote_spanned!(at=> #method(#name, #body, #outcome #gives))
        }
    };
    let output = output(&pieces.item, &job.place, runtime);
    pieces.item.sig.output = syn::parse_quote!(-> #output);
    pieces.item.sig.asyncness = None;
    // If spawning panics, the location should be the caller's. `#[track_caller]` requires the Rust ABI.
    let has_track_caller = pieces.item.attrs.iter().any(|attr| attr.path().is_ident("track_caller"));
    if pieces.item.sig.abi.is_none() && !has_track_caller {
        pieces.item.attrs.push(syn::parse_quote!(#[track_caller]));
    }
    pieces.item.attrs.push(syn::parse_quote! {
        #[allow(
            clippy::must_use_candidate,
            clippy::async_yields_async,
            reason = "dropping the handle detaches the job, and its output may be a future"
        )]
    });
    with_body(pieces.item, quote_spanned!(site=> #takes #span.#call))
}

/// A clone of the handle, because the argument itself may be moved into the job.
///
/// The type is named, so that a wrong one is reported as a mismatch, and not as a missing method.
fn own(handle: &Expr, pieces: &Pieces, runtime: &Runtime) -> TokenStream {
    let peeks = peeks(&[handle.to_token_stream()], &pieces.peek);
    let (at, handle) = (place(handle), reference(handle));
    let runtime = runtime.at(at);
    quote_spanned!(at=> &{ #peeks <#runtime::Handle as #runtime::Clone>::clone(#handle) })
}

/// The type of the handle.
pub(crate) fn output(item: &ItemFn, place: &Place, runtime: &Runtime) -> TokenStream {
    let site = Span::mixed_site();
    let value = match item.returns() {
        Returns::Unit => quote_spanned!(site=> ()),
        Returns::Never => quote_spanned!(site=> #runtime::Infallible),
        Returns::Value(ty) => ty.to_token_stream(),
    };
    if matches!(place, Place::Thread) {
        quote_spanned!(site=> #runtime::ThreadHandle<#value>)
    } else {
        quote_spanned!(site=> #runtime::JoinHandle<#value>)
    }
}

/// The function with its generated signature, so that callers compile while it has an error. The body is omitted, so
/// lints for unused items are disabled.
pub(crate) fn stand_in(mut item: ItemFn, place: &Place, runtime: &Runtime) -> ItemFn {
    let site = Span::mixed_site();
    let output = output(&item, place, runtime);
    item.sig.output = syn::parse_quote!(-> #output);
    item.sig.asyncness = None;
    item.sig.constness = None;
    item.attrs.push(syn::parse_quote!(#[allow(unused_variables, unused_mut, reason = "the body is omitted")]));
    let mut braces = Group::new(Delimiter::Brace, quote_spanned!(site=> #runtime::returns()));
    braces.set_span(item.body.as_ref().map_or(site, Group::span));
    item.body = item.body.is_some().then_some(braces);
    item
}
