//! Recognizes types in a signature by how they are written.

use syn::punctuated::Punctuated;
use syn::{GenericArgument, Path, PathArguments, PathSegment, Token, Type, TypeParamBound};

/// Aliases in the `futures` crate.
pub(crate) const FUTURES: &[&str] = &["BoxFuture", "LocalBoxFuture"];
pub(crate) const STREAMS: &[&str] = &["BoxStream", "LocalBoxStream"];

/// The type without the invisible group of a macro variable, and without parentheses.
pub(crate) fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peel(&group.elem),
        Type::Paren(paren) => peel(&paren.elem),
        other => other,
    }
}

pub(crate) fn is_reference(ty: &Type) -> bool {
    matches!(peel(ty), Type::Reference(_))
}

/// A type that generated code has to wrap: a future or a stream, which may be boxed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrapped {
    /// `impl Future`.
    Impl,
    /// `Pin<Box<dyn Future>>` or `Pin<Box<impl Future>>`, including its aliases in the `futures` crate.
    Boxed,
}

const UNWRAPPED: [&str; 4] = ["Clone", "Copy", "FusedFuture", "FusedStream"];

/// Whether `ty` is `impl Trait`, `Pin<Box<dyn Trait>>` or one of the aliases.
pub(crate) fn wrapped(ty: &Type, trait_name: &str, aliases: &[&str]) -> Option<Wrapped> {
    match peel(ty) {
        // The wrapper does not implement these traits: a span cannot be cloned.
        Type::ImplTrait(_) if unwrapped(ty).is_some() => None,
        Type::ImplTrait(it) => names_trait(&it.bounds, trait_name).then_some(Wrapped::Impl),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            if aliases.contains(&last.ident.to_string().as_str()) {
                return Some(Wrapped::Boxed);
            }
            if let Some(opaque) = pinned_opaque(ty) {
                return wrapped(opaque, trait_name, &[]).and(Some(Wrapped::Boxed));
            }
            names_trait(pinned(ty)?, trait_name).then_some(Wrapped::Boxed)
        }
        _ => None,
    }
}

/// Whether this is the name of a future, such as `Self::Future` of a `tower::Service`.
pub(crate) fn is_named_future(ty: &Type) -> bool {
    let Type::Path(path) = peel(ty) else { return false };
    let name = path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
    name.ends_with("Future") || name.ends_with("Fut")
}

/// The first bound of an `impl Trait` that no wrapper satisfies.
pub(crate) fn unwrapped(ty: &Type) -> Option<&'static str> {
    let Type::ImplTrait(it) = peel(ty) else { return None };
    UNWRAPPED.iter().copied().find(|other| names_trait(&it.bounds, other))
}

/// The bounds of `Trait` in `Pin<Box<dyn Trait>>`.
pub(crate) fn pinned(ty: &Type) -> Option<&Punctuated<TypeParamBound, Token![+]>> {
    let Type::TraitObject(object) = in_pinned_box(ty)? else { return None };
    Some(&object.bounds)
}

/// The `impl Trait` in `Pin<Box<impl Trait>>`.
pub(crate) fn pinned_opaque(ty: &Type) -> Option<&Type> {
    in_pinned_box(ty).filter(|inner| matches!(inner, Type::ImplTrait(_)))
}

fn in_pinned_box(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = peel(ty) else { return None };
    let Type::Path(inner) = peel(only_argument(&path.path, "Pin")?) else { return None };
    only_argument(&inner.path, "Box").map(peel)
}

fn names_trait(bounds: &Punctuated<TypeParamBound, Token![+]>, name: &str) -> bool {
    bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last().is_some_and(|last| last.ident == name),
        _ => false,
    })
}

/// `T` of `impl Future<Output = T>`, where `name` is `Output`.
pub(crate) fn associated<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let Type::ImplTrait(it) = peel(ty) else { return None };
    within(&it.bounds, name)
}

/// The output of a future, or the item of a stream, if the type shows it. This is the value that is recorded.
///
/// An alias does not show it: an application's own `BoxFuture<T>` may resolve to a `Result<T, Error>`.
pub(crate) fn resolved(ty: &Type) -> Option<&Type> {
    let bounds = match peel(ty) {
        Type::ImplTrait(it) => &it.bounds,
        Type::Path(_) => match pinned_opaque(ty) {
            Some(opaque) => return resolved(opaque),
            None => pinned(ty)?,
        },
        _ => return None,
    };
    let name = if names_trait(bounds, "Future") {
        "Output"
    } else if names_trait(bounds, "Stream") {
        "Item"
    } else {
        return None;
    };
    within(bounds, name)
}

/// `T` of `Name = T`.
fn within<'a>(bounds: &'a Punctuated<TypeParamBound, Token![+]>, name: &str) -> Option<&'a Type> {
    bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let PathArguments::AngleBracketed(arguments) = &bound.path.segments.last()?.arguments else { return None };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(assoc) if assoc.ident == name => Some(&assoc.ty),
            _ => None,
        })
    })
}

/// Whether this is `impl Fn(…)` or the like, or a tuple of it.
pub(crate) fn is_opaque_function(ty: &Type) -> bool {
    let it = match peel(ty) {
        Type::ImplTrait(it) => it,
        Type::Tuple(tuple) => return tuple.elems.iter().any(is_opaque_function),
        _ => return false,
    };
    ["Fn", "FnMut", "FnOnce", "AsyncFn", "AsyncFnMut", "AsyncFnOnce"].iter().any(|name| names_trait(&it.bounds, name))
}

fn only_argument<'a>(path: &'a Path, name: &str) -> Option<&'a Type> {
    let last = path.segments.last().filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    types_of(last).next().filter(|_| arguments.args.len() == 1)
}

/// The types in the angle brackets of a path.
fn types_of(segment: &PathSegment) -> impl Iterator<Item = &Type> {
    let arguments = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => Some(&arguments.args),
        _ => None,
    };
    arguments.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// Whether this is `()`, or a `Result` or an `Option` of it.
pub(crate) fn is_unit(ty: &Type) -> bool {
    match peel(ty) {
        Type::Tuple(tuple) => tuple.elems.is_empty(),
        Type::Path(path) => path.path.segments.last().is_some_and(|last| {
            ["Result", "Option"].iter().any(|name| last.ident == name) && types_of(last).next().is_some_and(is_unit)
        }),
        _ => false,
    }
}

/// Whether values of this type exist only behind a pointer.
pub(crate) fn is_unsized(ty: &Type) -> bool {
    match peel(ty) {
        Type::TraitObject(_) | Type::Slice(_) => true,
        Type::Path(path) => path.path.is_ident("str"),
        Type::Tuple(tuple) => tuple.elems.last().is_some_and(is_unsized),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens as _;

    use super::*;

    #[test]
    fn futures_and_streams_are_seen_through() {
        for (ty, expected) in [
            ("impl Future<Output = u8> + Send", Some("u8")),
            ("impl Send + futures::Stream<Item = u8>", Some("u8")),
            ("Pin<Box<dyn Future<Output = u8> + Send + 'a>>", Some("u8")),
            ("Pin<Box<impl Future<Output = u8>>>", Some("u8")),
            ("(Pin<Box<(dyn Stream<Item = u8>)>>)", Some("u8")),
            ("BoxFuture<'a, u8>", None),
            ("futures::stream::LocalBoxStream<'static, u8>", None),
            ("impl Iterator<Item = u8>", None),
            ("impl Future<Output: Send>", None),
            ("Box<dyn Future<Output = u8>>", None),
            ("Ready<u8>", None),
            ("u8", None),
        ] {
            let ty = syn::parse_str(ty).unwrap();
            assert_eq!(resolved(&ty).map(|of| of.to_token_stream().to_string()).as_deref(), expected);
        }
    }

    #[test]
    fn a_result_of_unit_is_unit() {
        for (ty, expected) in [
            ("()", true),
            ("Result<(), Error>", true),
            ("io::Result<()>", true),
            ("Option<Result<()>>", true),
            ("Result<u8, ()>", false),
            ("Vec<()>", false),
            ("u8", false),
        ] {
            assert_eq!(is_unit(&syn::parse_str(ty).unwrap()), expected, "{ty}");
        }
    }
}
