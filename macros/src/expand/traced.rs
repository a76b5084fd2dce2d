//! Prints a function in its span.
//!
//! ```text
//! // Input:
//! #[traced(kind = server)]
//! async fn place(order: Order) -> Result<Id, Error> { BODY }
//!
//! // Output:
//! async fn place(order: Order) -> Result<Id, Error> {
//!     span(&const { callsite("place", "app::place").kind(Server) })
//!         .start(|_| {})
//!         .future(
//!             async move {
//!                 let order = order;
//!                 if false { return returns::<Result<Id, Error>>(); }
//!                 BODY
//!             },
//!             |result| seen(result).display(),
//!         )
//!         .await
//! }
//! ```

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::Expr;
use syn::ext::IdentExt as _;

use super::arguments::{self, Arguments};
use super::returns::{annotation, hint};
use super::tags::{Closures, closures};
use super::traced_spawn;
use crate::item_fn::{ItemFn, Returns, Wrapped};
use crate::model::{Links, Mode, Name, Parent, Shape, TagSets, Tagged, Traced};
use crate::options::{ErrMode, RetMode};
use crate::runtime_path::Runtime;

/// A function whose arguments and body are taken apart, ready to be put together again.
pub(crate) struct Pieces {
    pub(crate) item: ItemFn,
    pub(crate) rebind: TokenStream,
    pub(crate) body: Group,
}

pub(crate) fn print(traced: Traced) -> TokenStream {
    let opening = opening(&traced);
    let Traced { runtime, item, tags, err, ret, shape, .. } = traced;
    let (pieces, closures) = take_apart(item, &tags, &shape, &runtime);
    let propagate = closures.propagate.map(|closure| quote_spanned!(Span::mixed_site()=> .propagate(#closure)));
    let fill = closures.fill;
    let span = quote_spanned!(Span::mixed_site()=> #opening #propagate .start(#fill));
    let outcome = outcome(err, ret, &runtime);
    match shape {
        Shape::Spawn(spawn) => traced_spawn::print(pieces, &span, &outcome, &spawn, &runtime),
        shape => around(pieces, &span, &outcome, &shape, &runtime),
    }
}

/// `#[biz_tags]` alone: the same, around no span.
pub(crate) fn print_tagged(tagged: Tagged) -> TokenStream {
    let Tagged { runtime, item, tags, shape } = tagged;
    let (pieces, closures) = take_apart(item, &tags, &shape, &runtime);
    let propagate = closures.propagate.map(|closure| quote_spanned!(Span::mixed_site()=> .propagate(#closure)));
    let fill = closures.fill;
    let span = quote_spanned!(Span::mixed_site()=> #runtime::tags() #propagate .start(#fill));
    let outcome = outcome(ErrMode::Display, None, &runtime);
    around(pieces, &span, &outcome, &shape, &runtime)
}

fn take_apart(mut item: ItemFn, tags: &TagSets, shape: &Shape, runtime: &Runtime) -> (Pieces, Closures) {
    let Arguments { rebind, peek } = match shape {
        // The body stays where its arguments are.
        Shape::InPlace => Arguments::default(),
        _ => arguments::plan(&mut item.sig),
    };
    let closures = closures(tags, &item, &peek, runtime);
    let body = item.body.clone().unwrap_or_else(|| Group::new(Delimiter::Brace, TokenStream::new()));
    (Pieces { item, rebind, body }, closures)
}

/// The expression up to `.start`.
fn opening(traced: &Traced) -> TokenStream {
    let Traced { runtime, item, name, function, kind, parent, links, shape, .. } = traced;
    let span = Span::mixed_site();
    // The place of the function's name is what `code.line.number` tells.
    let at = span.located_at(item.sig.ident.span());
    let name = match name {
        Name::Text(text) => text.to_token_stream(),
        Name::Expr(expr) => expr.to_token_stream(),
    };
    let path = format!("::{function}");
    let kind = kind.map(|kind| {
        let kind = Ident::new(kind, span);
        quote_spanned!(span=> .kind(#runtime::SpanKind::#kind))
    });
    let mut opening = quote_spanned! {at=>
        #runtime::span(&const { #runtime::callsite(#name, #runtime::concat!(#runtime::module_path!(), #path)) #kind })
    };
    match parent {
        Parent::Current => {}
        // A detached job that starts a new trace says so itself, below.
        Parent::Root if matches!(shape, Shape::Spawn(_)) => {}
        Parent::Root => opening.extend(quote_spanned!(span=> .root())),
        Parent::Given(expr) => opening.extend(quote_spanned!(span=> .parent(&(#expr)))),
    }
    for links in links {
        opening.extend(match links {
            Links::One(expr) => quote_spanned!(span=> .link(&(#expr))),
            // An argument is only looked at; anything else may be an iterator.
            Links::All(expr @ (Expr::Path(_) | Expr::Field(_))) => quote_spanned!(span=> .links(&#expr)),
            Links::All(expr) => quote_spanned!(span=> .links(#expr)),
        });
    }
    if let Shape::Spawn(spawn) = shape {
        opening.extend(match spawn.mode {
            Mode::Child => quote_spanned!(span=> .detach()),
            Mode::Link => quote_spanned!(span=> .detach_link()),
            Mode::Root => quote_spanned!(span=> .detach_root()),
        });
    }
    opening
}

/// The closure that looks at the returned value.
fn outcome(err: ErrMode, ret: Option<RetMode>, runtime: &Runtime) -> TokenStream {
    let span = Span::mixed_site();
    let mode = Ident::new(
        match err {
            ErrMode::Off => "off",
            ErrMode::Display => "display",
            ErrMode::Debug => "debug",
        },
        span,
    );
    let returned = ret.map(|ret| match ret {
        RetMode::Value => quote_spanned!(span=> .returned(#runtime::seen(result).ok().and_then(|value| #runtime::value(value)))),
        RetMode::Debug => quote_spanned!(span=> .returned(#runtime::seen(result).ok().and_then(|value| #runtime::debug(value)))),
    });
    quote_spanned!(span=> |result| #runtime::seen(result).#mode() #returned)
}

/// `statements`, then the body, in the body's own braces.
pub(crate) fn block(statements: &TokenStream, body: &Group) -> Group {
    let stream = body.stream();
    let mut block = Group::new(Delimiter::Brace, quote!(#statements #stream));
    block.set_span(body.span());
    block
}

/// The body as a closure that has the function's return type.
pub(crate) fn closure(pieces: &Pieces) -> TokenStream {
    let block = block(&pieces.rebind, &pieces.body);
    let annotation = annotation(pieces.item.returns());
    quote_spanned!(Span::mixed_site()=> move || #annotation #block)
}

/// The body as an async block that is told the function's return type.
pub(crate) fn async_block(pieces: &Pieces, runtime: &Runtime) -> TokenStream {
    let (rebind, hint) = (&pieces.rebind, hint(pieces.item.returns(), runtime));
    let block = block(&quote!(#rebind #hint), &pieces.body);
    quote_spanned!(Span::mixed_site()=> async move #block)
}

fn around(pieces: Pieces, span: &TokenStream, outcome: &TokenStream, shape: &Shape, runtime: &Runtime) -> TokenStream {
    let site = Span::mixed_site();
    let body = match shape {
        Shape::Sync | Shape::Spawn(_) => {
            let body = closure(&pieces);
            quote_spanned!(site=> #span.run(#body, #outcome))
        }
        Shape::InPlace => {
            let body = &pieces.body;
            if matches!(pieces.item.returns(), Returns::Never) {
                quote_spanned!(site=> let _span = #span.enter(); #body)
            } else {
                quote_spanned!(site=> let span = #span.enter(); span.exit(#body, #outcome))
            }
        }
        Shape::Async => {
            let body = async_block(&pieces, runtime);
            let future = quote_spanned!(site=> #span.future(#body, #outcome).await);
            match pieces.item.returns() {
                Returns::Never => quote_spanned!(site=> match #future {}),
                _ => future,
            }
        }
        Shape::Future(wrapped) => {
            let body = closure(&pieces);
            boxed(*wrapped, quote_spanned!(site=> #span.future_of(#body, #outcome)), runtime)
        }
        Shape::Stream(wrapped) => {
            let body = closure(&pieces);
            boxed(*wrapped, quote_spanned!(site=> #span.stream_of(#body, #outcome)), runtime)
        }
        Shape::AsyncStream => {
            let body = async_block(&pieces, runtime);
            quote_spanned!(site=> #span.stream_after(#body, #outcome).await)
        }
    };
    let mut braces = Group::new(Delimiter::Brace, body);
    braces.set_span(pieces.body.span());
    ItemFn { body: Some(braces), ..pieces.item }.into_token_stream()
}

fn boxed(wrapped: Wrapped, inner: TokenStream, runtime: &Runtime) -> TokenStream {
    match wrapped {
        Wrapped::Impl => inner,
        Wrapped::Boxed => quote_spanned!(Span::mixed_site()=> #runtime::Box::pin(#inner)),
    }
}

/// The function's name as text.
pub(crate) fn thread_name(item: &ItemFn) -> String {
    item.sig.ident.unraw().to_string()
}
