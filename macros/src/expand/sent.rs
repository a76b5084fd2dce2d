//! The arguments and the result of a detached job have to be `Send`. The compiler would report this for the
//! future as a whole; a separate bound on each type puts the error at that type.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::quote_spanned;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{FnArg, GenericParam, Ident, Signature, Type};

use super::returns::end_of;
use crate::item_fn::{ItemFn, Returns, cfgs};
use crate::runtime_path::Runtime;

/// A block that requires `Send` of each argument.
pub(super) fn arguments(item: &ItemFn, runtime: &Runtime) -> TokenStream {
    let mut statements = TokenStream::new();
    for input in &item.sig.inputs {
        let FnArg::Typed(typed) = input else { continue };
        let ty = &*typed.ty;
        if is_known(ty, &item.sig) {
            let (at, cfgs) = (Span::mixed_site().located_at(ty.span()), cfgs(&typed.attrs));
            let runtime = runtime.at(at);
            statements.extend(quote_spanned!(at=> #cfgs #runtime::takes::<#ty>();));
        }
    }
    if statements.is_empty() { statements } else { quote_spanned!(Span::mixed_site()=> { #statements }) }
}

/// The type of the result, if it can be named.
pub(super) fn result(item: &ItemFn, runtime: &Runtime) -> Option<TokenStream> {
    let Returns::Value(ty) = item.returns() else { return None };
    let at = Span::mixed_site().located_at(ty.span());
    let runtime = runtime.at(at);
    // The call ends at the end of the type, so that the whole type is underlined.
    let mut call = Group::new(Delimiter::Parenthesis, TokenStream::new());
    call.set_span(at.located_at(end_of(ty)));
    is_known(ty, &item.sig).then(|| quote_spanned!(at=> #runtime::gives::<#ty> #call))
}

/// Whether the type can be named outside of the signature and is not generic. For type parameters, the compiler's own
/// suggestion is better, because this bound would make it suggest one of our traits.
fn is_known(ty: &Type, sig: &Signature) -> bool {
    struct Finder<'a> {
        sig: &'a Signature,
        free: bool,
    }

    impl<'ast> Visit<'ast> for Finder<'_> {
        fn visit_ident(&mut self, ident: &'ast Ident) {
            let own = self.sig.generics.params.iter().any(|param| match param {
                GenericParam::Type(param) => param.ident == *ident,
                GenericParam::Const(param) => param.ident == *ident,
                GenericParam::Lifetime(_) => false,
            });
            // Type parameters of an `impl` block are not visible here; by convention, they have one letter.
            let mut letters = ident.to_string();
            letters.retain(|c| !c.is_ascii_digit());
            self.free |= own || letters == "Self" || letters.len() == 1 && letters.starts_with(char::is_uppercase);
        }

        fn visit_type_impl_trait(&mut self, _: &'ast syn::TypeImplTrait) {
            self.free = true;
        }

        fn visit_type(&mut self, ty: &'ast Type) {
            self.free |= matches!(ty, Type::Macro(_) | Type::Infer(_) | Type::Verbatim(_));
            visit::visit_type(self, ty);
        }
    }

    const PLAIN: [&str; 16] = [
        "String", "bool", "char", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "f32",
        "f64",
    ];
    if matches!(ty, Type::Path(path) if PLAIN.iter().any(|plain| path.path.is_ident(plain))) {
        return false;
    }
    let mut finder = Finder { sig, free: false };
    finder.visit_type(ty);
    !finder.free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_known_if_it_names_no_parameter() {
        for (ty, expected) in [
            ("Order", true),
            ("Vec<u8>", true),
            ("(u8, Rc<Order>)", true),
            ("[Order; 3]", true),
            ("OK", true),
            ("String", false),
            ("u8", false),
            ("Item", false),
            ("Vec<Item>", false),
            ("[Order; LENGTH]", false),
            ("T", false),
            ("Vec<T1>", false),
            ("Arc<Self>", false),
            ("Self::Row", false),
            ("impl Send", false),
            ("Option<_>", false),
            ("made!()", false),
        ] {
            let sig = syn::parse_str("fn f<'a, Item, const LENGTH: usize>()").unwrap();
            assert_eq!(is_known(&syn::parse_str(ty).unwrap(), &sig), expected, "{ty}");
        }
    }
}
