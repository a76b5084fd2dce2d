//! Gives a closure or an async block the return type of the function that it replaces.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens as _, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{GenericArgument, Path, PathArguments, Type, TypeParamBound};

use crate::item_fn::Returns;
use crate::runtime_path::Runtime;

/// `-> Type` for a closure at `span`.
pub(crate) fn annotation(returns: Returns<'_>, span: Span) -> TokenStream {
    match returns {
        Returns::Unit => quote_spanned!(span=> -> ()),
        Returns::Never => quote_spanned!(span=> -> !),
        Returns::Value(ty) => {
            let ty = inferred(ty);
            quote_spanned!(span=> -> #ty)
        }
    }
}

/// A statement that determines the type of an async block, which has no syntax for a return type: a `return` that is
/// never reached, but is the first one that type inference sees.
///
/// The compiler adds advice to an error in a type argument, and then it differs from the error in the signature and is
/// reported as well. So the type is an argument only where it is one in the signature, too: `as_argument`.
pub(crate) fn hint(returns: Returns<'_>, as_argument: bool, runtime: &Runtime) -> TokenStream {
    let mut span = Span::mixed_site();
    let is_written = matches!(returns, Returns::Value(_));
    let ty = match returns {
        Returns::Unit => quote_spanned!(span=> ()),
        Returns::Never => quote_spanned!(span=> #runtime::Infallible),
        Returns::Value(ty) => {
            // Type errors in the body refer to the location of the return type.
            span = span.located_at(ty.span());
            match inferred(ty) {
                Type::Infer(_) => return TokenStream::new(),
                ty => quote_spanned!(span=> #ty),
            }
        }
    };
    let runtime = runtime.at(span);
    if as_argument || !is_written {
        return quote_spanned!(span=> if false { return #runtime::returns::<#ty>(); });
    }
    quote_spanned!(span=> if false { let __returned: #ty = #runtime::returns(); return __returned; })
}

/// The location of the last token of a type.
pub(crate) fn end_of(ty: &Type) -> Span {
    match ty.to_token_stream().into_iter().last() {
        Some(TokenTree::Group(group)) => group.span_close(),
        Some(token) => token.span(),
        None => Span::mixed_site(),
    }
}

/// The type with `_` instead of every `impl Trait`, which is only allowed in signatures.
pub(crate) fn inferred(ty: &Type) -> Type {
    let mut ty = ty.clone();
    infer(&mut ty);
    ty
}

fn infer(ty: &mut Type) {
    match ty {
        Type::ImplTrait(_) => *ty = syn::parse_quote!(_),
        Type::Path(path) => infer_arguments(&mut path.path),
        Type::TraitObject(object) => {
            for bound in &mut object.bounds {
                if let TypeParamBound::Trait(bound) = bound {
                    infer_arguments(&mut bound.path);
                }
            }
        }
        Type::Array(array) => infer(&mut array.elem),
        Type::Group(group) => infer(&mut group.elem),
        Type::Paren(paren) => infer(&mut paren.elem),
        Type::Ptr(ptr) => infer(&mut ptr.elem),
        Type::Reference(reference) => infer(&mut reference.elem),
        Type::Slice(slice) => infer(&mut slice.elem),
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(infer),
        _ => {}
    }
}

fn infer_arguments(path: &mut Path) {
    for segment in &mut path.segments {
        if let PathArguments::AngleBracketed(arguments) = &mut segment.arguments {
            for argument in &mut arguments.args {
                match argument {
                    GenericArgument::Type(ty) => infer(ty),
                    GenericArgument::AssocType(assoc) => infer(&mut assoc.ty),
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proc_macro2::{Delimiter, Group, TokenTree};
    use quote::quote;
    use syn::parse_quote;

    use super::*;

    #[test]
    fn impl_trait_is_inferred_wherever_it_stands() {
        let ty: Type = parse_quote!(Result<(impl Iterator<Item = u8>, &'a [impl Copy]), Box<dyn Error>>);
        let expected: Type = parse_quote!(Result<(_, &'a [_]), Box<dyn Error>>);
        assert_eq!(inferred(&ty).to_token_stream().to_string(), expected.to_token_stream().to_string());

        let ty: Type =
            parse_quote!((*const impl Copy, [impl Copy; 2], (impl Copy), Box<dyn Iterator<Item = impl Copy>>, u8));
        let expected: Type = parse_quote!((*const _, [_; 2], (_), Box<dyn Iterator<Item = _>>, u8));
        assert_eq!(inferred(&ty).to_token_stream().to_string(), expected.to_token_stream().to_string());
    }

    #[test]
    fn impl_trait_is_inferred_in_a_type_that_a_macro_has_been_given() {
        let given = |ty| TokenTree::Group(Group::new(Delimiter::None, ty));
        let (ty, expected) = (given(quote!(Box<impl Copy>)), given(quote!(Box<_>)));
        let (ty, expected): (Type, Type) = (parse_quote!(Option<#ty>), parse_quote!(Option<#expected>));
        assert_eq!(inferred(&ty).to_token_stream().to_string(), expected.to_token_stream().to_string());
    }
}
