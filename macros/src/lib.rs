#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use proc_macro::TokenStream;

mod check;
mod expand;
mod foreign;
mod item_fn;
mod item_impl;
mod model;
mod options;
mod report;
mod runtime_path;
mod shown;
mod tag;

/// Runs a function in a span. Documented in the `throughline` crate, which exports it.
#[proc_macro_attribute]
pub fn traced(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::traced(options.into(), item.into()).into()
}

/// Turns a function into a detached job. Documented in the `throughline` crate, which exports it.
#[proc_macro_attribute]
pub fn traced_spawn(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::traced_spawn(options.into(), item.into()).into()
}

/// Attaches business tags to a span and to all spans below it. Documented in the `throughline` crate,
/// which exports it.
#[proc_macro_attribute]
pub fn biz_tags(tags: TokenStream, item: TokenStream) -> TokenStream {
    expand::biz_tags(tags.into(), item.into()).into()
}
