//! The tags of all `#[biz_tags]` of one function.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Error, Ident, Path, Result, Token};

use crate::options;
use crate::report::Report;
use crate::tag::{self, Tag};

/// The merged `#[biz_tags]` of a function.
#[derive(Default)]
pub(super) struct BizTags {
    pub(super) tags: Vec<Tag>,
    pub(super) krate: Option<Path>,
}

impl BizTags {
    /// `attribute` is underlined if the list is empty. Without tokens, it is the attribute being expanded.
    pub(super) fn parse(&mut self, tokens: TokenStream, attribute: impl ToTokens, report: &Report) {
        let whole = if tokens.is_empty() { attribute.into_token_stream() } else { tokens.clone() };
        let parser = |input: ParseStream<'_>| {
            if input.peek(Token![crate]) && input.peek2(Token![=]) {
                let key = input.call(Ident::parse_any)?;
                self.krate = Some(options::krate(input, &key)?);
                if !input.is_empty() {
                    let comma: Result<Token![,]> = input.parse();
                    comma.map_err(|error| Error::new(error.span(), "expected `,` between tags"))?;
                }
            }
            if input.is_empty() {
                return Err(Error::new_spanned(
                    &whole,
                    "`#[biz_tags]` needs at least one tag: `#[biz_tags(tenant_id)]`",
                ));
            }
            Ok(tag::list(input, report))
        };
        match parser.parse2(tokens) {
            Ok(tags) => {
                // A duplicate in the same list has been reported.
                let others = self.tags.len();
                for tag in tags {
                    if self.tags[..others].iter().any(|known| known.key == tag.key) {
                        report.push(Error::new(tag.key_span, format!("duplicate tag `{}`; remove one", tag.key)));
                    } else {
                        self.tags.push(tag);
                    }
                }
            }
            Err(error) => report.push(error),
        }
    }
}
