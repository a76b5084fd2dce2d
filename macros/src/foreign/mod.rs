//! Options of `#[instrument]` and of fastrace's `#[trace]`, and their replacements.
//!
//! During a migration, many of them are reported by one run of the compiler, so each error shows the final form.

use proc_macro2::{Delimiter, Ident, Spacing, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, LitStr, Result, Token};

mod fields;

use self::fields::fields;
pub(crate) use self::fields::is_empty_field;
use crate::shown::shown;

/// The error for the option `key` followed by `rest`, if this is the syntax of another crate's attribute.
/// `known`: whether it is an option here too.
pub(crate) fn advice(key: &Ident, rest: &TokenStream, known: bool) -> Option<Error> {
    let written = shown(quote!(#key #rest));
    let name = key.to_string();
    let message = match (name.as_str(), Value::of(rest)) {
        ("skip", Value::List(_)) | ("skip_all", _) => {
            format!("arguments are not recorded unless they are tags; remove `{written}`")
        }
        ("fields", value) => fields(value),
        ("properties", value) => properties(value),
        ("level" | "target", _) => {
            format!("spans have no {name} and are not affected by log filters; remove `{written}`")
        }
        ("err", Value::Nothing) => format!("{RECORDED}; remove `err`, {OR_LOG}"),
        ("err", Value::List(list)) => err(list, &written)?,
        ("ret", Value::List(list)) => ret(list, &written)?,
        ("parent", Value::Is(value) | Value::Colon(value)) if is_none(&value) => {
            format!("a span without a parent is a root span; write `root` instead of `{written}`")
        }
        ("follows_from", Value::Is(value) | Value::Colon(value)) => {
            format!(
                "unknown option `follows_from`; write `links = {}`, with contexts instead of span IDs",
                shown(value)
            )
        }
        ("follows_from", _) => {
            "unknown option `follows_from`; write `links = …`, with contexts instead of span IDs".to_owned()
        }
        ("enter_on_poll", _) => format!("a future has a single span for all of its polls; remove `{written}`"),
        ("short_name", _) => format!("the default span name is the function name without its path; remove `{written}`"),
        ("async", _) => format!("`async` functions are detected; remove `{written}`"),
        (_, Value::Colon(value)) if known => is_written(&name, value),
        ("name" | "kind" | "parent" | "link" | "links" | "on" | "cancel" | "crate", Value::List(value))
            if known && !value.is_empty() =>
        {
            is_written(&name, value)
        }
        _ => return None,
    };
    Some(Error::new_spanned(quote!(#key #rest), message))
}

fn is_written(name: &str, value: TokenStream) -> String {
    format!("option values are written with `=`: `{name} = {}`", shown(value))
}

const RECORDED: &str = "an `Err` is always recorded on the span";
const OR_LOG: &str = "or write `err = log` to log it as well";

/// What follows the name of an option.
enum Value {
    Nothing,
    List(TokenStream),
    Is(TokenStream),
    /// With `:`, `=>`, `==` or `:=`.
    Colon(TokenStream),
    Other,
}

impl Value {
    fn of(rest: &TokenStream) -> Self {
        let mut tokens = rest.clone().into_iter();
        match tokens.next() {
            None => Self::Nothing,
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => Self::List(group.stream()),
            Some(TokenTree::Punct(sign)) if ['=', ':'].contains(&sign.as_char()) => {
                let mut value = tokens.clone();
                let second = match value.next() {
                    Some(TokenTree::Punct(second)) if sign.spacing() == Spacing::Joint => second.as_char(),
                    _ => ' ',
                };
                match (sign.as_char(), second) {
                    ('=', '>' | '=') | (':', '=') => Self::Colon(value.collect()),
                    ('=', _) => Self::Is(tokens.collect()),
                    (_, ':') => Self::Other,
                    _ => Self::Colon(tokens.collect()),
                }
            }
            Some(_) => Self::Other,
        }
    }
}

/// `None`, `Span::none()`.
fn is_none(value: &TokenStream) -> bool {
    let (path, name) = match syn::parse2(value.clone()) {
        Ok(Expr::Path(it)) => (it.path, "None"),
        Ok(Expr::Call(call)) if call.args.is_empty() => match *call.func {
            Expr::Path(it) => (it.path, "none"),
            _ => return false,
        },
        _ => return false,
    };
    path.segments.last().is_some_and(|last| last.ident == name)
}

/// `err(Debug)`, `err(level = "info", Display)`.
fn err(list: TokenStream, written: &str) -> Option<String> {
    Some(match mode(list).ok()?.as_deref() {
        None => format!("spans have no level, and {RECORDED}; remove `{written}`, {OR_LOG}"),
        Some("display") => format!("{RECORDED}, through `Display`; remove `{written}`, {OR_LOG}"),
        Some(mode) => format!("the mode is written with `=`: write `err = {mode}` instead of `{written}`"),
    })
}

/// `ret(Debug)`, `ret(level = "info", Display)`.
fn ret(list: TokenStream, written: &str) -> Option<String> {
    Some(match mode(list).ok()?.as_deref() {
        None => format!("spans have no level; write `ret` instead of `{written}`"),
        Some("display") => {
            format!("values are recorded as attributes of their type; write `ret` instead of `{written}`")
        }
        Some(mode) => format!("the mode is written with `=`: write `ret = {mode}` instead of `{written}`"),
    })
}

/// The mode in such a list, if it contains one in addition to the level.
///
/// # Errors
///
/// Returns an error if the list has another form.
fn mode(list: TokenStream) -> Result<Option<String>> {
    let words = entries::<Entry>(list)?.into_iter().filter_map(|entry| match entry {
        Entry::Word(word) => Some(word.to_string().to_lowercase()),
        Entry::Level => None,
    });
    Ok(words.last())
}

enum Entry {
    Word(Ident),
    Level,
}

impl Parse for Entry {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let word = input.call(Ident::parse_any)?;
        if word != "level" {
            return Ok(Self::Word(word));
        }
        input.parse::<Token![=]>()?;
        input.parse::<Expr>()?;
        Ok(Self::Level)
    }
}

/// `properties = { "order_no": "{order_no}", "by": "us" }`.
fn properties(value: Value) -> String {
    let properties = match value {
        Value::Is(map) => match map.into_iter().next() {
            Some(TokenTree::Group(group)) => entries::<Property>(group.stream()).ok(),
            _ => None,
        },
        _ => None,
    };
    let tags: Vec<_> = properties.iter().flatten().map(Property::as_tag).collect();
    match (&properties, tags.join(", ")) {
        (Some(_), tags) if !tags.is_empty() => format!(
            "unknown option `properties`; write `tags({tags})`, or `#[biz_tags({tags})]` below if child spans and log \
             lines should have them too"
        ),
        (Some(_), _) => "unknown option `properties`; remove it".to_owned(),
        (None, _) => "unknown option `properties`; write `tags(order_no = req.order_no)`".to_owned(),
    }
}

struct Property {
    name: String,
    format: String,
}

impl Parse for Property {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = input.parse::<LitStr>()?.value();
        input.parse::<Token![:]>()?;
        Ok(Self { name, format: input.parse::<LitStr>()?.value() })
    }
}

impl Property {
    fn as_tag(&self) -> String {
        let Self { name, format } = self;
        let key = key(name);
        let argument = format.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match argument {
            Some(argument) if is_ident(argument) && *argument == key => format!("%{argument}"),
            Some(argument) if is_ident(argument) => format!("{key} = %{argument}"),
            Some(argument) if argument.strip_suffix(":?").is_some_and(is_ident) => {
                let argument = argument.trim_end_matches(":?");
                if argument == key { format!("?{argument}") } else { format!("{key} = ?{argument}") }
            }
            _ if format.contains(['{', '}']) => format!("{key} = format!({format:?})"),
            _ => format!("{key} = {format:?}"),
        }
    }
}

/// A tag's key in source form.
fn key(name: &str) -> String {
    if is_ident(name) { name.to_owned() } else { format!("{name:?}") }
}

fn is_ident(name: &str) -> bool {
    Ident::parse_any.parse_str(name).is_ok()
}

fn entries<T: Parse>(list: TokenStream) -> Result<Vec<T>> {
    Ok(Punctuated::<T, Token![,]>::parse_terminated.parse2(list)?.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(option: &str) -> Option<String> {
        advice_of(option, true)
    }

    fn advice_of(option: &str, known: bool) -> Option<String> {
        let mut tokens = option.parse::<TokenStream>().unwrap().into_iter();
        let Some(TokenTree::Ident(key)) = tokens.next() else { panic!("{option}") };
        advice(&key, &tokens.collect(), known).map(|error| error.to_string())
    }

    fn tags(option: &str) -> String {
        let message = message(option).unwrap();
        let from = message.find("`tags(").map_or_else(|| panic!("{message}"), |at| at + 6);
        message[from..].split(")`").next().unwrap().to_owned()
    }

    #[test]
    fn fields_become_tags() {
        for (option, expected) in [
            ("fields(order_no = req.order_no)", "order_no = req.order_no"),
            ("fields(a.b = %x, ?order, %user.id)", "\"a.b\" = %x, ?order, \"user.id\" = %user.id"),
            ("fields(\"http.method\" = ?request.method(), n = 1)", "\"http.method\" = ?request.method(), n = 1"),
            ("fields(id = id, x = tracing::field::debug(&x), y = display(z))", "id, ?x, y = %z"),
            ("fields(x = field::debug(&x), y = ours::display(&z))", "?x, y = ours::display(&z)"),
            ("fields(x = <A>::Empty, y = ours::Empty, z = field::Empty)", "x = <A>::Empty, y = ours::Empty"),
            ("fields(type = kind.name, total = Empty)", "type = kind.name"),
            ("fields(otel.kind = \"server\", otel.kind_of = 1, otel.name = name)", "\"otel.kind_of\" = 1"),
        ] {
            assert_eq!(tags(option), expected, "{option}");
        }
    }

    #[test]
    fn fields_of_opentelemetry_become_options() {
        for (field, expected) in [
            ("otel.kind = \"Server\"", "write `kind = server` instead of `otel.kind`"),
            ("otel.kind = ?SpanKind::Client", "write `kind = client` instead of `otel.kind`"),
            ("otel.kind = \"other\"", "write `kind = …` instead of `otel.kind`"),
            ("otel.kind = kind()", "write `kind = …` instead of `otel.kind`"),
            ("otel.name = \"a b\"", "write `name = \"a b\"` instead of `otel.name`"),
            (
                "otel.name = name",
                "write a constant `name = \"…\"` instead of `otel.name`, and record variable parts as tags",
            ),
            (
                "otel.status_code = \"OK\"",
                "remove `otel.status_code`: the status is Error if the function returns an `Err`",
            ),
            ("", "remove it"),
            ("later", "remove `later`, and call `throughline::record(\"later\", value)` once its value is known"),
        ] {
            let expected = format!("unknown option `fields`; {expected}");
            assert_eq!(message(&format!("fields({field})")), Some(expected), "{field}");
        }
    }

    #[test]
    fn a_value_that_is_recorded_later_may_come_from_a_macro() {
        let given = |tokens| TokenTree::Group(proc_macro2::Group::new(Delimiter::None, tokens));
        for (value, expected) in [(quote!(Empty), true), (quote!(tracing::field::Empty), true), (quote!(1), false)] {
            assert_eq!(is_empty_field(&syn::parse2(given(value).into()).unwrap()), expected);
        }
    }

    #[test]
    fn properties_become_tags() {
        let option =
            r#"properties = { "order_no": "{order_no}", "by": "us", "a.b": "{x:?}", "t": "{x}/{y}", "x": "{x:?}" }"#;
        assert_eq!(tags(option), r#"%order_no, by = "us", "a.b" = ?x, t = format!("{x}/{y}"), ?x"#);
    }

    #[test]
    fn our_own_options_get_no_advice() {
        for option in ["skip", "ret", "err = debug", "parent = message", "name = \"x\"", "ret = debug", "root"] {
            assert_eq!(message(option), None, "{option}");
        }
    }

    #[test]
    fn only_known_options_get_the_hint_about_the_equals_sign() {
        for option in ["kind: server", "kind => server", "kind == server", "kind := server", "kind(server)"] {
            let expected = "option values are written with `=`: `kind = server`";
            assert_eq!(advice_of(option, true).as_deref(), Some(expected), "{option}");
            assert_eq!(advice_of(option, false), None, "{option}");
        }
        for option in ["kind()", "tags(order_no)", "kind::server", "on"] {
            assert_eq!(advice_of(option, true), None, "{option}");
        }
    }
}
