//! Whether a boxed future can be wrapped in a new box together with its span.
//!
//! The new box has to live as long as the old one, and the compiler requires the same of every type it names:
//! wrapping `Pin<Box<dyn Future<Output = U>>>` requires `U: 'static`, which a function that only returns an existing
//! box does not have to declare. A macro sees the bounds of the function, and those of an annotated `impl` block. If
//! they are not sufficient, the box is treated as an ordinary value.

use proc_macro2::Span;
use syn::visit::{self, Visit};
use syn::{
    FnArg, GenericArgument, GenericParam, Generics, Ident, ItemImpl, Lifetime, PathArguments, ReceiverKind, Type,
    TypeParamBound, TypePath, TypeReference, WherePredicate,
};

use crate::item_fn::ItemFn;
use crate::types::{peel, pinned, pinned_opaque};

/// `of_impl` contains what [may hold a borrow](may_borrow) in the surrounding `impl` block, if the block is known.
pub(crate) fn can_be_boxed_again(item: &ItemFn, ty: &Type, of_impl: Option<&[Ident]>) -> bool {
    // An opaque type may name anything.
    if pinned_opaque(ty).is_some() {
        return true;
    }
    let Some(boxed) = Boxed::of(ty) else { return false };
    let mut named = Named { item, of_impl, lives: &boxed.lives, all_live: true };
    for argument in &boxed.arguments {
        named.visit_generic_argument(argument);
    }
    boxed.only_auto_traits && named.all_live
}

/// The type parameters of a block without a `'static` bound, and `Self` if its type has a lifetime.
pub(crate) fn may_borrow(header: &ItemImpl) -> Vec<Ident> {
    let generics = &header.generics;
    let types = generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some(&param.ident),
        _ => None,
    });
    let types = types.filter(|ident| !is_bound(generics, ident, "static")).cloned();
    types.chain(has_lifetime(&header.self_ty).then(this)).collect()
}

/// `Self`, which does not parse as an identifier, because it is a keyword.
fn this() -> Ident {
    Ident::new("Self", Span::call_site())
}

/// Whether a lifetime other than `'static` is written in the type.
fn has_lifetime(ty: &Type) -> bool {
    struct Finder(bool);

    impl<'ast> Visit<'ast> for Finder {
        fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
            self.0 |= lifetime.ident != "static";
        }

        fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
            self.0 |= reference.lifetime.is_none();
            visit::visit_type_reference(self, reference);
        }
    }

    let mut finder = Finder(false);
    finder.visit_type(ty);
    finder.0
}

struct Boxed<'a> {
    /// The lifetime of the boxed value; `_` if it is elided in a reference.
    lives: String,
    arguments: Vec<&'a GenericArgument>,
    only_auto_traits: bool,
}

impl<'a> Boxed<'a> {
    fn of(ty: &'a Type) -> Option<Self> {
        if let Some(bounds) = pinned(ty) {
            let mut boxed = Self { lives: "static".into(), arguments: Vec::new(), only_auto_traits: true };
            for bound in bounds {
                match bound {
                    TypeParamBound::Lifetime(lifetime) => boxed.lives = lifetime.ident.to_string(),
                    TypeParamBound::Trait(bound) => {
                        let last = bound.path.segments.last()?;
                        match &last.arguments {
                            PathArguments::AngleBracketed(given) => boxed.arguments.extend(&given.args),
                            _ => {
                                boxed.only_auto_traits &=
                                    ["Send", "Sync", "Unpin"].iter().any(|auto| last.ident == auto);
                            }
                        }
                    }
                    _ => return None,
                }
            }
            return Some(boxed);
        }
        // `BoxFuture<'a, T>`. An alias without a lifetime may imply `'static`.
        let Type::Path(path) = peel(ty) else { return None };
        let mut boxed = Self { lives: "static".into(), arguments: Vec::new(), only_auto_traits: true };
        if let PathArguments::AngleBracketed(given) = &path.path.segments.last()?.arguments {
            for argument in &given.args {
                match argument {
                    GenericArgument::Lifetime(lifetime) => boxed.lives = lifetime.ident.to_string(),
                    other => boxed.arguments.push(other),
                }
            }
        }
        Some(boxed)
    }
}

/// Checks whether everything that a type names outlives the box.
struct Named<'a> {
    item: &'a ItemFn,
    of_impl: Option<&'a [Ident]>,
    lives: &'a str,
    all_live: bool,
}

impl Named<'_> {
    /// `is_whole`: the name is the whole path, and not the first segment of one such as `Self::Row`.
    fn type_lives(&self, ident: &Ident, is_whole: bool) -> bool {
        let generics = &self.item.sig.generics;
        let own =
            generics.params.iter().any(|param| matches!(param, GenericParam::Type(param) if param.ident == *ident));
        if own {
            return is_bound(generics, ident, "static")
                || is_bound(generics, ident, self.lives)
                || self
                    .item
                    .sig
                    .inputs
                    .iter()
                    .any(|input| matches!(input, FnArg::Typed(typed) if borrows(&typed.ty, self.lives, ident)));
        }
        if generics.params.iter().any(|param| matches!(param, GenericParam::Const(param) if param.ident == *ident)) {
            return true;
        }
        let of_impl = match self.of_impl {
            // A box with one of the block's lifetimes does not outlive what `Self` borrows.
            Some(known) if ident == "Self" => {
                known.iter().any(|known| known != "Self" || is_whole && self.lives == "static")
            }
            Some(known) => known.contains(ident),
            // By convention, a name without lower-case letters is a type parameter.
            None => ident == "Self" || !ident.to_string().contains(|c: char| c.is_lowercase()),
        };
        !of_impl || self.borrows_self() || is_bound(generics, ident, self.lives) || is_bound(generics, ident, "static")
    }

    /// Whether the box has the lifetime of a borrow of `self`, which everything in `Self` outlives.
    fn borrows_self(&self) -> bool {
        let Some(FnArg::Receiver(receiver)) = self.item.sig.inputs.first() else { return false };
        match &receiver.kind {
            ReceiverKind::Reference(_, lifetime, _) => is_lifetime(lifetime.as_ref(), self.lives),
            ReceiverKind::Typed(_, ty) => borrows(ty, self.lives, &this()),
            _ => false,
        }
    }
}

impl<'ast> Visit<'ast> for Named<'_> {
    fn visit_type_path(&mut self, path: &'ast TypePath) {
        if let (None, None, Some(first)) = (&path.qself, path.path.leading_colon, path.path.segments.first()) {
            let parameter = matches!(first.arguments, PathArguments::None);
            if parameter && !self.type_lives(&first.ident, path.path.segments.len() == 1) {
                self.all_live = false;
            }
        }
        visit::visit_type_path(self, path);
    }

    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        if reference.lifetime.is_none() && self.lives != "_" {
            self.all_live = false;
        }
        visit::visit_type_reference(self, reference);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        let outlives = lifetime.ident == "static"
            || lifetime.ident == self.lives
            || is_bound(&self.item.sig.generics, &lifetime.ident, self.lives);
        if !outlives {
            self.all_live = false;
        }
    }
}

/// Whether `generics` contain the bound `name: 'lives`.
fn is_bound(generics: &Generics, name: &Ident, lives: &str) -> bool {
    let lifetime = |bound: &TypeParamBound| matches!(bound, TypeParamBound::Lifetime(it) if it.ident == lives);
    let params = generics.params.iter().any(|param| match param {
        GenericParam::Type(param) => param.ident == *name && param.bounds.iter().any(lifetime),
        GenericParam::Lifetime(param) => {
            param.lifetime.ident == *name && param.bounds.iter().any(|it| it.ident == lives)
        }
        GenericParam::Const(_) => false,
    });
    let predicates = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    params
        || predicates.into_iter().any(|predicate| match predicate {
            WherePredicate::Type(of) => {
                matches!(peel(&of.bounded_ty), Type::Path(path) if path.path.is_ident(name))
                    && of.bounds.iter().any(lifetime)
            }
            WherePredicate::Lifetime(of) => of.lifetime.ident == *name && of.bounds.iter().any(|it| it.ident == lives),
            _ => false,
        })
}

/// Whether `ty` contains a reference with that lifetime to a type that mentions `name`.
fn borrows(ty: &Type, lives: &str, name: &Ident) -> bool {
    struct Borrows<'a> {
        lives: &'a str,
        name: &'a Ident,
        found: bool,
    }

    impl<'ast> Visit<'ast> for Borrows<'_> {
        fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
            let mut inside = Mentions { name: self.name, found: false };
            inside.visit_type(&reference.elem);
            self.found |= inside.found && is_lifetime(reference.lifetime.as_ref(), self.lives);
            visit::visit_type_reference(self, reference);
        }
    }

    struct Mentions<'a> {
        name: &'a Ident,
        found: bool,
    }

    impl<'ast> Visit<'ast> for Mentions<'_> {
        fn visit_ident(&mut self, ident: &'ast Ident) {
            self.found |= ident == self.name;
        }
    }

    let mut borrows = Borrows { lives, name, found: false };
    borrows.visit_type(ty);
    borrows.found
}

fn is_lifetime(lifetime: Option<&Lifetime>, lives: &str) -> bool {
    match lifetime {
        Some(lifetime) => lifetime.ident == lives,
        None => lives == "_",
    }
}

#[cfg(test)]
mod tests;
