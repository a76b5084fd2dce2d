//! One tag, as it is written in `#[biz_tags(…)]` and in `tags(…)`.

use std::collections::HashSet;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, LitStr, Result, Token, parenthesized, token};

use crate::foreign::is_empty_field;
use crate::report::Report;
use crate::shown::shown;

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
    pub(crate) fn from_name(name: &str) -> Option<Self> {
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

/// Parses a list of tags. An error in one does not hide errors in the next.
pub(crate) fn list(input: ParseStream<'_>, report: &Report) -> Vec<Tag> {
    let mut tags = Vec::new();
    entries(input, &mut Vec::new(), &mut tags, report);
    let mut seen = HashSet::new();
    for tag in &tags {
        if !seen.insert(tag.key.as_str()) {
            report.push(Error::new(tag.key_span, format!("duplicate tag `{}`; remove one", tag.key)));
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
                    report.push(Error::new(error.span(), instead_of_comma(input, is_group(&fork))));
                    skip_entry(input);
                }
            }
            Err(error) => {
                report.push(error);
                // If parsing stopped before the comma, continue after it.
                if input.cursor() == fork.cursor() {
                    let _ = input.parse::<TokenTree>();
                }
                skip_entry(input);
            }
        }
    }
}

fn is_group(input: ParseStream<'_>) -> bool {
    input.peek(syn::Ident) && input.peek2(token::Paren)
}

/// The error for what follows a tag, or a modifier with its tags.
fn instead_of_comma(input: ParseStream<'_>, is_behind_group: bool) -> String {
    let next = input.fork().call(Ident::parse_any).map(|next| next.to_string()).unwrap_or_default();
    if next == "else" && is_behind_group {
        return "`else` belongs to a tag inside the modifier: `hash(user_id = user else \"anonymous\")`".to_owned();
    }
    if ["or", "default", "unwrap_or"].contains(&next.as_str()) {
        return "a fallback is written with `else`: `tenant_id = tenant else \"unknown\"`".to_owned();
    }
    match Modifier::from_name(&next) {
        Some(modifier) => format!("a modifier wraps the tag: `{}(tenant_id)`", modifier.name()),
        None => "expected `,` between tags".to_owned(),
    }
}

/// Skips past the next comma.
pub(crate) fn skip_entry(input: ParseStream<'_>) {
    while !input.is_empty() {
        if input.parse::<Option<Token![,]>>().is_ok_and(|comma| comma.is_some()) {
            return;
        }
        let _ = input.parse::<TokenTree>();
    }
}

fn entry(input: ParseStream<'_>, around: &mut Vec<Modifier>, tags: &mut Vec<Tag>, report: &Report) -> Result<()> {
    if is_group(input) {
        let name: Ident = input.parse()?;
        let Some(modifier) = Modifier::from_name(&name.to_string()) else {
            let known = ["required", "hash", "mask", "propagate"];
            let message = match crate::report::nearest(&name.to_string(), known) {
                _ if name == "tags" || name == "fields" => {
                    format!("tags are listed without `{name}(…)` here: `#[biz_tags(tenant_id)]`")
                }
                _ if name == "skip" => "only what is listed becomes a tag; remove `skip(…)`".to_owned(),
                Some(near) => format!("unknown modifier `{name}`; did you mean `{near}`?"),
                None => format!("an expression needs a tag name: `name = {name}(…)`"),
            };
            return Err(Error::new(name.span(), message));
        };
        let inner;
        let parens = parenthesized!(inner in input);
        if inner.is_empty() {
            return Err(Error::new(parens.span.join(), format!("`{name}` wraps tags: `{name}(tenant_id)`")));
        }
        if around.contains(&modifier) {
            report.error(&name, format_args!("duplicate modifier `{name}`; remove one"));
        }
        for (one, other) in [(Modifier::Hash, Modifier::Mask), (Modifier::Mask, Modifier::Hash)] {
            if modifier == one && around.contains(&other) {
                let message = format!(
                    "`{name}` conflicts with `{}`: a value can be hashed or masked, but not both",
                    other.name()
                );
                report.error(&name, message);
            }
        }
        around.push(modifier);
        entries(&inner, around, tags, report);
        around.pop();
        return Ok(());
    }
    if let Some(modifier) = without_parentheses(input) {
        return Err(input.error(format!("a modifier wraps tags: `{}(tenant_id)`", modifier.name())));
    }
    tags.push(Tag { modifiers: around.clone(), ..input.parse()? });
    Ok(())
}

/// The modifier in `hash tenant_id`, `hash %tenant_id` or `hash!(tenant_id)`.
fn without_parentheses(input: ParseStream<'_>) -> Option<Modifier> {
    let is_followed = input.peek2(syn::Ident)
        || input.peek2(Token![self])
        || input.peek2(LitStr)
        || input.peek2(token::Bracket)
        || input.peek2(token::Brace)
        || input.peek2(Token![!]) && input.peek3(token::Paren);
    let name: Ident = input.fork().parse().ok().filter(|_| is_followed)?;
    Modifier::from_name(&name.to_string())
}

impl Parse for Tag {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        // `written` is the key as it was written.
        let (key, written, key_span, named) = if input.peek(LitStr) {
            let literal: LitStr = input.parse()?;
            (literal.value(), literal.token().to_string(), literal.span(), true)
        } else if input.peek(syn::Ident::peek_any) && follows_key(input) {
            let ident = input.call(Ident::parse_any)?;
            if ident == "crate" {
                return Err(Error::new(
                    ident.span(),
                    "`crate = path` is not a tag, and comes first in `#[biz_tags(…)]`; for a tag of this name, write `\"crate\" = value`",
                ));
            }
            (ident.unraw().to_string(), ident.to_string(), ident.span(), true)
        } else {
            (String::new(), "name".to_owned(), input.span(), false)
        };
        let no_value = || Error::new(key_span, format!("the tag `{written}` needs a value: `{written} = value`"));
        if named {
            if let Some(error) = other_sign(&written, input)? {
                return Err(error);
            }
            if input.parse::<Option<Token![=]>>()?.is_none() {
                return Err(no_value());
            }
            if key.is_empty() || key.chars().any(|c| c.is_whitespace() || c.is_control()) {
                return Err(Error::new(
                    key_span,
                    "a tag key must not be empty or contain spaces: `\"biz.order_no\" = value`",
                ));
            }
        }

        let through = if input.parse::<Option<Token![%]>>()?.is_some() {
            Through::Display
        } else if input.parse::<Option<Token![?]>>()?.is_some() {
            Through::Debug
        } else {
            Through::Value
        };
        let converts = !matches!(through, Through::Value);
        if converts && (input.peek(Token![%]) || input.peek(Token![?])) {
            return Err(input.error("a value has a single conversion: `%tenant_id` or `?tenant_id`"));
        }
        if input.is_empty() || input.peek(Token![,]) {
            return Err(match (named, through) {
                (true, _) => no_value(),
                (false, Through::Value) => {
                    Error::new(key_span, "expected a tag: the name of an argument, or `name = value`")
                }
                (false, _) => Error::new(key_span, "expected an argument to convert: `%tenant_id` or `?tenant_id`"),
            });
        }
        let value = expr(input)?;
        let fallback = match input.parse::<Option<Token![else]>>()? {
            Some(token) if input.is_empty() || input.peek(Token![,]) => {
                return Err(Error::new(token.span, "`else` needs a value: `tenant_id = tenant else \"unknown\"`"));
            }
            Some(token) if converts => {
                return Err(Error::new(token.span, formatted(named.then_some(written.as_str()), &value, through)));
            }
            Some(_) => Some(expr(input)?),
            None => None,
        };

        if named && is_empty_field(&value) {
            return Err(Error::new_spanned(
                &value,
                format!(
                    "a tag has its value when the span starts; remove `{written}`, and call \
                     `throughline::record(\"{key}\", value)` once the value is known"
                ),
            ));
        }
        if let (Expr::Assign(assign), false, true) = (&value, named, converts) {
            if let Some(key) = simple_ident(&assign.left) {
                let sign = if matches!(through, Through::Display) { '%' } else { '?' };
                let message = format!("a conversion stands before the value: `{key} = {sign}{}`", shown(&assign.right));
                return Err(Error::new_spanned(assign, message));
            }
        }
        if let Expr::Assign(assign) = &value {
            return Err(Error::new_spanned(
                &assign.left,
                "a tag key is an identifier, or a string literal if it contains dots: `\"biz.order_no\" = value`",
            ));
        }
        if let Some(modifier) = called_modifier(&value) {
            return Err(Error::new_spanned(
                &value,
                format!("a modifier wraps the tag, not its value: `{modifier}({written} = …)`"),
            ));
        }
        let (key, key_span, source) = if named {
            (key, key_span, Source::Expr(value))
        } else {
            let ident = simple_ident(&value).ok_or_else(|| Error::new_spanned(&value, without_name(&value)))?;
            (ident.unraw().to_string(), ident.span(), Source::Argument(ident))
        };
        Ok(Self { key, key_span, source, through, fallback, modifiers: Vec::new() })
    }
}

/// Whether the first identifier is a key, judging by the next token, which may be a wrong separator.
fn follows_key(input: ParseStream<'_>) -> bool {
    let is_assigned = input.peek2(Token![=]) && !input.peek2(Token![==]);
    is_assigned || input.peek2(Token![->]) || input.peek2(Token![:]) && !input.peek2(Token![::])
}

/// The error for `key: value`, `key => value`, `key -> value` and `key := value`.
fn other_sign(key: &str, input: ParseStream<'_>) -> Result<Option<Error>> {
    let sign = if input.peek(Token![=>]) {
        input.parse::<Token![=>]>()?.to_token_stream()
    } else if input.peek(Token![->]) {
        input.parse::<Token![->]>()?.to_token_stream()
    } else if input.peek(Token![:]) {
        let colon = input.parse::<Token![:]>()?;
        let equals = input.parse::<Option<Token![=]>>()?;
        quote!(#colon #equals)
    } else {
        return Ok(None);
    };
    let mut value = TokenStream::new();
    while !input.is_empty() && !input.peek(Token![,]) {
        value.extend([input.parse::<TokenTree>()?]);
    }
    let value = if value.is_empty() { "value".to_owned() } else { shown(value) };
    Ok(Some(Error::new_spanned(sign, format!("the value of a tag is written with `=`: `{key} = {value}`"))))
}

/// An expression; if it ends early, the error is reported at its start.
fn expr(input: ParseStream<'_>) -> Result<Expr> {
    let at = input.span();
    input
        .parse()
        .map_err(|error| if input.is_empty() { Error::new(at, "expected a complete expression") } else { error })
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

/// The error for an expression that is not the name of an argument.
fn without_name(value: &Expr) -> String {
    if let Expr::MethodCall(call) = value {
        if let (Some(modifier), Some(of)) =
            (Modifier::from_name(&call.method.to_string()), simple_ident(&call.receiver))
        {
            return format!("a modifier wraps the tag: `{}({of})`", modifier.name());
        }
    }
    if let Expr::Field(syn::ExprField { member: syn::Member::Named(name), .. }) = value {
        return format!("an expression needs a tag name: `{name} = {}`", shown(value));
    }
    "an expression needs a tag name: `name = expression`".to_owned()
}

/// The error for `else` after a value that is formatted. `key` is `None` if the tag is named after its argument.
fn formatted(key: Option<&str>, value: &Expr, through: Through) -> String {
    let (sign, function) = if matches!(through, Through::Display) { ('%', "display") } else { ('?', "debug") };
    let argument = || simple_ident(value).map(|ident| ident.to_string());
    let key = key.map(str::to_owned).or_else(argument).unwrap_or_else(|| "name".to_owned());
    format!(
        "`else` is a default for `None`, and `{sign}` makes text of any value; format inside of the `Option`: `{key} = {}.as_ref().map(throughline::{function}) else …`",
        shown(value)
    )
}

fn called_modifier(value: &Expr) -> Option<&'static str> {
    let Expr::Call(call) = value else { return None };
    let name = simple_ident(&call.func)?;
    Modifier::from_name(&name.to_string()).map(Modifier::name)
}

#[cfg(test)]
mod tests;
