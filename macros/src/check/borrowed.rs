//! Borrowed arguments of detached jobs, which are errors, and the owned types to suggest.

use proc_macro2::Span;
use syn::visit::{self, Visit};
use syn::{
    FnArg, GenericArgument, GenericParam, Ident, Lifetime, Pat, PathArguments, PathSegment, ReceiverKind, TraitBound,
    Type, TypeParamBound, TypeReference,
};

use crate::item_fn::ItemFn;
use crate::report::Report;
use crate::shown::shown;
use crate::types::peel;

/// A detached job may outlive its caller, so its arguments must be owned.
pub(super) fn borrowed(item: &ItemFn, report: &Report) {
    for input in &item.sig.inputs {
        match input {
            FnArg::Receiver(receiver) => match &receiver.kind {
                ReceiverKind::Reference(_, Some(lifetime), _) if lifetime.ident == "static" => {}
                ReceiverKind::Reference(_, _, mutability) => {
                    let shown = if mutability.is_some() { "&mut self" } else { "&self" };
                    let message = format!(
                        "a detached job may outlive `{shown}`; take `self: Arc<Self>`, or pass clones of the required fields as arguments"
                    );
                    report.error(receiver, message);
                }
                ReceiverKind::Typed(_, ty) if first_borrow(ty).is_some() => {
                    report.error(ty, "a detached job may outlive this borrow of `self`; take `self: Arc<Self>`");
                }
                _ => {}
            },
            FnArg::Typed(typed) => {
                if first_borrow(&typed.ty).is_some() {
                    let name = argument_name(&typed.pat);
                    let message = match owned(&typed.ty) {
                        Some(owned) => format!("a detached job may outlive the borrow in {name}; take {owned}"),
                        None => format!(
                            "a detached job may outlive the borrow in {name}; take an owned type, without lifetimes"
                        ),
                    };
                    report.error(&typed.ty, message);
                }
            }
        }
    }
}

fn argument_name(pat: &Pat) -> String {
    match pat {
        Pat::Ident(pat) => format!("`{}`", pat.ident),
        _ => "this argument".to_owned(),
    }
}

/// The first borrow in a type that is not `'static`.
fn first_borrow(ty: &Type) -> Option<Span> {
    /// What was found, and the lifetimes of the enclosing `for<'a>`.
    #[derive(Default)]
    struct Finder(Option<Span>, Vec<Ident>);

    impl Finder {
        fn is_held(&self, lifetime: &Lifetime) -> bool {
            lifetime.ident != "static" && !self.1.contains(&lifetime.ident)
        }
    }

    impl<'ast> Visit<'ast> for Finder {
        fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
            if reference.lifetime.as_ref().is_none_or(|lifetime| self.is_held(lifetime)) {
                self.0.get_or_insert(reference.and_token.span);
            }
            visit::visit_type_reference(self, reference);
        }

        // `dyn for<'a> Fn(&'a str)` accepts borrows as well.
        fn visit_trait_bound(&mut self, bound: &'ast TraitBound) {
            let outer = self.1.len();
            let own = bound.lifetimes.iter().flat_map(|all| &all.lifetimes);
            self.1.extend(own.filter_map(|param| match param {
                GenericParam::Lifetime(param) => Some(param.lifetime.ident.clone()),
                _ => None,
            }));
            self.visit_path(&bound.path);
            self.1.truncate(outer);
        }

        fn visit_path_segment(&mut self, segment: &'ast PathSegment) {
            // `Cow<str>`, whose lifetime is left out.
            if let (true, PathArguments::AngleBracketed(arguments)) = (segment.ident == "Cow", &segment.arguments) {
                if matches!(arguments.args.first(), Some(GenericArgument::Type(_))) {
                    self.0.get_or_insert(segment.ident.span());
                }
            }
            visit::visit_path_segment(self, segment);
        }

        fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
            if self.is_held(lifetime) {
                self.0.get_or_insert(lifetime.span());
            }
        }

        // `fn(&str)` and `dyn Fn(&str)` accept borrows, but do not hold any.
        fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {}
        fn visit_parenthesized_generic_arguments(&mut self, _: &'ast syn::ParenthesizedGenericArguments) {}
    }

    let mut finder = Finder::default();
    finder.visit_type(ty);
    finder.0
}

/// The owned type to take instead, if there is one that can be named.
fn owned(ty: &Type) -> Option<String> {
    match peel(ty) {
        Type::Reference(reference) if text_of(&reference.elem).is_none() => {
            let owned = owned_type(&reference.elem)?;
            Some(if matches!(peel(&reference.elem), Type::Slice(_) | Type::TraitObject(_)) {
                format!("`{owned}`")
            } else {
                format!("`{owned}` or `Arc<{owned}>`")
            })
        }
        ty => owned_type(ty).map(|owned| format!("`{owned}`")),
    }
}

/// `ty` with every borrow replaced by an owned type.
fn owned_type(ty: &Type) -> Option<String> {
    let ty = peel(ty);
    let list = |types: Vec<Option<String>>| Some(types.into_iter().collect::<Option<Vec<_>>>()?.join(", "));
    match ty {
        Type::Reference(reference) => text_of(&reference.elem).or_else(|| owned_type(&reference.elem)),
        Type::Slice(slice) => Some(format!("Vec<{}>", owned_type(&slice.elem)?)),
        Type::TraitObject(object) => {
            let mut shown = format!("Arc<{}", shown(object));
            for name in ["Send", "Sync"] {
                let is = |bound: &TypeParamBound| matches!(bound, TypeParamBound::Trait(it) if it.path.is_ident(name));
                if !object.bounds.iter().any(is) {
                    shown.push_str(" + ");
                    shown.push_str(name);
                }
            }
            shown.push('>');
            Some(shown)
        }
        _ if first_borrow(ty).is_none() => Some(shown(ty)),
        Type::Tuple(tuple) => Some(format!("({})", list(tuple.elems.iter().map(owned_type).collect())?)),
        Type::Path(path) => {
            let name = path.path.segments.last()?;
            let PathArguments::AngleBracketed(arguments) = &name.arguments else { return None };
            let types = arguments.args.iter().map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            });
            if name.ident == "Cow" {
                let of = types.flatten().next()?;
                return text_of(of).or_else(|| owned_type(of));
            }
            Some(format!("{}<{}>", name.ident, list(types.map(|ty| owned_type(ty?)).collect())?))
        }
        _ => None,
    }
}

/// The owned counterpart of the unsized string or path type `ty`.
fn text_of(ty: &Type) -> Option<String> {
    let Type::Path(path) = peel(ty) else { return None };
    let owned = match path.path.segments.last()?.ident.to_string().as_str() {
        "str" => "String",
        "Path" => "PathBuf",
        "OsStr" => "OsString",
        "CStr" => "CString",
        _ => return None,
    };
    Some(owned.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn borrows_are_found() {
        let borrowed: [Type; 7] = [
            syn::parse_quote!(&str),
            syn::parse_quote!(Option<&'a [u8]>),
            syn::parse_quote!(Cow<'_, str>),
            syn::parse_quote!(Option<Cow<str>>),
            syn::parse_quote!(Box<dyn Fn() + 'a>),
            syn::parse_quote!(Box<dyn for<'b> Fn(&'b str) + 'a>),
            syn::parse_quote!((Box<dyn for<'a> Fn(&'a str)>, Guard<'a>)),
        ];
        let owned: [Type; 7] = [
            syn::parse_quote!(String),
            syn::parse_quote!(Cow<'static, str>),
            syn::parse_quote!(&'static str),
            syn::parse_quote!(fn(&str) -> u8),
            syn::parse_quote!(Box<dyn Fn(&str) + Send + 'static>),
            syn::parse_quote!(Box<dyn for<'a> FnOnce(&'a mut u32) + Send>),
            syn::parse_quote!(Arc<dyn for<'a> Check<&'a str, Error<'a> = Guard<'a>>>),
        ];
        assert!(borrowed.iter().all(|ty| first_borrow(ty).is_some()));
        assert!(owned.iter().all(|ty| first_borrow(ty).is_none()));
    }

    #[test]
    fn the_owned_type_is_named() {
        let of = |ty: Type| owned(&ty).unwrap_or_default();
        assert_eq!(of(syn::parse_quote!(&str)), "`String`");
        assert_eq!(of(syn::parse_quote!(&[Order])), "`Vec<Order>`");
        assert_eq!(of(syn::parse_quote!(&[&'a str])), "`Vec<String>`");
        assert_eq!(of(syn::parse_quote!(&mut Order)), "`Order` or `Arc<Order>`");
        assert_eq!(of(syn::parse_quote!(&Path)), "`PathBuf`");
        assert_eq!(of(syn::parse_quote!(Cow<'_, str>)), "`String`");
        assert_eq!(of(syn::parse_quote!(Cow<[u8]>)), "`Vec<u8>`");
        assert_eq!(of(syn::parse_quote!(Option<(&str, u8)>)), "`Option<(String, u8)>`");
        assert_eq!(of(syn::parse_quote!(&dyn Check)), "`Arc<dyn Check + Send + Sync>`");
        assert_eq!(of(syn::parse_quote!(&(dyn Check + Send))), "`Arc<dyn Check + Send + Sync>`");
        assert_eq!(owned(&syn::parse_quote!(Guard<'_>)), None);
    }
}
