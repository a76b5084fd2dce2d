//! The fields of `#[instrument]`, which become tags.

use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprLit, Ident, Lit, LitStr, Result, Token};

use super::{Value, entries, key};
use crate::known::is_kind;
use crate::shown::shown;

/// The error for `fields(order_no = req.no, user.id = %user.id, total)`.
pub(super) fn fields(value: Value) -> String {
    let Value::List(list) = value else {
        return "unknown option `fields`; write `tags(order_no = req.order_no)`".to_owned();
    };
    let Ok(fields) = entries::<Field>(list) else {
        return "unknown option `fields`; write `tags(order_no = req.order_no, \"user.id\" = %user.id)`".to_owned();
    };
    let (special, fields): (Vec<_>, Vec<_>) = fields.iter().partition(|field| field.of_opentelemetry().is_some());
    let tags: Vec<_> = fields.iter().filter_map(|field| field.as_tag()).collect();
    let later: Vec<_> = fields.iter().filter(|field| field.as_tag().is_none()).map(|field| &field.name).collect();
    let mut parts = vec!["unknown option `fields`".to_owned()];
    parts.extend(special.iter().filter_map(|field| field.of_opentelemetry()));
    if !tags.is_empty() {
        let tags = tags.join(", ");
        parts.push(format!(
            "write `tags({tags})`, or `#[biz_tags({tags})]` below if child spans and log lines should have them too"
        ));
    } else if parts.len() == 1 && later.is_empty() {
        parts.push("remove it".to_owned());
    }
    parts.extend(later.into_iter().map(|name| {
        format!("remove `{name}`, and call `throughline::record(\"{name}\", value)` once its value is known")
    }));
    parts.join("; ")
}

/// A field of `#[instrument]`; one without a value is recorded later.
struct Field {
    name: String,
    sign: Option<char>,
    value: Option<Expr>,
    /// Whether it has the name of the variable that it records.
    short: bool,
}

impl Parse for Field {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut sign = conversion(input)?;
        let short = sign.is_some();
        let name = if input.peek(LitStr) {
            input.parse::<LitStr>()?.value()
        } else {
            let parts = Punctuated::<Ident, Token![.]>::parse_separated_nonempty_with(input, Ident::parse_any)?;
            parts.iter().map(|part| part.unraw().to_string()).collect::<Vec<_>>().join(".")
        };
        let mut value = None;
        if input.parse::<Option<Token![=]>>()?.is_some() {
            sign = conversion(input)?;
            value = Some(input.parse()?);
        }
        Ok(Self { name, sign, value, short })
    }
}

/// The `%` or `?` prefix of a value.
fn conversion(input: ParseStream<'_>) -> Result<Option<char>> {
    if input.parse::<Option<Token![%]>>()?.is_some() {
        return Ok(Some('%'));
    }
    Ok(input.parse::<Option<Token![?]>>()?.map(|_| '?'))
}

impl Field {
    /// What replaces a field that `tracing-opentelemetry` does not record as an attribute.
    fn of_opentelemetry(&self) -> Option<String> {
        let constant = match &self.value {
            Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => Some(text.value()),
            Some(Expr::Path(path)) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        Some(match self.name.as_str() {
            "otel.kind" => {
                let kind = constant.map(|kind| kind.to_lowercase()).filter(|kind| is_kind(kind));
                format!("write `kind = {}` instead of `otel.kind`", kind.as_deref().unwrap_or("…"))
            }
            "otel.name" => match &self.value {
                Some(value @ Expr::Lit(_)) => format!("write `name = {}` instead of `otel.name`", shown(value)),
                _ => "write a constant `name = \"…\"` instead of `otel.name`, and record variable parts as tags"
                    .to_owned(),
            },
            name @ ("otel.status_code" | "otel.status_message" | "otel.status_description") => {
                format!("remove `{name}`: the status is Error if the function returns an `Err`")
            }
            _ => return None,
        })
    }

    /// The field as a tag; `None` if its value is recorded later.
    fn as_tag(&self) -> Option<String> {
        let sign = self.sign.map(String::from).unwrap_or_default();
        let name = &self.name;
        match &self.value {
            None if !self.short => None,
            None if name.contains('.') => Some(format!("\"{name}\" = {sign}{name}")),
            None => Some(format!("{sign}{name}")),
            Some(value) if is_empty_field(value) => None,
            Some(value) => {
                let (sign, value) = match wrapped(value) {
                    Some((sign, inner)) => (sign.to_owned(), shown(inner)),
                    None => (sign, shown(value)),
                };
                let key = key(name);
                Some(if key == value { format!("{sign}{key}") } else { format!("{key} = {sign}{value}") })
            }
        }
    }
}

/// The argument of `tracing::field::debug(&x)` or `display(&x)`, and the corresponding prefix.
fn wrapped(value: &Expr) -> Option<(&'static str, &Expr)> {
    let Expr::Call(call) = value else { return None };
    let Expr::Path(path) = &*call.func else { return None };
    let segments = &path.path.segments;
    let sign = match segments.last()?.ident.to_string().as_str() {
        "debug" => "?",
        "display" => "%",
        _ => return None,
    };
    let of_tracing = segments.len() == 1 || segments[segments.len() - 2].ident == "field";
    let inner = match call.args.first()? {
        Expr::Reference(reference) => &reference.expr,
        inner => inner,
    };
    (of_tracing && call.args.len() == 1).then_some((sign, inner))
}

/// Whether this is `tracing::field::Empty`: a value that is recorded later.
pub(crate) fn is_empty_field(value: &Expr) -> bool {
    match value {
        Expr::Path(path) if path.qself.is_none() => {
            let mut names = path.path.segments.iter().rev().map(|segment| segment.ident.to_string());
            names.next().as_deref() == Some("Empty") && names.next().is_none_or(|module| module == "field")
        }
        Expr::Group(group) => is_empty_field(&group.expr),
        _ => false,
    }
}
