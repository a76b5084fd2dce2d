//! Expansion pairs, for review: `tests/expand/name.rs` is the input, and `name.expanded.rs` the expansion.
//! `THROUGHLINE_BLESS=1` rewrites the second file. Only one of the pairs includes the functions for clippy.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Block, ImplItem, Item, Meta, Result, TraitItem};

#[test]
fn expansions_are_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/expand");
    if !folder.exists() {
        // Straight to the terminal: what a test prints is shown only if it fails.
        let line = b"\nskipped: the expansion pairs are no part of the package\n";
        std::io::stderr().write_all(line).expect("standard error is open");
        return;
    }
    let mut stale = Vec::new();
    for input in inputs(&folder) {
        let output = input.with_extension("expanded.rs");
        let expanded = expanded(&input);
        if fs::read_to_string(&output).is_ok_and(|written| written.replace("\r\n", "\n") == expanded) {
            continue;
        }
        if env::var_os("THROUGHLINE_BLESS").is_some() {
            fs::write(&output, expanded).unwrap();
        } else {
            eprintln!("{} is now:\n\n{expanded}", output.display());
            stale.push(output);
        }
    }
    assert!(stale.is_empty(), "run again with THROUGHLINE_BLESS=1 and read the difference: {stale:?}");
}

fn inputs(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| {
        path.extension().is_some_and(|is| is == "rs") && !path.to_string_lossy().ends_with(".expanded.rs")
    });
    files.sort();
    assert!(!files.is_empty(), "there are no pairs");
    files
}

fn expanded(input: &Path) -> String {
    let mut file = syn::parse_file(&fs::read_to_string(input).unwrap()).unwrap();
    let name = input.file_name().unwrap().to_string_lossy();
    file.items = all(file.items, name == "for_clippy.rs");
    format!(
        "// What the compiler gets for `{name}`. Written by THROUGHLINE_BLESS=1; not for editing.\n\n{}",
        prettyplease::unparse(&file)
    )
}

/// Expands in the compiler's order: repeatedly the first of our attributes, then nested items.
fn all<T: Expand>(items: Vec<T>, for_clippy: bool) -> Vec<T> {
    items.into_iter().flat_map(|item| one(item, false, for_clippy)).collect()
}

fn one<T: Expand>(mut item: T, generated: bool, for_clippy: bool) -> Vec<T> {
    let ours = item.attrs().and_then(|attrs| {
        let at = attrs.iter().position(|attr| name(attr).is_some())?;
        Some(attrs.remove(at))
    });
    let Some(attribute) = ours else {
        if let (true, Some(body)) = (generated, item.body()) {
            assert!(body.stmts.len() <= 2, "more than two statements around a body: {}", body.to_token_stream());
        }
        item.inside(for_clippy);
        return vec![item];
    };
    let Many(mut items) = syn::parse2::<Many<T>>(expand(&attribute, item.into_token_stream())).unwrap();
    if !for_clippy {
        items.retain_mut(|item| {
            let Some(attrs) = item.attrs() else { return true };
            let is = |attr: &Attribute, conditions: [&str; 2]| {
                let attr = attr.to_token_stream().to_string();
                conditions.iter().any(|condition| attr == format!("# [cfg ({condition})]"))
            };
            attrs.retain(|attr| !is(attr, ["not (clippy)", "not (any (clippy , doc))"]));
            !attrs.iter().any(|attr| is(attr, ["clippy", "any (clippy , doc)"]))
        });
    }
    items.into_iter().flat_map(|item| one(item, true, for_clippy)).collect()
}

fn name(attribute: &Attribute) -> Option<String> {
    let name = attribute.path().segments.last()?.ident.to_string();
    ["traced", "traced_spawn", "biz_tags"].contains(&name.as_str()).then_some(name)
}

fn expand(attribute: &Attribute, item: TokenStream) -> TokenStream {
    let arguments = match &attribute.meta {
        Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    match name(attribute).as_deref() {
        Some("traced") => super::traced(arguments, item),
        Some("traced_spawn") => super::traced_spawn(arguments, item),
        _ => super::biz_tags(arguments, item),
    }
}

struct Many<T>(Vec<T>);

impl<T: Parse> Parse for Many<T> {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut items = Vec::new();
        while !input.is_empty() {
            items.push(input.parse()?);
        }
        Ok(Self(items))
    }
}

/// An item that may have attributes.
trait Expand: Parse + ToTokens {
    fn attrs(&mut self) -> Option<&mut Vec<Attribute>>;

    fn body(&self) -> Option<&Block>;

    /// Expands the items within.
    fn inside(&mut self, _for_clippy: bool) {}
}

impl Expand for Item {
    fn attrs(&mut self) -> Option<&mut Vec<Attribute>> {
        match self {
            Self::Fn(item) => Some(&mut item.attrs),
            Self::Impl(item) => Some(&mut item.attrs),
            _ => None,
        }
    }

    fn body(&self) -> Option<&Block> {
        match self {
            Self::Fn(item) => Some(&item.block),
            _ => None,
        }
    }

    fn inside(&mut self, for_clippy: bool) {
        match self {
            Self::Impl(item) => item.items = all(std::mem::take(&mut item.items), for_clippy),
            Self::Trait(item) => item.items = all(std::mem::take(&mut item.items), for_clippy),
            _ => {}
        }
    }
}

impl Expand for ImplItem {
    fn attrs(&mut self) -> Option<&mut Vec<Attribute>> {
        match self {
            Self::Fn(item) => Some(&mut item.attrs),
            _ => None,
        }
    }

    fn body(&self) -> Option<&Block> {
        match self {
            Self::Fn(item) => Some(&item.block),
            _ => None,
        }
    }
}

impl Expand for TraitItem {
    fn attrs(&mut self) -> Option<&mut Vec<Attribute>> {
        match self {
            Self::Fn(item) => Some(&mut item.attrs),
            _ => None,
        }
    }

    fn body(&self) -> Option<&Block> {
        match self {
            Self::Fn(item) => item.default.as_ref(),
            _ => None,
        }
    }
}
