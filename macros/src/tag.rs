//! One tag, as it is written in `#[biz_tags(…)]` and in `tags(…)`.

use std::collections::HashSet;

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned as _;
use syn::{Error, Expr, LitStr, Result, Token, parenthesized, token};

use crate::report::Report;

/// A tag with all the modifiers around it.
#[derive(Clone)]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) source: Source,
    pub(crate) through: Through,
    pub(crate) fallback: Option<Expr>,
    pub(crate) modifiers: Vec<Modifier>,
}

/// Where the value comes from.
#[derive(Clone)]
pub(crate) enum Source {
    /// The argument of the tag's own name.
    Argument(Ident),
    Expr(Expr),
}

/// How the value is converted.
#[derive(Clone, Copy)]
pub(crate) enum Through {
    Value,
    Display,
    Debug,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Modifier {
    Required,
    Hash,
    Mask,
    Propagate,
}

impl Modifier {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "required" => Self::Required,
            "hash" => Self::Hash,
            "mask" => Self::Mask,
            "propagate" => Self::Propagate,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Hash => "hash",
            Self::Mask => "mask",
            Self::Propagate => "propagate",
        }
    }
}

/// Parses a list of tags. What is wrong with one does not hide the next.
pub(crate) fn list(input: ParseStream<'_>, report: &Report) -> Vec<Tag> {
    let mut tags = Vec::new();
    entries(input, &mut Vec::new(), &mut tags, report);
    let mut seen = HashSet::new();
    for tag in &tags {
        if !seen.insert(tag.key.as_str()) {
            report.push(Error::new(tag.key_span, format!("duplicate tag `{}`", tag.key)));
        }
    }
    tags
}

fn entries(input: ParseStream<'_>, around: &mut Vec<Modifier>, tags: &mut Vec<Tag>, report: &Report) {
    while !input.is_empty() {
        let fork = input.fork();
        match entry(input, around, tags, report) {
            Ok(()) => {
                if input.is_empty() {
                    break;
                }
                if let Err(error) = input.parse::<Token![,]>() {
                    report.push(Error::new(error.span(), "expected `,` between tags"));
                    skip_entry(input);
                }
            }
            Err(error) => {
                report.push(error);
                // Where the entry has not got past its comma, go on after it.
                if input.cursor() == fork.cursor() {
                    let _ = input.parse::<proc_macro2::TokenTree>();
                }
                skip_entry(input);
            }
        }
    }
}

/// Skips to behind the next comma.
pub(crate) fn skip_entry(input: ParseStream<'_>) {
    while !input.is_empty() {
        if input.parse::<Option<Token![,]>>().is_ok_and(|comma| comma.is_some()) {
            return;
        }
        let _ = input.parse::<proc_macro2::TokenTree>();
    }
}

fn entry(input: ParseStream<'_>, around: &mut Vec<Modifier>, tags: &mut Vec<Tag>, report: &Report) -> Result<()> {
    if input.peek(syn::Ident) && input.peek2(token::Paren) {
        let name: Ident = input.parse()?;
        let Some(modifier) = Modifier::from_name(&name.to_string()) else {
            let known = ["required", "hash", "mask", "propagate"];
            let message = match crate::report::nearest(&name.to_string(), known) {
                Some(near) => format!("unknown modifier `{name}`; did you mean `{near}`?"),
                None => format!("a tag of an expression needs a name: `name = {name}(…)`"),
            };
            return Err(Error::new(name.span(), message));
        };
        let inner;
        let parens = parenthesized!(inner in input);
        if inner.is_empty() {
            return Err(Error::new(parens.span.join(), format!("`{name}` wraps tags: `{name}(tenant_id)`")));
        }
        if around.contains(&modifier) {
            report.error(&name, format_args!("duplicate modifier `{name}`"));
        }
        for (one, other) in [(Modifier::Hash, Modifier::Mask), (Modifier::Mask, Modifier::Hash)] {
            if modifier == one && around.contains(&other) {
                let message = format!("`{name}` conflicts with `{}`: a value is either hashed or masked", other.name());
                report.error(&name, message);
            }
        }
        around.push(modifier);
        entries(&inner, around, tags, report);
        around.pop();
        return Ok(());
    }
    tags.push(Tag { modifiers: around.clone(), ..input.parse()? });
    Ok(())
}

impl Parse for Tag {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let (key, key_span, named) = if input.peek(LitStr) {
            let literal: LitStr = input.parse()?;
            if !input.peek(Token![=]) {
                return Err(Error::new(literal.span(), format!("the tag {} needs a value: `{0} = value`", quoted(&literal))));
            }
            (literal.value(), literal.span(), true)
        } else if input.peek(syn::Ident::peek_any) && input.peek2(Token![=]) && !input.peek2(Token![==]) {
            let ident = input.call(Ident::parse_any)?;
            (ident.unraw().to_string(), ident.span(), true)
        } else {
            (String::new(), input.span(), false)
        };
        if named {
            input.parse::<Token![=]>()?;
            if key.is_empty() || key.chars().any(|c| c.is_whitespace() || c.is_control()) {
                return Err(Error::new(key_span, "the key of a tag is neither empty nor has it spaces: `\"biz.order_no\"`"));
            }
        }

        let through = if input.parse::<Option<Token![%]>>()?.is_some() {
            Through::Display
        } else if input.parse::<Option<Token![?]>>()?.is_some() {
            Through::Debug
        } else {
            Through::Value
        };
        if input.is_empty() || input.peek(Token![,]) {
            return Err(input.error("expected the value of a tag"));
        }
        let value: Expr = input.parse()?;
        let fallback = if input.parse::<Option<Token![else]>>()?.is_some() { Some(input.parse()?) } else { None };

        if let Some(modifier) = called_modifier(&value) {
            let shown = if named { key.as_str() } else { "name" };
            return Err(Error::new_spanned(&value, format!("a modifier wraps the tag, not its value: `{modifier}({shown} = …)`")));
        }
        let (key, key_span, source) = if named {
            (key, key_span, Source::Expr(value))
        } else {
            let ident = simple_ident(&value)
                .ok_or_else(|| Error::new(value.span(), "a tag of an expression needs a name: `name = expression`"))?;
            (ident.unraw().to_string(), ident.span(), Source::Argument(ident))
        };
        Ok(Self { key, key_span, source, through, fallback, modifiers: Vec::new() })
    }
}

fn quoted(literal: &LitStr) -> String {
    format!("\"{}\"", literal.value())
}

/// `value` as the name of an argument.
fn simple_ident(value: &Expr) -> Option<Ident> {
    match value {
        Expr::Path(path) if path.attrs.is_empty() && path.qself.is_none() => {
            path.path.get_ident().filter(|ident| *ident != "self").cloned()
        }
        Expr::Group(group) => simple_ident(&group.expr),
        _ => None,
    }
}

fn called_modifier(value: &Expr) -> Option<&'static str> {
    let Expr::Call(call) = value else { return None };
    let name = simple_ident(&call.func)?;
    Modifier::from_name(&name.to_string()).map(Modifier::name)
}
