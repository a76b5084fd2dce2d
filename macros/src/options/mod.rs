//! Options, each with the span of its key.

mod value;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::discouraged::Speculative as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Error, Expr, ExprLit, Lit, LitStr, Path, Result, Token, parenthesized, token};

pub(crate) use self::value::{ErrMode, RetMode, krate};
use self::value::{cancel, checked_name, comma, err, kind, rest, ret, value};
use crate::foreign;
use crate::known::{Attr, TRACED, TRACED_SPAWN};
use crate::report::Report;
use crate::tag::{self, Tag};
use crate::unknown;

/// What was written for one option, and where.
pub(crate) struct Spanned<T> {
    pub(crate) key: Ident,
    pub(crate) value: T,
}

/// The options of `#[traced]` and `#[traced_spawn]` as they were written.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<Spanned<Expr>>,
    pub(crate) kind: Option<Spanned<&'static str>>,
    pub(crate) parent: Option<Spanned<Expr>>,
    pub(crate) link: Option<Spanned<Expr>>,
    pub(crate) links: Option<Spanned<Expr>>,
    pub(crate) root: Option<Spanned<()>>,
    pub(crate) tags: Option<Spanned<Vec<Tag>>>,
    pub(crate) err: Option<Spanned<ErrMode>>,
    pub(crate) ret: Option<Spanned<RetMode>>,
    /// Whether cancellation is recorded.
    pub(crate) cancel: Option<Spanned<bool>>,
    /// The same option of the `impl` block around the method, which is allowed on a method that cannot be cancelled.
    pub(crate) cancel_of_block: Option<Spanned<bool>>,
    pub(crate) krate: Option<Spanned<Path>>,
    pub(crate) stream: Option<Spanned<()>>,
    pub(crate) skip: Option<Spanned<()>>,
    /// `link` without a value: the mode of a detached job.
    pub(crate) link_mode: Option<Spanned<()>>,
    pub(crate) blocking: Option<Spanned<()>>,
    pub(crate) thread: Option<Spanned<()>>,
    pub(crate) local: Option<Spanned<()>>,
    pub(crate) on: Option<Spanned<Expr>>,
    /// The type of the annotated `impl` block around the method. Only generated code writes it.
    pub(crate) home: Option<Ident>,
    /// What may hold a borrow: type parameters of that block, and `Self` if its type has a lifetime.
    pub(crate) may_borrow: Option<Vec<Ident>>,
    /// The options of that block.
    pub(crate) block: Option<Box<Options>>,
    /// How many options were written.
    pub(crate) count: usize,
}

impl Options {
    /// Whether there is `skip`, and nothing else.
    pub(crate) fn only_skips(&self) -> bool {
        self.skip.is_some() && self.count == 1
    }

    /// Takes what is not set from the options of the `impl` block, and the runtime's path from a
    /// sibling attribute. `scoped` are the tags of the siblings, which override those of the block.
    pub(crate) fn adopt(&mut self, krate: Option<Path>, scoped: &[Tag], may_fail: bool) {
        let mut block = self.block.take().map(|block| *block).unwrap_or_default();
        if let Some(tags) = &mut block.tags {
            tags.value.retain(|tag| scoped.iter().all(|known| known.key != tag.key));
        }
        self.kind = self.kind.take().or(block.kind);
        // The block applies to all methods, including those that return no `Result`.
        self.err = self.err.take().or(block.err.filter(|_| may_fail));
        self.cancel_of_block = block.cancel;
        self.krate = self.krate.take().or(block.krate);
        if let (None, Some(value)) = (&self.krate, krate) {
            self.krate = Some(Spanned { key: Ident::new("biz_tags", Span::call_site()), value });
        }
        if self.parent.is_none() {
            self.root = self.root.take().or(block.root);
        }
        match (&mut self.tags, block.tags) {
            (Some(own), Some(block)) => {
                let known: Vec<_> = own.value.iter().map(|tag| tag.key.clone()).collect();
                own.value.extend(block.value.into_iter().filter(|tag| !known.contains(&tag.key)));
            }
            (None, block) => self.tags = block,
            (Some(_), None) => {}
        }
    }
}

/// Parses all options; an error in one does not hide errors in the next.
pub(crate) fn parse(attr: Attr, tokens: TokenStream, report: &Report) -> Options {
    let mut options = Options::default();
    let parsed = |input: ParseStream<'_>| {
        while !input.is_empty() {
            let before = input.cursor();
            let parsed = option(attr, input, &mut options, report).and_then(|()| {
                if input.is_empty() {
                    return Ok(());
                }
                comma(input)?;
                input.parse::<Token![,]>().map(drop)
            });
            if let Err(error) = parsed {
                report.push(error);
                if input.cursor() == before {
                    let _ = input.parse::<TokenTree>();
                }
                tag::skip_entry(input);
            }
        }
        Ok(())
    };
    if let Err(error) = parsed.parse2(tokens) {
        report.push(error);
    }
    options
}

/// Options that only generated code writes, about the `impl` block around a method.
fn generated(name: &str, attr: Attr, input: ParseStream<'_>, options: &mut Options) -> Result<bool> {
    match name {
        "__home" => {
            input.parse::<Token![=]>()?;
            options.home = Some(input.parse()?);
        }
        "__may_borrow" => {
            let inner;
            parenthesized!(inner in input);
            let names = inner.parse_terminated(Ident::parse_any, Token![,])?;
            options.may_borrow = Some(names.into_iter().collect());
        }
        "__block" => {
            let inner;
            parenthesized!(inner in input);
            // Errors in the block's options were reported at the block.
            options.block = Some(Box::new(parse(attr, inner.parse()?, &Report::default())));
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn option(attr: Attr, input: ParseStream<'_>, options: &mut Options, report: &Report) -> Result<()> {
    if let Some(error) = unknown::tag(&rest(&input.fork())?) {
        return Err(error);
    }
    if input.peek(LitStr) {
        let literal: LitStr = input.parse()?;
        let key = Ident::new("name", literal.span());
        options.count += 1;
        let value = checked_name(Expr::Lit(ExprLit { attrs: Vec::new(), lit: Lit::Str(literal) }))?;
        set(&mut options.name, key, value, report);
        return Ok(());
    }
    if !input.peek(Ident::peek_any) {
        return Err(input.error("expected an option, or the span name as a string literal"));
    }
    let key = input.call(Ident::parse_any)?;
    let name = key.to_string();
    if name.starts_with("__") && generated(&name, attr, input, options)? {
        return Ok(());
    }
    options.count += 1;
    let known = if attr == Attr::Traced { TRACED } else { TRACED_SPAWN };
    let is_known = known.contains(&name.as_str());
    // `#[instrument]` needs no comma between its options.
    let (listed, bare) = (input.peek(token::Paren) && input.peek2(Ident::peek_any), name == "skip_all");
    if listed || bare && input.peek(Ident::peek_any) {
        let ahead = input.fork();
        let list = if listed { ahead.parse::<TokenTree>()?.into() } else { TokenStream::new() };
        if let Some(error) = foreign::advice(&key, &list, is_known) {
            report.push(error);
            input.advance_to(&ahead);
            return option(attr, input, options, report);
        }
    }
    if let Some(error) = foreign::advice(&key, &rest(&input.fork())?, is_known) {
        return Err(error);
    }
    if !is_known {
        return Err(unknown::option(attr, &key, known, &rest(input)?));
    }
    match name.as_str() {
        "name" => {
            let value = checked_name(value(input, &key, "name = \"…\"")?)?;
            set(&mut options.name, key, value, report);
        }
        "kind" => {
            let variant = kind(input, &key)?;
            set(&mut options.kind, key, variant, report);
        }
        "err" => {
            let mode = err(input, &key)?;
            set(&mut options.err, key, mode, report);
        }
        "cancel" => {
            let recorded = cancel(input, &key)?;
            set(&mut options.cancel, key, recorded, report);
        }
        "ret" => {
            let mode = ret(input, &key)?;
            set(&mut options.ret, key, mode, report);
        }
        "parent" => set_expr(input, key, "parent = message", &mut options.parent, report)?,
        "link" if attr == Attr::TracedSpawn && !input.peek(Token![=]) => {
            set_flag(input, key, &mut options.link_mode, report)?;
        }
        "link" => set_expr(input, key, "link = message", &mut options.link, report)?,
        "links" => set_expr(input, key, "links = messages", &mut options.links, report)?,
        "on" => set_expr(input, key, "on = handle", &mut options.on, report)?,
        "root" => set_flag(input, key, &mut options.root, report)?,
        "stream" => set_flag(input, key, &mut options.stream, report)?,
        "skip" => set_flag(input, key, &mut options.skip, report)?,
        "blocking" => set_flag(input, key, &mut options.blocking, report)?,
        "thread" => set_flag(input, key, &mut options.thread, report)?,
        "local" => set_flag(input, key, &mut options.local, report)?,
        "tags" => {
            if !input.peek(token::Paren) {
                return Err(Error::new(key.span(), "`tags` takes a list: `tags(tenant_id, order_no = req.order_no)`"));
            }
            let inner;
            parenthesized!(inner in input);
            if inner.is_empty() {
                return Err(Error::new(key.span(), "`tags` needs at least one tag: `tags(tenant_id)`"));
            }
            let tags = tag::list(&inner, report);
            set(&mut options.tags, key, tags, report);
        }
        _ => {
            let path = krate(input, &key)?;
            set(&mut options.krate, key, path, report);
        }
    }
    Ok(())
}

fn set<T>(slot: &mut Option<Spanned<T>>, key: Ident, value: T, report: &Report) {
    if slot.is_some() {
        report.error(&key, format_args!("duplicate option `{key}`; remove one"));
    } else {
        *slot = Some(Spanned { key, value });
    }
}

/// An option without a value. If a value is given, the option still counts as set, to avoid follow-up
/// errors.
fn set_flag(input: ParseStream<'_>, key: Ident, slot: &mut Option<Spanned<()>>, report: &Report) -> Result<()> {
    if input.peek(Token![=]) || input.peek(token::Paren) || input.peek(token::Bracket) || input.peek(token::Brace) {
        report.error(rest(input)?, format_args!("`{key}` takes no value; write `{key}`"));
    }
    set(slot, key, (), report);
    Ok(())
}

fn set_expr(
    input: ParseStream<'_>,
    key: Ident,
    example: &str,
    slot: &mut Option<Spanned<Expr>>,
    report: &Report,
) -> Result<()> {
    let value = value(input, &key, example)?;
    set(slot, key, value, report);
    Ok(())
}

#[cfg(test)]
mod tests;
