//! `docs/attributes.md` lists exactly the names that Throughline writes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Namespaces of the semantic conventions in which Throughline writes.
const NAMESPACES: [&str; 18] = [
    "client",
    "code",
    "container",
    "db",
    "error",
    "exception",
    "host",
    "http",
    "messaging",
    "network",
    "os",
    "process",
    "rpc",
    "server",
    "service",
    "thread",
    "url",
    "user_agent",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}

/// The source files of the published crates, without their tests.
fn sources() -> Vec<PathBuf> {
    let mut folders = vec![root().join("runtime/src")];
    if let Ok(integrations) = fs::read_dir(root().join("integrations")) {
        folders.extend(integrations.map(|entry| entry.expect("an entry").path().join("src")));
    }
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        // A folder need not have sources.
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            let is_tests = path.file_stem().is_some_and(|stem| stem == "tests");
            if path.is_dir() && !is_tests {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_tests {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 50, "{files:?}");
    files
}

/// The names that the code writes: those in string literals, those of fields of log events (`throughline.tags = tags`),
/// and the constants of `semconv` that are used.
fn written() -> BTreeSet<String> {
    let (mut names, mut constants, mut used) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
    for path in sources() {
        let source = fs::read_to_string(&path).expect("a source");
        let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for line in code.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for (at, name) in runs(line) {
                let (before, after) = (&line[..at], &line[at + name.len()..]);
                let is_literal = before.ends_with('"') && after.starts_with('"');
                let is_field = !before.ends_with('"') && after.starts_with(" = ");
                if is_literal && path.to_string_lossy().contains("/semconv/") {
                    constants.push(name.to_owned());
                } else if is_literal || is_field && is_ours(name) {
                    names.insert(name.to_owned());
                }
            }
            // The declaration of a constant is not a use.
            let words = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            used.extend(words.filter(|_| !line.ends_with("\";")).map(str::to_owned));
        }
    }
    names.extend(constants.into_iter().filter(|name| used.contains(&constant(name))));
    names
}

/// The constant of `semconv` for `name`.
fn constant(name: &str) -> String {
    name.to_uppercase().replace('.', "_")
}

/// The parts of `line` that may be names, with their positions.
fn runs(line: &str) -> impl Iterator<Item = (usize, &str)> {
    line.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-')))
        .filter(|run| !run.is_empty())
        .map(move |run| (run.as_ptr() as usize - line.as_ptr() as usize, run))
}

/// The names in the first column of the page's tables, and our own names anywhere on the page. A name with a variable
/// part, such as `http.request.header.<name>`, is replaced by its prefix.
fn listed() -> BTreeSet<String> {
    let page = fs::read_to_string(root().join("docs/attributes.md")).expect("the page");
    let mut names = BTreeSet::new();
    for line in page.lines() {
        let first = line.strip_prefix("| ").and_then(|line| line.split(" |").next()).unwrap_or_default();
        names.extend(quoted(first).filter(|name| is_conventional(name)));
        names.extend(quoted(line).filter(|name| is_ours(name) && !name.ends_with('*')));
    }
    names.into_iter().map(|name| name.split('<').next().unwrap_or_default().to_owned()).collect()
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn is_ours(name: &str) -> bool {
    name.starts_with("throughline.")
}

fn is_conventional(name: &str) -> bool {
    name.split_once('.').is_some_and(|(namespace, _)| NAMESPACES.contains(&namespace))
}

#[test]
fn the_page_lists_what_the_code_writes() {
    let (written, listed) = (written(), listed());
    // A name that ends in a dot is a prefix that the console looks for.
    let is_name = |name: &&String| (is_ours(name) || is_conventional(name)) && !name.ends_with('.');
    let is_listed = |name: &&String| listed.contains(*name) || listed.contains(&format!("{name}."));
    let missing: Vec<_> = written.iter().filter(is_name).filter(|name| !is_listed(name)).collect();
    assert!(missing.is_empty(), "docs/attributes.md does not list {missing:#?}");
}

#[test]
fn the_code_writes_what_the_page_lists() {
    let (written, listed) = (written(), listed());
    let is_written = |name: &&String| written.contains(*name) || written.contains(name.trim_end_matches('.'));
    let gone: Vec<_> = listed.iter().filter(|name| !is_written(name)).collect();
    assert!(gone.is_empty(), "nothing writes what docs/attributes.md lists: {gone:#?}");
    assert!(listed.len() > 80, "{listed:?}");
}
