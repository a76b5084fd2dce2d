//! Each attribute in four steps: parse, check into a model, print, or fall back.

use proc_macro2::{Group, Ident, Span, TokenStream};
use quote::{ToTokens as _, quote};
use syn::parse::{ParseStream, Parser as _};
use syn::{Path, Token};

mod arguments;
mod as_written;
mod biz_tags;
mod body;
mod fallback;
mod flat;
#[cfg(test)]
mod pairs;
mod returns;
mod sent;
mod siblings;
mod start;
mod tags;
mod tail;
mod traced;
mod traced_spawn;
mod unwritten;

use self::biz_tags::BizTags;
use crate::check;
use crate::item_fn::{ItemFn, mentions, ungroup};
use crate::item_impl::{ItemImpl, Member};
use crate::item_kind::{Part, PartKind, looks_like_fn};
use crate::known::Attr;
use crate::model::Shape;
use crate::options::{self, Options};
use crate::report::{Report, one_of};

/// `#[traced]`, on a function or an `impl` block.
pub(crate) fn traced(options: TokenStream, item: TokenStream) -> TokenStream {
    let options = in_parentheses("traced", options);
    match ItemImpl::parse(&item) {
        Some(Ok(block)) => traced_impl(&options, block),
        Some(Err(error)) => {
            let report = Report::default();
            report.push(error);
            fallback::with_item(report, item)
        }
        None => function(Attr::Traced, options, item),
    }
}

/// `#[traced_spawn]`.
pub(crate) fn traced_spawn(options: TokenStream, item: TokenStream) -> TokenStream {
    let options = in_parentheses("traced_spawn", options);
    function(Attr::TracedSpawn, options, item)
}

/// `#[biz_tags]`. If it is combined with one of the others, they are expanded together.
pub(crate) fn biz_tags(tags: TokenStream, item: TokenStream) -> TokenStream {
    if is_name_value("biz_tags") {
        return item;
    }
    let report = Report::default();
    let Some(mut function) = parse_function(&item, "#[biz_tags]", &report) else {
        return fallback::instead_of_function(report, item);
    };
    if let Some(last) = siblings::last_unresolved(&function) {
        return siblings::give_way(function, last, "biz_tags", &tags);
    }
    let mut biz = BizTags::default();
    biz.parse(tags, TokenStream::new(), &report);
    let spans = siblings::take(&mut function, &mut biz, &report);
    match siblings::one_span(spans, None, &report) {
        Some((attr, options)) => span(attr, options, biz, function, report),
        None => tags_alone(biz, function, report),
    }
}

/// The options, unless they are a value behind `=`.
fn in_parentheses(attribute: &str, options: TokenStream) -> TokenStream {
    if is_name_value(attribute) { TokenStream::new() } else { options }
}

/// Whether the attribute is written as `#[name = value]`. The compiler reports that, and passes the value as the options.
fn is_name_value(attribute: &str) -> bool {
    let Some(text) = Span::call_site().source_text() else { return false };
    let meta = text.strip_prefix("#[").and_then(|text| text.strip_suffix(']')).unwrap_or(&text);
    if !meta.split(['(', '[', '{']).next().is_some_and(|start| start.contains('=')) {
        return false;
    }
    let parser = |input: ParseStream<'_>| {
        let path = input.call(Path::parse_mod_style)?;
        // Tokens from another macro may have any location.
        let found = input.peek(Token![=]) && path.segments.last().is_some_and(|last| last.ident == attribute);
        input.parse::<TokenStream>()?;
        Ok(found)
    };
    parser.parse_str(meta).unwrap_or(false)
}

fn tags_alone(biz: BizTags, function: ItemFn, report: Report) -> TokenStream {
    let copy = function.clone();
    let tagged = check::biz_tags(biz.krate.as_ref(), biz.tags, function, &report);
    if report.is_empty() && !copy.has_unsized() {
        traced::print_tagged(tagged)
    } else {
        fallback::with_item(report, fallback::unchanged(copy))
    }
}

fn function(attr: Attr, options: TokenStream, item: TokenStream) -> TokenStream {
    let report = Report::default();
    let name = if attr == Attr::Traced { "traced" } else { "traced_spawn" };
    let Some(mut function) = parse_function(&item, &format!("#[{name}]"), &report) else {
        return fallback::instead_of_function(report, item);
    };
    if let Some(last) = siblings::last_unresolved(&function) {
        return siblings::give_way(function, last, name, &options);
    }
    let options = options::parse(attr, options, &report);
    let mut biz = BizTags::default();
    let spans = siblings::take(&mut function, &mut biz, &report);
    match siblings::one_span(spans, Some((attr, options)), &report) {
        Some((attr, options)) => span(attr, options, biz, function, report),
        // A method that is excluded from its traced block.
        None if biz.tags.is_empty() => fallback::with_item(report, function),
        None => tags_alone(biz, function, report),
    }
}

fn span(attr: Attr, mut options: Options, biz: BizTags, function: ItemFn, report: Report) -> TokenStream {
    options.adopt(biz.krate, &biz.tags, function.may_fail());
    let copy = function.clone();
    let model = match attr {
        Attr::Traced => check::traced(options, biz.tags, function, &report),
        Attr::TracedSpawn => check::traced_spawn(options, biz.tags, function, &report),
    };
    let is_unsized = copy.has_unsized();
    if report.is_empty() && !is_unsized {
        return traced::print(model);
    }
    let item = match &model.shape {
        // Not for a method of `#[async_trait]` or `main`, nor where the type of the value would have to be inferred.
        Shape::Spawn(spawn)
            if !check::is_of_async_trait(&copy)
                && !check::is_entry_point(&copy)
                && !is_opaque(&copy)
                && !is_unsized =>
        {
            traced_spawn::stand_in(copy, &spawn.place, &model.runtime)
        }
        _ => fallback::unchanged(copy),
    };
    fallback::with_item(report, item)
}

fn is_opaque(function: &ItemFn) -> bool {
    mentions(&function.sig.output.to_token_stream(), &Ident::new("impl", Span::call_site()))
}

fn parse_function(item: &TokenStream, attribute: &str, report: &Report) -> Option<ItemFn> {
    match ItemFn::parse(item.clone()) {
        Ok(function) => Some(function),
        Err(error) if looks_like_fn(ungroup(item.clone())) => {
            let message = format!("`{attribute}` does not understand this function: {error}");
            report.push(syn::Error::new(error.span(), message));
            None
        }
        Err(error) => {
            let places = if attribute == "#[traced]" { "a function or an `impl` block" } else { "a function" };
            let (span, found) = match Part::of(item) {
                Some(part) => (part.span, format!("found {}{}", part.name(), instead(attribute, &part))),
                None => (error.span(), error.to_string()),
            };
            report.push(syn::Error::new(span, format!("`{attribute}` can only be applied to {places}, {found}")));
            None
        }
    }
}

/// What to write instead of the attribute on a part of a function.
fn instead(attribute: &str, part: &Part) -> String {
    let is_async = matches!(part.kind, PartKind::Async);
    let call = match (attribute, is_async) {
        ("#[traced]", false) => "in_span(\"name\", || …)",
        ("#[traced]", true) => "in_span_async(\"name\", async { … })",
        ("#[biz_tags]", false) => "in_tags(&[…], || …)",
        ("#[biz_tags]", true) => "in_tags_async(&[…], async { … })",
        _ => "spawn(async { … })",
    };
    format!("; for a part of a function, call `throughline::{call}`")
}

/// Every method gets its span; the options of the block are the defaults of all.
fn traced_impl(block_options: &TokenStream, block: ItemImpl) -> TokenStream {
    let report = Report::default();
    let probe = options::parse(Attr::Traced, block_options.clone(), &report);
    let of_one: [(&str, Option<&syn::Ident>); 7] = [
        ("name", probe.name.as_ref().map(|option| &option.key)),
        ("parent", probe.parent.as_ref().map(|option| &option.key)),
        ("link", probe.link.as_ref().map(|option| &option.key)),
        ("links", probe.links.as_ref().map(|option| &option.key)),
        ("ret", probe.ret.as_ref().map(|option| &option.key)),
        ("stream", probe.stream.as_ref().map(|option| &option.key)),
        ("skip", probe.skip.as_ref().map(|option| &option.key)),
    ];
    for (name, key) in of_one {
        if let Some(key) = key {
            let message = format!(
                "`{name}` is not allowed on an `impl` block, only on a method; {}",
                one_of(&["kind", "root", "tags", "err", "cancel", "crate"])
            );
            report.error(key, message);
        }
    }
    let home = block.self_type.map(|ident| quote!(__home = #ident,));
    let may_borrow = block.parsed.map(|header| {
        let names = check::may_borrow(&header);
        quote!(__may_borrow(#(#names),*),)
    });
    let home = quote!(#home #may_borrow);
    let mut members = TokenStream::new();
    for member in block.members {
        members.extend(match member {
            Member::Fn(tokens) => siblings::method(tokens, block_options, &home, report.is_empty()),
            Member::Other(tokens) => tokens,
        });
    }
    let mut braces = Group::new(block.braces.delimiter(), members);
    braces.set_span(block.braces.span());
    let (errors, header) = (report.into_tokens(), block.header);
    quote!(#errors #header #braces)
}
