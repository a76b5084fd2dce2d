//! Lints the shapes of `tests/shapes` and the functions of `tests/lints`, with and without the attributes.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::suite::{cargo, output};

/// Where the lints may differ: the lint, a part of its line, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("clippy::unwrap_used", "#[traced(parent = ", "it is the attribute's own expression"),
    ("unused_variables", "fn f(n: u8, a: Noisy) -> u8 {", "the tags use the arguments"),
    ("unused_variables", "fn f((n, _): (u8, Noisy), [m, ..]", "the tags use the arguments"),
    ("unused_variables", "fn f(n: u8, (a, _): (Noisy, Noisy))", "the tags use the arguments"),
    ("clippy::collection_is_never_read", "fn f((n, _): (u8, Noisy), [m, ..]", "the tags use the list"),
    ("clippy::unused_self", "fn f(&self, m: u8, a: Noisy) -> u8 {", "the tags use it"),
    ("clippy::unused_self", "fn g(&self, m: u8)", "the tags use it"),
    ("dead_code", "struct S(u8);", "the tags use the field"),
    ("clippy::missing_const_for_fn", "fn f(&self, m: u8, a: Noisy) -> u8 {", "the tags are not constants"),
    ("clippy::missing_const_for_fn", "fn g(&self, m: u8)", "the tags are not constants"),
    ("unused_variables", "make! { async fn sum(", "the compiler reports the location in the caller, not in the macro"),
    ("unused_variables", "$vis async fn $name(", "the compiler reports the location in the caller, not in the macro"),
    ("unused_variables", "make!(n);", "the compiler reports the location in the caller, not in the macro"),
    (
        "unused_variables",
        "fn f(n: Noisy, $n: Noisy)",
        "the compiler reports the location in the caller, not in the macro",
    ),
    ("clippy::missing_const_for_fn", "fn g(&self) -> u8 {", "the tags are not constants"),
    ("clippy::missing_const_for_fn", "macro_rules! make { ($name:literal, $f:ident", "the tags are not constants"),
];

/// All groups of clippy except `cargo`, which is about manifests, and the lints of rustc that are allowed by default.
const CLIPPY: &[&str] = &["clippy::all", "clippy::pedantic", "clippy::nursery", "clippy::restriction"];
const RUSTC: &[&str] = &[
    "closure-returning-async-block",
    "explicit-outlives-requirements",
    "future-incompatible",
    "if-let-rescope",
    "impl-trait-redundant-captures",
    "keyword-idents",
    "let-underscore",
    "let-underscore-drop",
    "missing-copy-implementations",
    "missing-debug-implementations",
    "missing-docs",
    "nonstandard-style",
    "redundant-lifetimes",
    "refining-impl-trait",
    "rust-2018-idioms",
    "single-use-lifetimes",
    "tail-expr-drop-order",
    "trivial-casts",
    "trivial-numeric-casts",
    "unit-bindings",
    "unnameable-types",
    "unreachable-pub",
    "unsafe-code",
    "unused",
    "unused-import-braces",
    "unused-lifetimes",
    "unused-macro-rules",
    "unused-qualifications",
    "unused-results",
    "variant-size-differences",
];

/// Compares the lints, and returns whether they are the same except for the exceptions.
///
/// # Errors
///
/// If cargo does not start, or a run has too few diagnostics.
pub fn compare() -> Result<bool, Box<dyn Error>> {
    let mut same = true;
    for (tool, command) in [("clippy", "clippy"), ("rustc", "rustc")] {
        let (plain, traced) = (lint(command, "plain")?, lint(command, "traced")?);
        let mut differences = 0;
        for (what, one, other) in [("adds", &traced, &plain), ("no longer says", &plain, &traced)] {
            for (diagnostic, text) in one.beyond(other).filter(|(diagnostic, _)| !is_exception(diagnostic)) {
                println!("{tool} {what} {diagnostic}\n{text}");
                differences += 1;
            }
        }
        println!("{tool}: {} diagnostics without the attribute, {differences} differences with it", plain.count());
        same &= differences == 0;
        if plain.count() < 100 {
            return Err(format!("{tool} has too few diagnostics for a comparison").into());
        }
    }
    Ok(same)
}

fn lint(command: &str, attributes: &str) -> Result<Diagnostics, Box<dyn Error>> {
    let root = root();
    let mut cargo = cargo(&root);
    cargo.args([command, "-p", "throughline-shapes", "--test", "shapes", "--message-format=json"]);
    // Without the lints of what the shapes depend on, which would be discarded.
    cargo.arg(if command == "clippy" { "--no-deps" } else { "--profile=check" });
    cargo.args(["--", "--cap-lints=warn", "--cfg=linted"]).arg(format!("--cfg=linted=\"{attributes}\""));
    if command == "clippy" {
        cargo.args(CLIPPY.iter().map(|group| format!("-W{group}"))).arg("-Aclippy::blanket_clippy_restriction_lints");
    }
    cargo.args(RUSTC.iter().map(|lint| format!("-W{lint}")));
    let output = output(&mut cargo)?;
    if !output.status.success() {
        return Err(format!("{cargo:?} fails: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(Diagnostics::read_of(&String::from_utf8_lossy(&output.stdout), |file| {
        // The harness selects the attributes, and therefore differs.
        file.contains("shapes/shapes/") && !file.ends_with("harness.rs")
    }))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn is_exception(diagnostic: &Diagnostic) -> bool {
    let text = fs::read_to_string(root().join(&diagnostic.file)).unwrap_or_default();
    let at = usize::try_from(diagnostic.line).unwrap_or_default().saturating_sub(1);
    let line = text.lines().nth(at).unwrap_or_default();
    EXCEPTIONS.iter().any(|(lint, part, _)| diagnostic.code == *lint && line.contains(part))
}
