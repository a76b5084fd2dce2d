//! What a function is, as far as its span is concerned: by its signature, and in part by its body.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::visit::Visit;
use syn::{FnArg, Ident, ReceiverKind, Visibility};

use super::boxed::can_be_boxed_again;
use super::recursion::recurses;
use crate::boxed_block::BoxedBlock;
use crate::item_fn::{ItemFn, Returns, mentions};
use crate::model::Shape;
use crate::options::Spanned;
use crate::report::Report;
use crate::types::{FUTURES, STREAMS, Wrapped, is_named_future, is_reference, unwrapped, wrapped};

pub(super) fn plain_shape(item: &ItemFn, of_impl: Option<&[Ident]>) -> Shape {
    if item.sig.asyncness.is_some() {
        return Shape::Async;
    }
    if let Returns::Value(ty) = item.returns() {
        let wrapped = wrapped(ty, "Future", FUTURES);
        let stays_in_box = match wrapped {
            Some(Wrapped::Boxed) => !can_be_boxed_again(item, ty, of_impl),
            Some(_) => false,
            None => is_named_future(ty),
        };
        let is_block = || !item.has_attribute("track_caller") && BoxedBlock::of(item).is_some();
        match wrapped {
            _ if stays_in_box && is_block() => return Shape::FutureInBox,
            Some(_) if stays_in_box => {}
            // The body stays in place, and an early `return` would bypass the wrapper.
            Some(_) if item.has_attribute("track_caller") && returns_early(item) => return Shape::InPlace,
            Some(wrapped) => return Shape::Future(wrapped),
            None => {}
        }
        // `impl Fn(&str)` determines the parameter types of a closure only in the function's own tail expression.
        if item.returns_function() {
            return Shape::InPlace;
        }
    }
    // A closure is never `#[track_caller]`, and the lint for unconditional recursion does not look into closures, so
    // the body stays in place.
    if item.has_attribute("track_caller") || is_index(item) || recurses(item) { Shape::InPlace } else { Shape::Sync }
}

/// Whether `#[async_trait]` has generated the function from an `async fn`.
pub(crate) fn is_of_async_trait(item: &ItemFn) -> bool {
    item.sig.asyncness.is_none() && item.sig.generics.lifetimes().any(|it| it.lifetime.ident == "async_trait")
}

/// Whether there is a `return` in the body, outside of its closures and async blocks.
pub(crate) fn returns_early(item: &ItemFn) -> bool {
    struct Finder(bool);

    impl<'ast> Visit<'ast> for Finder {
        fn visit_expr_return(&mut self, _: &'ast syn::ExprReturn) {
            self.0 = true;
        }

        fn visit_macro(&mut self, mac: &'ast syn::Macro) {
            self.0 |= mentions_return(&mac.tokens);
        }

        fn visit_expr_closure(&mut self, _: &'ast syn::ExprClosure) {}
        fn visit_expr_async(&mut self, _: &'ast syn::ExprAsync) {}
        fn visit_item(&mut self, _: &'ast syn::Item) {}
    }

    let Some(body) = &item.body else { return false };
    let Ok(block) = syn::parse2::<syn::Block>(TokenTree::Group(body.clone()).into()) else {
        return mentions_return(&body.stream());
    };
    let mut finder = Finder(false);
    finder.visit_block(&block);
    finder.0
}

fn mentions_return(tokens: &TokenStream) -> bool {
    mentions(tokens, &Ident::new("return", Span::call_site()))
}

/// Whether this appears to be `Index::index` or `IndexMut::index_mut`. The standard library declares these with
/// `#[track_caller]`, which implementations inherit.
pub(super) fn is_index(item: &ItemFn) -> bool {
    let mut inputs = item.sig.inputs.iter();
    let (Some(FnArg::Receiver(receiver)), Some(FnArg::Typed(_)), None) = (inputs.next(), inputs.next(), inputs.next())
    else {
        return false;
    };
    let ReceiverKind::Reference(_, _, mutability) = &receiver.kind else { return false };
    let returned = matches!(item.returns(), Returns::Value(ty) if is_reference(ty));
    let name = if mutability.is_some() { "index_mut" } else { "index" };
    returned && matches!(item.vis, Visibility::Inherited) && item.sig.ident == name
}

pub(super) fn stream_shape(item: &ItemFn, stream: &Spanned<()>, of_impl: Option<&[Ident]>, report: &Report) -> Shape {
    let found = match item.returns() {
        Returns::Value(ty) => wrapped(ty, "Stream", STREAMS),
        _ => None,
    };
    match (found, item.sig.asyncness.is_some()) {
        (Some(Wrapped::Impl), true) => Shape::AsyncStream,
        (Some(wrapped), false) => Shape::Stream(wrapped),
        (Some(Wrapped::Boxed), true) => {
            report.error(
                &stream.key,
                "`stream` on an `async fn` requires `impl Stream`; remove `async` to return a boxed stream",
            );
            Shape::Async
        }
        (None, _) => {
            let returned = match item.returns() {
                Returns::Value(ty) => unwrapped(ty),
                _ => None,
            };
            match returned {
                Some(bound) => report.error(
                    &stream.key,
                    format_args!(
                        "`stream` wraps the stream, and the wrapper is not `{bound}`; remove that bound, or `stream`"
                    ),
                ),
                None => report.error(
                    &stream.key,
                    "`stream` requires a function that returns `impl Stream` or `Pin<Box<dyn Stream>>`",
                ),
            }
            plain_shape(item, of_impl)
        }
    }
}
