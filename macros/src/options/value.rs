//! The values of options.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::{Error, Expr, ExprLit, Lit, Path, Result, Token};

use crate::known::KINDS;
use crate::report::{expected, one_of};
use crate::shown::shown;

#[derive(Clone, Copy, Default)]
pub(crate) enum ErrMode {
    Off,
    #[default]
    Display,
    Debug,
    /// Like `Display`, and logged.
    Log,
}

#[derive(Clone, Copy)]
pub(crate) enum RetMode {
    Value,
    Debug,
}

/// `kind = server`, after the key.
pub(super) fn kind(input: ParseStream<'_>, key: &Ident) -> Result<&'static str> {
    let first = word(input, key, "kind = server")?;
    // `SpanKind::Server` is not accepted, but shows which kind is meant.
    let path = if input.peek(Token![::]) { rest(input)? } else { TokenStream::new() };
    let meant = path.clone().into_iter().last().map_or_else(|| first.to_string(), |last| last.to_string());
    let found = KINDS.iter().find(|(word, _)| first == word && path.is_empty());
    found.map(|(_, variant)| *variant).ok_or_else(|| {
        let names: Vec<_> = KINDS.iter().map(|(word, _)| *word).collect();
        let written = quote!(#first #path);
        let message = format!("unknown span kind `{}`; {}", shown(&written), expected(&meant, &names));
        Error::new_spanned(written, message)
    })
}

/// `err = debug`, after the key.
pub(super) fn err(input: ParseStream<'_>, key: &Ident) -> Result<ErrMode> {
    let mode = word(input, key, "err = debug")?;
    match mode.to_string().as_str() {
        "off" => Ok(ErrMode::Off),
        "display" => Ok(ErrMode::Display),
        "debug" => Ok(ErrMode::Debug),
        "log" => Ok(ErrMode::Log),
        _ => Err(Error::new(
            mode.span(),
            format!("unknown mode `{mode}`; {}", expected(&mode.to_string(), &["off", "display", "debug", "log"])),
        )),
    }
}

/// `cancel = off`, after the key: whether cancellation is recorded.
pub(super) fn cancel(input: ParseStream<'_>, key: &Ident) -> Result<bool> {
    let mode = word(input, key, "cancel = off")?;
    match mode.to_string().as_str() {
        "off" => Ok(false),
        "on" => Ok(true),
        word => Err(Error::new(mode.span(), format!("unknown mode `{word}`; {}", one_of(&["off", "on"])))),
    }
}

/// `ret` or `ret = debug`, after the key.
pub(super) fn ret(input: ParseStream<'_>, key: &Ident) -> Result<RetMode> {
    if !input.peek(Token![=]) {
        return Ok(RetMode::Value);
    }
    let written = word(input, key, "ret = debug")?;
    if written == "debug" {
        return Ok(RetMode::Debug);
    }
    Err(Error::new(written.span(), format!("unknown mode `{written}`; write `ret` or `ret = debug`")))
}

/// `crate = path`, after the key.
pub(crate) fn krate(input: ParseStream<'_>, key: &Ident) -> Result<Path> {
    let wrong = || "`crate` takes the path to the runtime crate: `crate = ::my_crate::throughline`".to_owned();
    if !input.peek(Token![=]) {
        return Err(Error::new(key.span(), wrong()));
    }
    input.parse::<Token![=]>()?;
    let at = input.span();
    input.call(Path::parse_mod_style).map_err(|_| Error::new(at, wrong()))
}

/// The tokens before the next comma.
pub(super) fn rest(input: ParseStream<'_>) -> Result<TokenStream> {
    let mut tokens = TokenStream::new();
    while !input.is_empty() && !input.peek(Token![,]) {
        tokens.extend([input.parse::<TokenTree>()?]);
    }
    Ok(tokens)
}

pub(super) fn value(input: ParseStream<'_>, key: &Ident, example: &str) -> Result<Expr> {
    equals(input, key, example)?;
    let start = input.fork();
    let value = input.parse().map_err(|error: Error| {
        // An error at the first token says what could be there, and not what the option takes.
        let is_first = input.is_empty() || input.cursor() == start.cursor() || start.peek(Token![#]);
        if is_first { start.error(format!("expected an expression: `{example}`")) } else { error }
    })?;
    // Otherwise, a mistake after the value would also cause errors about the value.
    comma(input).map(|()| value)
}

/// Expects the end of an option.
pub(super) fn comma(input: ParseStream<'_>) -> Result<()> {
    if input.is_empty() || input.peek(Token![,]) {
        return Ok(());
    }
    if input.peek(Token![else]) {
        return Err(input.error("`else` gives a tag a default, and an option has none; remove it"));
    }
    Err(input.error("expected `,` between options"))
}

fn equals(input: ParseStream<'_>, key: &Ident, example: &str) -> Result<()> {
    if !input.peek(Token![=]) {
        return Err(Error::new(key.span(), format!("`{key}` needs a value: `{example}`")));
    }
    input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(Error::new(key.span(), format!("`{key}` needs a value: `{example}`")));
    }
    Ok(())
}

fn word(input: ParseStream<'_>, key: &Ident, example: &str) -> Result<Ident> {
    equals(input, key, example)?;
    let at: Span = input.span();
    input
        .call(Ident::parse_any)
        .map_err(|_| Error::new(at, format!("`{key}` takes an identifier without quotes: `{example}`")))
}

pub(super) fn checked_name(value: Expr) -> Result<Expr> {
    match &value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if text.value().trim().is_empty() => {
            Err(Error::new_spanned(&value, "the span name is empty; describe the operation: `name = \"place order\"`"))
        }
        Expr::Macro(made) if made.mac.path.is_ident("format") => Err(Error::new_spanned(
            &value,
            "the span name must be a constant; record variable parts as tags: `tags(order_no)`",
        )),
        Expr::Lit(ExprLit { lit: Lit::Str(_), .. }) | Expr::Path(_) | Expr::Macro(_) => Ok(value),
        Expr::Group(group) => checked_name((*group.expr).clone()),
        _ => Err(Error::new_spanned(
            &value,
            "`name` takes a string literal or the path of a `const`: `name = \"place order\"`",
        )),
    }
}
