//! The attributes of `throughline`, doing nothing. The same source is compiled with them and with
//! the real ones, and must behave the same.

use proc_macro::TokenStream;

/// Leaves the item as it is.
#[proc_macro_attribute]
pub fn traced(_options: TokenStream, item: TokenStream) -> TokenStream {
    item
}

/// Leaves the item as it is.
#[proc_macro_attribute]
pub fn biz_tags(_tags: TokenStream, item: TokenStream) -> TokenStream {
    item
}
