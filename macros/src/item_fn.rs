//! A function: its header is parsed, its body stays raw tokens.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{
    Attribute, Block, Expr, FnArg, Pat, ReceiverKind, Result, ReturnType, Signature, Stmt, Type, TypePath, Visibility,
};

use crate::item_kind::{before_qualifiers, is_fn, not_a_function};
use crate::types::{is_opaque_function, is_reference, is_unsized, peel, resolved};

/// A function with everything that precedes its body.
#[derive(Clone)]
pub(crate) struct ItemFn {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    /// `default`, of a specialized method.
    pub(crate) defaultness: Option<Ident>,
    pub(crate) sig: Signature,
    /// The braces; `None` for a method of a trait that has only a semicolon.
    pub(crate) body: Option<Group>,
    /// The location of that semicolon.
    pub(crate) semi: Span,
    /// The whole item, unless attributes have been removed.
    pub(crate) written: Option<TokenStream>,
}

impl ItemFn {
    /// Parses a function; the error names what was found instead.
    pub(crate) fn parse(item: TokenStream) -> Result<Self> {
        let written = ungroup(item);
        let mut tokens: Vec<TokenTree> = written.clone().into_iter().collect();
        let body = match tokens.last().cloned().map(braces) {
            Some(Some(braces)) => {
                tokens.pop();
                Some(braces)
            }
            _ => None,
        };
        let semi = match tokens.last() {
            Some(TokenTree::Punct(punct)) if punct.as_char() == ';' => Some(punct.span()),
            _ => None,
        };
        if semi.is_some() {
            tokens.pop();
        }
        let mut item = Self::parse_header.parse2(tokens.into_iter().collect())?;
        item.semi = semi.unwrap_or(item.semi);
        item.body = body;
        item.written = Some(written);
        item.hoist_inner_attributes()?;
        Ok(item)
    }

    fn parse_header(input: ParseStream<'_>) -> Result<Self> {
        let (attrs, vis, defaultness) = before_qualifiers(input)?;
        if !is_fn(input) {
            return Err(not_a_function(input));
        }
        let sig = input.parse()?;
        if !input.is_empty() {
            return Err(input.error("expected a function body"));
        }
        Ok(Self { attrs, vis, defaultness, sig, body: None, semi: Span::call_site(), written: None })
    }

    /// Moves `#![…]` from the start of the body to the function, so that the body can be put into
    /// another block.
    fn hoist_inner_attributes(&mut self) -> Result<()> {
        let Some(body) = &self.body else { return Ok(()) };
        let starts_inner = {
            let mut tokens = body.stream().into_iter();
            let mut next_is = |c| matches!(tokens.next(), Some(TokenTree::Punct(punct)) if punct.as_char() == c);
            next_is('#') && next_is('!')
        };
        if !starts_inner {
            return Ok(());
        }
        let split = |input: ParseStream<'_>| Ok((input.call(Attribute::parse_inner)?, input.parse::<TokenStream>()?));
        let (inner, rest) = split.parse2(body.stream())?;
        self.attrs.extend(inner.into_iter().map(|attr| Attribute { style: syn::AttrStyle::Outer, ..attr }));
        let mut stripped = Group::new(Delimiter::Brace, rest);
        stripped.set_span(body.span());
        self.body = Some(stripped);
        Ok(())
    }

    pub(crate) fn has_attribute(&self, name: &str) -> bool {
        self.attrs.iter().any(|attr| attr.path().is_ident(name))
    }

    pub(crate) fn returns(&self) -> Returns<'_> {
        match &self.sig.output {
            ReturnType::Default => Returns::Unit,
            ReturnType::Type(_, ty) => match peel(ty) {
                Type::Never(_) => Returns::Never,
                Type::Tuple(tuple) if tuple.elems.is_empty() => Returns::Unit,
                _ => Returns::Value(ty),
            },
        }
    }

    /// Whether the function may return a `Result`, or a future of one, judging by how the type is written. An alias of
    /// `Result` may have any name that is not in [`WITHOUT_ERRORS`].
    pub(crate) fn may_fail(&self) -> bool {
        let Returns::Value(ty) = self.returns() else { return false };
        match peel(resolved(ty).unwrap_or(ty)) {
            Type::Tuple(_) | Type::Array(_) | Type::Reference(_) | Type::Ptr(_) | Type::FnPtr(_) => false,
            Type::Path(TypePath { qself: None, path, .. }) => match path.segments.first() {
                Some(name) if path.segments.len() == 1 => !WITHOUT_ERRORS.iter().any(|known| name.ident == known),
                _ => true,
            },
            _ => true,
        }
    }

    /// Whether an argument or the result has an unsized type. The compiler reports that, and would report it again, in
    /// other words, for generated code.
    pub(crate) fn has_unsized(&self) -> bool {
        let argument = |input: &FnArg| matches!(input, FnArg::Typed(typed) if is_unsized(&typed.ty));
        let result = matches!(&self.sig.output, ReturnType::Type(_, ty) if is_unsized(ty));
        result || self.sig.inputs.iter().any(argument)
    }

    /// Whether the return type is `impl Fn(…)` or similar, or a tuple with one; or another `impl Trait`, if the body
    /// ends with a closure.
    pub(crate) fn returns_function(&self) -> bool {
        let Returns::Value(ty) = self.returns() else { return false };
        is_opaque_function(ty) || matches!(peel(ty), Type::ImplTrait(_)) && self.ends_with_closure()
    }

    fn ends_with_closure(&self) -> bool {
        let Some(body) = &self.body else { return false };
        let has_bars =
            body.stream().into_iter().any(|token| matches!(token, TokenTree::Punct(it) if it.as_char() == '|'));
        let block = has_bars.then(|| syn::parse2::<Block>(TokenTree::Group(body.clone()).into()));
        let Some(Ok(block)) = block else { return false };
        matches!(block.stmts.last(), Some(Stmt::Expr(Expr::Closure(_), None)))
    }

    /// Every name that the arguments bind, except `self`.
    pub(crate) fn bindings(&self) -> Vec<Ident> {
        let mut names = Vec::new();
        for input in &self.sig.inputs {
            let FnArg::Typed(typed) = input else { continue };
            match &*typed.pat {
                // The name of an argument without a pattern always binds, even if it looks like a constant.
                Pat::Ident(pat) if pat.subpat.is_none() => names.push(pat.ident.clone()),
                pat => bound_names(pat, &mut names),
            }
        }
        names
    }
}

/// Types that are always in scope and are not a `Result`.
const WITHOUT_ERRORS: [&str; 20] = [
    "Option", "String", "Vec", "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "u8",
    "u16", "u32", "u64", "u128", "usize",
];

/// What a function returns.
#[derive(Clone, Copy)]
pub(crate) enum Returns<'a> {
    Unit,
    Never,
    Value(&'a Type),
}

/// Whether the receiver is `mut self`, a local that is only accessible as `self`.
pub(crate) fn owns_mutable_self(sig: &Signature) -> bool {
    let Some(FnArg::Receiver(receiver)) = sig.inputs.first() else { return false };
    receiver.mutability.is_some()
        && match &receiver.kind {
            ReceiverKind::Value => true,
            ReceiverKind::Typed(_, ty) => matches!(peel(ty), Type::Path(path) if path.path.is_ident("Self")),
            _ => false,
        }
}

/// Whether the receiver is owned: not `&self`.
pub(crate) fn is_owned_receiver(receiver: &syn::Receiver) -> bool {
    match &receiver.kind {
        ReceiverKind::Reference(..) => false,
        ReceiverKind::Typed(_, ty) => !is_reference(ty),
        _ => true,
    }
}

/// Every name that the pattern binds.
pub(crate) fn names_of(pat: &Pat) -> Vec<Ident> {
    let mut names = Vec::new();
    bound_names(pat, &mut names);
    names
}

fn bound_names(pat: &Pat, names: &mut Vec<Ident>) {
    match pat {
        Pat::Ident(pat) => {
            let is_marked = pat.by_ref.is_some() || pat.mutability.is_some() || pat.subpat.is_some();
            if is_marked || is_binding(&pat.ident) {
                names.push(pat.ident.clone());
            }
            if let Some((_, inner)) = &pat.subpat {
                bound_names(inner, names);
            }
        }
        Pat::Tuple(pat) => pat.elems.iter().for_each(|pat| bound_names(pat, names)),
        Pat::TupleStruct(pat) => pat.elems.iter().for_each(|pat| bound_names(pat, names)),
        Pat::Slice(pat) => pat.elems.iter().for_each(|pat| bound_names(pat, names)),
        Pat::Struct(pat) => pat.fields.iter().for_each(|field| bound_names(&field.pat, names)),
        Pat::Reference(pat) => bound_names(&pat.pat, names),
        Pat::Paren(pat) => bound_names(&pat.pat, names),
        Pat::Or(pat) => pat.cases.first().into_iter().for_each(|pat| bound_names(pat, names)),
        _ => {}
    }
}

/// A name in a pattern binds, unless it looks like a constant or a unit struct.
pub(crate) fn is_binding(ident: &Ident) -> bool {
    !ident.to_string().starts_with(|c: char| c.is_uppercase())
}

/// The item without the invisible group around it (`$item:item`).
pub(crate) fn ungroup(item: TokenStream) -> TokenStream {
    let mut tokens = item.clone().into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Group(group)), None) if group.delimiter() == Delimiter::None => ungroup(group.stream()),
        _ => item,
    }
}

/// The braces of a body, which may be in an invisible group (`$body:block`).
fn braces(token: TokenTree) -> Option<Group> {
    let TokenTree::Group(group) = token else { return None };
    match group.delimiter() {
        Delimiter::Brace => Some(group),
        Delimiter::None => {
            let mut tokens = group.stream().into_iter();
            match (tokens.next(), tokens.next()) {
                (Some(only), None) => braces(only),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The attributes that decide whether an item exists.
pub(crate) fn cfgs(attrs: &[Attribute]) -> TokenStream {
    attrs
        .iter()
        .filter(|attr| attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr"))
        .map(ToTokens::to_token_stream)
        .collect()
}

/// Whether `tokens` contain the name anywhere.
pub(crate) fn mentions(tokens: &TokenStream, name: &Ident) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Group(group) => mentions(&group.stream(), name),
        // `format!("{name:>width$.precision$}")`, in which raw identifiers are written without `r#`
        TokenTree::Literal(literal) => {
            let (text, name) = (literal.to_string(), name.unraw());
            text.contains(&format!("{{{name}")) || text.contains(&format!("{name}$"))
        }
        TokenTree::Punct(_) => false,
    })
}

#[cfg(test)]
mod tests;
