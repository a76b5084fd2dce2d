#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use proc_macro::TokenStream;

mod check;
mod expand;
mod item_fn;
mod item_impl;
mod model;
mod options;
mod report;
mod runtime_path;
mod tag;

#[doc = include_str!("../doc/traced.md")]
#[proc_macro_attribute]
pub fn traced(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::traced(options.into(), item.into()).into()
}

#[doc = include_str!("../doc/traced_spawn.md")]
#[proc_macro_attribute]
pub fn traced_spawn(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::traced_spawn(options.into(), item.into()).into()
}

#[doc = include_str!("../doc/biz_tags.md")]
#[proc_macro_attribute]
pub fn biz_tags(tags: TokenStream, item: TokenStream) -> TokenStream {
    expand::biz_tags(tags.into(), item.into()).into()
}
