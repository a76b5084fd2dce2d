//! Moves the arguments into the closure or async block that holds the body.
//!
//! A function drops its arguments in reverse order, after its locals. A closure would drop its captures in the
//! order in which the body first mentions them. So the arguments are rebound as locals at the top of the block, in
//! their original order:
//!
//! ```text
//! // Input:
//! fn pay(self, mut order: Order, _: Lock, note: &str) { … }
//!
//! // Output:
//! fn pay(self, order: Order, __arg1: Lock, note: &str) {
//!     … move || {
//!         let (_, mut order, __arg1) = (&self, order, __arg1);
//!         …
//!     }
//! }
//! ```
//!
//! A pattern that leaves a part of its argument unbound is replaced by a name, because that part has to be dropped in
//! the same order too. References are not dropped, and are simply captured.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens as _, format_ident, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, FnArg, Member, Meta, Pat, Signature, Type};

use super::returns::inferred;
use crate::item_fn::{ItemFn, cfgs, is_binding, is_owned_receiver, mentions, names_of};
use crate::types::is_reference;
use crate::unpacked::{Unpacked, patterns};

/// How the arguments are moved.
#[derive(Default)]
pub(crate) struct Arguments {
    /// The statements at the top of the block.
    pub(crate) rebind: TokenStream,
    /// Binds the names of replaced patterns before the block.
    pub(crate) peek: Vec<Peek>,
}

/// A pattern that has been replaced, in a form that only borrows from the argument.
pub(crate) struct Peek {
    pub(crate) names: Vec<Ident>,
    pub(crate) cfgs: TokenStream,
    pub(crate) statement: TokenStream,
}

/// Replaces patterns in `sig` where that is needed, and plans the rest.
///
/// `used` contains the expressions that use the arguments before the body. An argument that is only used there
/// does not count as unused. With `whole`, references are moved, too: the enclosing block would only borrow them, or
/// would appear not to use them.
pub(crate) fn plan(sig: &mut Signature, used: &TokenStream, whole: bool, linted: bool) -> Arguments {
    let span = Span::mixed_site();
    let mut looks = Group::default();
    let mut rebind = TokenStream::new();
    let mut peek = Vec::new();
    let mut group = Group { linted, ..Group::default() };
    let written = sig.inputs.to_token_stream();
    let duplicates = duplicates(sig);
    for (at, input) in sig.inputs.iter_mut().enumerate() {
        let typed = match input {
            FnArg::Receiver(receiver) => {
                if whole || is_owned_receiver(receiver) {
                    let this = receiver.self_token;
                    group.push(quote_spanned!(span=> _), quote_spanned!(span=> &#this));
                }
                continue;
            }
            FnArg::Typed(typed) => typed,
        };
        let cfgs = cfgs(&typed.attrs);
        if !whole && is_reference(&typed.ty) && !is_mut(&typed.pat) && !is_ref(&typed.pat) {
            continue;
        }
        let lints = take_lints(&mut typed.attrs);
        if let Pat::Ident(pat) = &mut *typed.pat {
            if pat.by_ref.is_none() && pat.subpat.is_none() {
                let (mutability, ident) = (pat.mutability.take(), &pat.ident);
                let looked_at = mentions(used, ident);
                if cfgs.is_empty() && lints.is_empty() && !starts_with_underscore(ident) {
                    group.make_room(ident, &mut rebind);
                    group.push(quote_spanned!(span=> #mutability #ident), ident.to_token_stream());
                    looks.look(looked_at, ident);
                } else {
                    group.flush(&mut rebind);
                    let quiet = linted.then(|| moved(Some(ident)));
                    rebind.extend(quote_spanned!(span=> #cfgs #lints #quiet let #mutability #ident = #ident;));
                    if looked_at {
                        rebind.extend(quote_spanned!(span=> #cfgs let _ = #ident;));
                    }
                }
                continue;
            }
        }
        let mut names = Vec::new();
        if cfgs.is_empty()
            && lints.is_empty()
            && binds_everything(&typed.pat, &mut names)
            && !names.iter().any(starts_with_underscore)
        {
            for name in names {
                looks.look(mentions(used, &name), &name);
                group.make_room(&name, &mut rebind);
                group.push(name.to_token_stream(), name.to_token_stream());
            }
            continue;
        }
        // One by one, as the compiler does, so that the bound and unbound parts are dropped in the same order.
        group.flush(&mut rebind);
        // With the user's span, for the reason given in `Group::flush`.
        let argument = replacement(at, &written, if linted { span } else { first_span(&typed.pat) });
        let pat = std::mem::replace(&mut *typed.pat, syn::parse_quote!(#argument));
        let mutability = borrows_mutably(&pat).then(|| quote_spanned!(span=> mut));
        rebind.extend(quote_spanned!(span=> #cfgs let #mutability #argument = #argument;));
        if !matches!(pat, Pat::Wild(_)) {
            rebind.extend(quote_spanned!(span=> #cfgs #lints let #pat = #argument;));
            let names = names_of(&pat);
            for name in names.iter().filter(|name| mentions(used, name)) {
                rebind.extend(quote_spanned!(span=> #cfgs let _ = #name;));
            }
            let is_reference = is_reference(&typed.ty) && !is_ref(&pat);
            peek.push(self::peek(pat, &argument, cfgs, is_reference));
        }
    }
    group.flush(&mut rebind);
    looks.flush(&mut rebind);
    // If no pattern has been replaced, the compiler finds duplicates in the signature.
    if let (Some(mut checked), false) = (duplicates, peek.is_empty()) {
        checked.extend(rebind);
        rebind = checked;
    }
    Arguments { rebind, peek }
}

/// If names of arguments look alike, a closure with the same parameters, in which the compiler reports duplicates.
/// Names from a macro may look alike and differ in hygiene.
fn duplicates(sig: &Signature) -> Option<TokenStream> {
    let arguments = sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    let names: Vec<_> = arguments.clone().flat_map(|typed| names_of(&typed.pat)).collect();
    if !names.iter().enumerate().any(|(at, name)| names[..at].contains(name)) {
        return None;
    }
    let span = Span::mixed_site();
    let arguments = arguments.filter(|typed| !matches!(*typed.ty, Type::ImplTrait(_))).map(|typed| {
        let (cfgs, pat, ty) = (cfgs(&typed.attrs), &typed.pat, inferred(&typed.ty));
        quote_spanned!(span=> #cfgs #pat: #ty)
    });
    Some(quote_spanned! {span=>
        #[allow(unused_variables, unused_mut, reason = "only the names are of interest")]
        let _ = |#(#arguments),*| ();
    })
}

/// A name for the argument that does not occur in the signature.
fn replacement(at: usize, written: &TokenStream, span: Span) -> Ident {
    let mut name = format_ident!("__arg{at}", span = span);
    while mentions(written, &name) {
        name = format_ident!("{name}_");
    }
    name
}

/// Binds the names of patterns that `#[async_trait]` has moved into the body.
pub(crate) fn unpacked(item: &ItemFn) -> Vec<Peek> {
    let patterns = patterns(item).into_iter();
    patterns.map(|Unpacked { argument, cfgs, pat }| peek(pat, &argument, cfgs, false)).collect()
}

/// Binds the names of a pattern before `argument` is matched against it, and without moving out of `argument`.
fn peek(pat: Pat, argument: &Ident, cfgs: TokenStream, is_reference: bool) -> Peek {
    let span = Span::mixed_site();
    let names = names_of(&pat);
    let mut borrowed = pat;
    let statement = if is_reference {
        // A `&` resets the binding mode: nothing below it is borrowed implicitly.
        if dereferences(&borrowed) {
            spell_out(&mut borrowed, false);
        } else {
            strip(&mut borrowed);
        }
        quote_spanned!(span=> let #borrowed = #argument;)
    } else if dereferences(&borrowed) {
        spell_out(&mut borrowed, true);
        quote_spanned!(span=> let &#borrowed = &#argument;)
    } else {
        strip(&mut borrowed);
        quote_spanned!(span=> let #borrowed = &#argument;)
    };
    Peek { names, cfgs, statement }
}

/// Takes the lint levels of an argument, for the statements that rebind it. Those that allow a lint also stay on the
/// argument, which keeps its name.
fn take_lints(attrs: &mut Vec<Attribute>) -> TokenStream {
    let levels = ["allow", "expect", "warn", "deny", "forbid"];
    let mut lints = TokenStream::new();
    attrs.retain_mut(|attr| {
        if !levels.iter().any(|level| attr.path().is_ident(level)) {
            return true;
        }
        attr.to_tokens(&mut lints);
        match &mut attr.meta {
            // The rebinding fulfils the expectation.
            Meta::List(list) if list.path.is_ident("expect") => {
                list.path = syn::parse_quote_spanned!(list.path.span()=> allow);
                true
            }
            meta => meta.path().is_ident("allow"),
        }
    });
    lints
}

fn first_span(pat: &Pat) -> Span {
    pat.to_token_stream().into_iter().next().map_or_else(Span::mixed_site, |first| first.span())
}

fn starts_with_underscore(name: &Ident) -> bool {
    name.to_string().starts_with('_')
}

/// Allows what moving an argument does on purpose: it shadows the argument, and uses a name that may start with an
/// underscore.
fn moved(name: Option<&Ident>) -> TokenStream {
    let span = Span::mixed_site();
    if name.is_some_and(starts_with_underscore) {
        return quote_spanned! {span=>
            #[allow(
                clippy::no_effect_underscore_binding,
                clippy::shadow_reuse,
                clippy::shadow_same,
                clippy::used_underscore_binding,
                reason = "arguments move into the body"
            )]
        };
    }
    quote_spanned! {span=>
        #[allow(clippy::shadow_reuse, clippy::shadow_same, reason = "arguments move into the body")]
    }
}

/// Arguments that are moved by one `let`.
#[derive(Default)]
struct Group {
    /// Whether clippy checks the generated code.
    linted: bool,
    patterns: Vec<TokenStream>,
    values: Vec<TokenStream>,
}

impl Group {
    fn push(&mut self, pattern: TokenStream, value: TokenStream) {
        self.patterns.push(pattern);
        self.values.push(value);
    }

    /// Ends the group if it has an argument that looks like this one. If the names are the same, the compiler reports
    /// that in the signature, and would do so again for a single `let`; if they differ in hygiene, both are valid.
    fn make_room(&mut self, name: &Ident, into: &mut TokenStream) {
        if self.values.iter().any(|value| mentions(value, name)) {
            self.flush(into);
        }
    }

    /// Marks an argument as used if an expression outside of the body uses it.
    fn look(&mut self, used: bool, name: &Ident) {
        if used {
            let span = Span::mixed_site();
            self.push(quote_spanned!(span=> _), quote_spanned!(span=> &#name));
        }
    }

    fn flush(&mut self, into: &mut TokenStream) {
        let (patterns, values) = (std::mem::take(&mut self.patterns), std::mem::take(&mut self.values));
        let span = Span::mixed_site();
        let moves = patterns.iter().any(|pattern| pattern.to_string() != "_");
        let quiet = (self.linted && moves).then(|| moved(None));
        match (&patterns[..], &values[..]) {
            ([], _) => {}
            ([pattern], [value]) => into.extend(quote_spanned!(span=> #quiet let #pattern = #value;)),
            _ => {
                // Lints compare source locations to tell whether an assignment is part of the initialization of its
                // variable. The location of generated code would be the whole macro call.
                let at = values.iter().flat_map(TokenStream::clone).last().map_or(span, |last| last.span());
                let values = quote_spanned!(at=> (#(#values),*));
                into.extend(quote_spanned!(span=> #quiet let (#(#patterns),*) = #values;));
            }
        }
    }
}

fn is_mut(pat: &Pat) -> bool {
    matches!(pat, Pat::Ident(pat) if pat.mutability.is_some())
}

/// Whether the pattern borrows the argument itself.
fn is_ref(pat: &Pat) -> bool {
    matches!(pat, Pat::Ident(pat) if pat.by_ref.is_some())
}

/// Whether there is a `ref mut` in the pattern.
fn borrows_mutably(pat: &Pat) -> bool {
    match pat {
        Pat::Ident(pat) => {
            pat.by_ref.is_some() && pat.mutability.is_some()
                || pat.subpat.as_ref().is_some_and(|(_, inner)| borrows_mutably(inner))
        }
        Pat::Tuple(pat) => pat.elems.iter().any(borrows_mutably),
        Pat::TupleStruct(pat) => pat.elems.iter().any(borrows_mutably),
        Pat::Slice(pat) => pat.elems.iter().any(borrows_mutably),
        Pat::Struct(pat) => pat.fields.iter().any(|field| borrows_mutably(&field.pat)),
        Pat::Or(pat) => pat.cases.iter().any(borrows_mutably),
        Pat::Paren(pat) => borrows_mutably(&pat.pat),
        _ => false,
    }
}

/// Whether the pattern binds every part of the argument, by value and without `mut`. Such a pattern can stay in
/// the signature.
fn binds_everything(pat: &Pat, names: &mut Vec<Ident>) -> bool {
    match pat {
        Pat::Ident(pat) => {
            names.push(pat.ident.clone());
            pat.by_ref.is_none() && pat.mutability.is_none() && pat.subpat.is_none() && is_binding(&pat.ident)
        }
        Pat::Tuple(pat) => pat.elems.iter().all(|pat| binds_everything(pat, names)),
        Pat::TupleStruct(pat) => pat.elems.iter().all(|pat| binds_everything(pat, names)),
        Pat::Struct(pat) => {
            pat.rest.is_none()
                && pat.fields.iter().all(|field| field.attrs.is_empty() && binds_everything(&field.pat, names))
        }
        Pat::Paren(pat) => binds_everything(&pat.pat, names),
        _ => false,
    }
}

/// Calls `each` for every direct sub-pattern.
fn parts(pat: &mut Pat, mut each: impl FnMut(&mut Pat)) {
    match pat {
        Pat::Ident(pat) => pat.subpat.iter_mut().for_each(|(_, inner)| each(inner)),
        Pat::Tuple(pat) => pat.elems.iter_mut().for_each(each),
        Pat::TupleStruct(pat) => pat.elems.iter_mut().for_each(each),
        Pat::Slice(pat) => pat.elems.iter_mut().for_each(each),
        Pat::Struct(pat) => pat.fields.iter_mut().for_each(|field| each(&mut field.pat)),
        Pat::Or(pat) => pat.cases.iter_mut().for_each(each),
        Pat::Paren(pat) => each(&mut pat.pat),
        Pat::Reference(pat) => each(&mut pat.pat),
        _ => {}
    }
}

/// Removes `ref` and `mut` from a pattern that is matched against a reference.
fn strip(pat: &mut Pat) {
    if let Pat::Ident(pat) = pat {
        pat.by_ref = None;
        pat.mutability = None;
    }
    unlint(pat);
    parts(pat, strip);
}

/// Whether the pattern contains a `&`. Edition 2024 does not allow it below an implicit dereference.
fn dereferences(pat: &Pat) -> bool {
    let mut found = matches!(pat, Pat::Reference(_));
    parts(&mut pat.clone(), |part| found |= dereferences(part));
    found
}

/// Marks `field: name` as generated. The compiler suggests a shorter form for it where the user has written the pattern.
fn unlint(pat: &mut Pat) {
    let Pat::Struct(pat) = pat else { return };
    for field in &mut pat.fields {
        if let (Member::Named(name), Some(_)) = (&mut field.member, &field.colon_token) {
            name.set_span(Span::mixed_site().located_at(name.span()));
        }
    }
}

/// Turns bindings into explicit `ref` bindings, except below a `&`, where they copy.
fn spell_out(pat: &mut Pat, borrow: bool) {
    if let Pat::Ident(pat) = pat {
        pat.mutability = None;
        if borrow && is_binding(&pat.ident) {
            pat.by_ref.get_or_insert_default();
        }
    }
    unlint(pat);
    let below = matches!(pat, Pat::Reference(_));
    parts(pat, |part| spell_out(part, borrow && !below));
}
