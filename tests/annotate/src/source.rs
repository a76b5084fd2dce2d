//! Adds the attribute to every function of a file that can have it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Block, FnArg, ImplItemFn, ItemFn, Pat, PatIdent, Signature, TraitItemFn, Visibility};

/// The attribute that is added if no other is named.
pub const ATTRIBUTE: &str = "#[::throughline::traced]";

/// Attributes of functions that cannot be annotated.
const NOT_OURS: &[&str] = &["naked", "panic_handler", "proc_macro", "proc_macro_attribute", "proc_macro_derive"];

/// Returns the file with `attribute` on its functions, and their number. The attribute comes after the function's other
/// ones, on the line where the function begins, so that line numbers do not change. In it, `{arguments}` stands for a
/// tag for each argument that has a name.
///
/// # Errors
///
/// If the file cannot be parsed.
pub fn annotate(text: &str, attribute: &str) -> syn::Result<(String, usize)> {
    let file = syn::parse_file(text)?;
    let mut places = Places(BTreeMap::new());
    places.visit_file(&file);
    let at = places.0;
    let mut out = String::with_capacity(text.len() + at.len() * (attribute.len() + 1));
    let mut from = 0;
    for (place, tags) in &at {
        out.push_str(&text[from..*place]);
        out.push_str(&attribute.replace("{arguments}", tags));
        out.push(' ');
        from = *place;
    }
    out.push_str(&text[from..]);
    Ok((out, at.len()))
}

/// The offset at which each function begins, and the tags of its arguments.
struct Places(BTreeMap<usize, String>);

impl Places {
    fn function(&mut self, attrs: &[Attribute], vis: Option<&Visibility>, first: Option<Span>, sig: &Signature) {
        let named =
            |attr: &Attribute| NOT_OURS.iter().any(|name| attr.path().segments.iter().any(|it| it.ident == name));
        if sig.constness.is_some() || sig.variadic.is_some() || attrs.iter().any(named) {
            return;
        }
        let begins = match vis {
            Some(vis) if !matches!(vis, Visibility::Inherited) => vis.span(),
            _ => first.unwrap_or_else(|| sig.span()),
        };
        self.0.insert(begins.byte_range().start, tags(sig));
    }
}

/// A tag for each argument that has a name, of any type, and one that is always there, because the list must not be
/// empty.
fn tags(sig: &Signature) -> String {
    let mut tags = "annotated = 1".to_owned();
    for input in &sig.inputs {
        let FnArg::Typed(typed) = input else { continue };
        if let Pat::Ident(PatIdent { attrs, by_ref: None, subpat: None, ident, .. }) = &*typed.pat {
            if attrs.is_empty() && typed.attrs.is_empty() {
                let _ = write!(tags, ", {ident} = ::core::mem::align_of_val(&{ident})");
            }
        }
    }
    tags
}

impl<'ast> Visit<'ast> for Places {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(&item.attrs, Some(&item.vis), None, &item.sig);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        let default = item.modifiers.defaultness.as_ref().map(Spanned::span);
        self.function(&item.attrs, Some(&item.vis), default, &item.sig);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(Block { .. }) = &item.default {
            self.function(&item.attrs, None, None, &item.sig);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_annotated_where_they_begin() {
        let text = "/// Docs.\n#[inline]\npub fn a() { fn inner() {} }\nconst fn b() {}\nimpl X {\n    pub(crate) unsafe fn c(&self) {}\n}\ntrait T { fn d(); async fn e() {} }\nmacro_rules! m { () => { fn f() {} } }\n";
        let (annotated, functions) = annotate(text, ATTRIBUTE).unwrap();
        assert_eq!(functions, 4);
        assert_eq!(annotated.lines().count(), text.lines().count());
        let plain = annotated.replace(&format!("{ATTRIBUTE} "), "");
        assert_eq!(plain, text);
        assert!(
            annotated.contains("#[inline]\n#[::throughline::traced] pub fn a() { #[::throughline::traced] fn inner")
        );
        assert!(annotated.contains("fn d(); #[::throughline::traced] async fn e"));
        assert!(annotated.contains("    #[::throughline::traced] pub(crate) unsafe fn c"));
    }

    #[test]
    fn arguments_become_tags() {
        let text = "impl X { fn a(&self, mut b: u8, _: u8, (c, d): (u8, u8)) {} }";
        let (annotated, _) = annotate(text, "#[tagged({arguments})]").unwrap();
        assert_eq!(annotated, text.replace("fn a", "#[tagged(annotated = 1, b = ::core::mem::align_of_val(&b))] fn a"));
    }
}
