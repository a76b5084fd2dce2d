//! What a returned future resolves to, as far as its type tells. That is what is recorded of it.

use syn::punctuated::Punctuated;
use syn::{GenericArgument, PathArguments, Token, Type, TypeParamBound};

use crate::item_fn::{peel, pinned, pinned_opaque};

/// `T` of `impl Future<Output = T>`, of `Pin<Box<dyn Future<Output = T>>>` and of its aliases, and the same of streams.
pub(crate) fn resolved(ty: &Type) -> Option<&Type> {
    match peel(ty) {
        Type::ImplTrait(it) => output(&it.bounds),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            let aliases = ["BoxFuture", "LocalBoxFuture", "BoxStream", "LocalBoxStream"];
            if !aliases.iter().any(|alias| last.ident == alias) {
                return pinned_opaque(ty).map_or_else(|| output(pinned(ty)?), resolved);
            }
            let PathArguments::AngleBracketed(given) = &last.arguments else { return None };
            given.args.iter().find_map(|argument| match argument {
                GenericArgument::Type(ty) => Some(ty),
                _ => None,
            })
        }
        _ => None,
    }
}

fn output(bounds: &Punctuated<TypeParamBound, Token![+]>) -> Option<&Type> {
    bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let last = bound.path.segments.last()?;
        let name = match last.ident.to_string().as_str() {
            "Future" => "Output",
            "Stream" => "Item",
            _ => return None,
        };
        let PathArguments::AngleBracketed(given) = &last.arguments else { return None };
        given.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(assoc) if assoc.ident == name => Some(&assoc.ty),
            _ => None,
        })
    })
}

/// Whether this is `()`, or a `Result` or an `Option` of it.
pub(crate) fn is_unit(ty: &Type) -> bool {
    match peel(ty) {
        Type::Tuple(tuple) => tuple.elems.is_empty(),
        Type::Path(path) => path.path.segments.last().is_some_and(|last| {
            let PathArguments::AngleBracketed(given) = &last.arguments else { return false };
            ["Result", "Option"].iter().any(|name| last.ident == name)
                && matches!(given.args.first(), Some(GenericArgument::Type(ty)) if is_unit(ty))
        }),
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
            ("(BoxFuture<'a, u8>)", Some("u8")),
            ("futures::stream::LocalBoxStream<'static, u8>", Some("u8")),
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
    fn a_result_of_nothing_is_nothing() {
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
