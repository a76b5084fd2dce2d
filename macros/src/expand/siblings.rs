//! Several of our attributes on one function.
//!
//! The compiler expands the first one before it resolves the others. If the expansion removed the others,
//! their names would never be resolved, and the compiler would report their imports as unused. So the first one
//! moves itself behind the others, under a path that needs no import, and the last one whose name has been resolved
//! does the work for all.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::{Attribute, Meta, Path, Result, Token, parse_quote};

use super::biz_tags::BizTags;
use super::fallback;
use crate::item_fn::ItemFn;
use crate::known::Attr;
use crate::options::{self, Options};
use crate::report::Report;
use crate::runtime_path::Runtime;

/// The location of the last of our attributes whose name has not been resolved.
pub(super) fn last_unresolved(function: &ItemFn) -> Option<usize> {
    function.attrs.iter().rposition(|attr| our_name(attr).is_some() && !is_resolved(attr))
}

/// Moves the attribute `name` behind the one at `last`.
pub(super) fn give_way(mut function: ItemFn, last: usize, name: &str, arguments: &TokenStream) -> TokenStream {
    let krate = krate_of(name, arguments.clone()).or_else(|| {
        function.attrs.iter().find_map(|attr| krate_of(&our_name(attr)?, arguments_of(attr, &Report::default())))
    });
    let runtime = Runtime::new(krate.as_ref());
    let name = Ident::new(name, Span::mixed_site());
    let path = quote_spanned!(Span::call_site()=> #runtime::#name);
    function.attrs.insert(last + 1, parse_quote!(#[#path(#arguments)]));
    function.into_token_stream()
}

fn krate_of(name: &str, arguments: TokenStream) -> Option<Path> {
    let report = Report::default();
    match name {
        "biz_tags" => {
            let mut biz = BizTags::default();
            biz.parse(arguments, TokenStream::new(), &report);
            biz.krate
        }
        "traced" => options::parse(Attr::Traced, arguments, &report).krate.map(|krate| krate.value),
        _ => options::parse(Attr::TracedSpawn, arguments, &report).krate.map(|krate| krate.value),
    }
}

/// Removes our attributes from the function. Tags are merged; the others are returned.
pub(super) fn take(function: &mut ItemFn, biz: &mut BizTags, report: &Report) -> Vec<(Attr, Attribute)> {
    let mut spans = Vec::new();
    for attr in std::mem::take(&mut function.attrs) {
        match our_name(&attr).as_deref() {
            Some("biz_tags") => biz.parse(arguments_of(&attr, report), &attr, report),
            Some("traced") => spans.push((Attr::Traced, attr)),
            Some("traced_spawn") => spans.push((Attr::TracedSpawn, attr)),
            _ => {
                function.attrs.push(attr);
                continue;
            }
        }
        function.written = None;
    }
    spans
}

/// A function has at most one attribute that creates a span. `outer` is the attribute being expanded, if it is one of
/// them.
pub(super) fn one_span(
    spans: Vec<(Attr, Attribute)>,
    outer: Option<(Attr, Options)>,
    report: &Report,
) -> Option<(Attr, Options)> {
    // Each has moved behind the last one, so they are in reverse order. The attribute being expanded was written
    // below all of them, and is not part of its own input.
    let others = spans.into_iter().rev().map(|(attr, attribute)| {
        let options = options::parse(attr, arguments_of(&attribute, report), report);
        (attr, options, attribute.into_token_stream())
    });
    let outer = outer.map(|(attr, options)| (attr, options, TokenStream::new()));
    let mut found: Option<(Attr, Options)> = None;
    for (attr, options, place) in below_block(others.chain(outer).collect()) {
        match &found {
            Some((known, _)) if *known == attr => {
                report.error(
                    place,
                    "duplicate attribute: a call has a single span; merge the options into one attribute",
                );
                continue;
            }
            Some(_) => {
                report.error(
                    place,
                    "`#[traced]` conflicts with `#[traced_spawn]`, which creates a span itself; remove one",
                );
                // Callers that expect the handle of a job are correct.
                if attr == Attr::Traced {
                    continue;
                }
            }
            None => {}
        }
        found = Some((attr, options));
    }
    found
}

/// Merges the attribute that an `impl` block adds to a method with those that the method has in a `cfg_attr`, whose
/// condition the block cannot evaluate: they take the defaults of the block, and the added one is removed. Nothing is
/// left if the method is excluded.
fn below_block(mut spans: Vec<(Attr, Options, TokenStream)>) -> Vec<(Attr, Options, TokenStream)> {
    let is_added = |(_, options, _): &(Attr, Options, TokenStream)| options.block.is_some();
    let (1, true) = (spans.iter().filter(|span| is_added(span)).count(), spans.len() > 1) else { return spans };
    let Some(added) = spans.iter().position(is_added) else { return spans };
    let (_, mut added, _) = spans.remove(added);
    for (attr, options, _) in &mut spans {
        options.home.clone_from(&added.home);
        options.may_borrow.clone_from(&added.may_borrow);
        options.block = added.block.take().map(|block| match attr {
            Attr::Traced => block,
            // As in `method`.
            Attr::TracedSpawn => Box::new(Options { krate: block.krate, ..Options::default() }),
        });
    }
    spans.retain(|(_, options, _)| !options.only_skips());
    spans
}

fn our_name(attr: &Attribute) -> Option<String> {
    let last = attr.path().segments.last()?.ident.to_string();
    ["biz_tags", "traced", "traced_spawn"].contains(&last.as_str()).then_some(last)
}

fn arguments_of(attr: &Attribute, report: &Report) -> TokenStream {
    match &attr.meta {
        Meta::Path(_) => TokenStream::new(),
        Meta::List(list) => list.tokens.clone(),
        Meta::NameValue(pair) => {
            report.error(pair, "options are written in parentheses: `#[traced(name = \"…\")]`");
            TokenStream::new()
        }
    }
}

/// Whether the attribute has the path that [`give_way`] assigns.
fn is_resolved(attr: &Attribute) -> bool {
    attr.path().segments.iter().rev().nth(1).is_some_and(|segment| segment.ident == "__private")
}

/// Adds the attribute to a method of an annotated `impl` block; it is expanded later.
pub(super) fn method(tokens: TokenStream, block: &TokenStream, home: &TokenStream, trace: bool) -> TokenStream {
    let report = Report::default();
    let mut item = match ItemFn::parse(tokens.clone()) {
        Ok(item) => item,
        Err(error) => {
            report.push(error);
            return fallback::with_item(report, tokens);
        }
    };
    if item.attrs.iter().any(is_skip) {
        item.attrs.retain(|attr| !is_skip(attr));
        return item.into_token_stream();
    }
    if !trace {
        return tokens;
    }
    let krate = krate_of("traced", block.clone());
    let mut has_span = false;
    for attr in &mut item.attrs {
        let Some(name) = our_name(attr).filter(|name| name != "biz_tags") else { continue };
        has_span = true;
        let (path, written) = (attr.path().clone(), arguments_of(attr, &report));
        let defaults = if name == "traced" {
            Some(quote!(__block(#block),))
        } else {
            // A detached job takes only the path from the defaults: the others are for calls.
            krate.as_ref().map(|krate| quote!(__block(crate = #krate),))
        };
        attr.meta = parse_quote!(#path(#home #defaults #written));
    }
    if !has_span {
        let runtime = Runtime::new(krate.as_ref());
        item.attrs.insert(0, parse_quote!(#[#runtime::traced(#home __block(#block))]));
    }
    fallback::with_item(report, item)
}

fn words(input: ParseStream<'_>) -> Result<Vec<Ident>> {
    Ok(input.parse_terminated(Ident::parse_any, Token![,])?.into_iter().collect())
}

fn is_skip(attr: &Attribute) -> bool {
    our_name(attr).as_deref() == Some("traced")
        && matches!(&attr.meta, Meta::List(list) if list.parse_args_with(words).is_ok_and(|words| words == ["skip"]))
}
