#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
// Documented in `throughline`, which re-exports the macros: rustdoc would append a text from here to those pages.
#![expect(missing_docs, reason = "the macros are documented where they are re-exported")]

use proc_macro::TokenStream;

mod boxed_block;
mod check;
mod expand;
mod foreign;
mod item_fn;
mod item_impl;
mod item_kind;
mod known;
mod model;
mod options;
mod report;
mod runtime_path;
mod shown;
mod tag;
mod types;
mod unknown;
mod unpacked;

#[proc_macro_attribute]
pub fn traced(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::traced(options.into(), item.into()).into()
}

#[proc_macro_attribute]
pub fn traced_spawn(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::traced_spawn(options.into(), item.into()).into()
}

#[proc_macro_attribute]
pub fn biz_tags(tags: TokenStream, item: TokenStream) -> TokenStream {
    expand::biz_tags(tags.into(), item.into()).into()
}
