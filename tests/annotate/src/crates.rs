//! Crates as published, and with every function annotated.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::diagnostics::Diagnostics;
use crate::source::{ATTRIBUTE, annotate};
use crate::suite::{Results, cargo, output};

type Answer<T> = Result<T, Box<dyn Error>>;

/// Compares the crates one by one. Each is `NAME@VERSION` or a folder. For the crates that follow, `--features=a,b`
/// enables features, `--no-tests` skips their tests, `--names` lists spans that stayed open, and `--attribute=` sets
/// another attribute than `#[::throughline::traced]`.
///
/// # Errors
///
/// Returns an error if a crate cannot be fetched, or cargo cannot be started.
pub fn compare_all(arguments: &[String]) -> Answer<bool> {
    let (mut features, mut tests, mut same) = (Vec::new(), true, true);
    let (mut names, mut attribute) = (false, ATTRIBUTE);
    for argument in arguments {
        match argument.split_once('=') {
            Some(("--features", "")) => features.clear(),
            Some(("--features", list)) => features = vec!["--features".to_owned(), list.to_owned()],
            Some(("--attribute", other)) => attribute = other,
            _ if argument == "--no-tests" => tests = false,
            _ if argument == "--names" => names = true,
            _ => same &= Compared { features: &features, tests, names, attribute }.compare(argument)?,
        }
    }
    Ok(same)
}

struct Compared<'a> {
    features: &'a [String],
    tests: bool,
    names: bool,
    attribute: &'a str,
}

/// The output of cargo for one of the two copies.
struct Said {
    diagnostics: Diagnostics,
    /// The diagnostics of clippy.
    clippy: Diagnostics,
    results: Results,
    /// Spans that were started and that ended.
    spans: (u64, u64),
    open: Vec<String>,
}

impl Compared<'_> {
    fn compare(&self, which: &str) -> Answer<bool> {
        let source = source(which)?;
        let name = source.file_name().map_or_else(|| which.into(), OsStr::to_string_lossy).into_owned();
        let work = work();
        let (plain, annotated) = (work.join("plain").join(&name), work.join("annotated").join(&name));
        for copy in [&plain, &annotated] {
            let _ = fs::remove_dir_all(copy);
            copy_folder(&source, copy)?;
            stand_alone(copy)?;
        }
        let functions = annotate_folder(&annotated, self.attribute)?;
        depend(&annotated)?;

        let (before, after) = (self.say(&plain)?, self.say(&annotated)?);
        let mut differences = Vec::new();
        for (what, before, after) in
            [("rustc", &before.diagnostics, &after.diagnostics), ("clippy", &before.clippy, &after.clippy)]
        {
            differences.extend(after.beyond(before).map(|(it, text)| format!("{what} adds {it}\n{text}")));
            differences.extend(before.beyond(after).map(|(it, text)| format!("{what} no longer says {it}\n{text}")));
        }
        differences.extend(before.results.differences(&after.results));
        let (started, ended) = after.spans;
        if started != ended {
            differences.push(format!("{} spans did not end: {:?}", started - ended, after.open));
        }
        if self.tests && self.attribute.contains("traced") && after.results.count() > 0 && started == 0 {
            differences.push("no span was recorded".to_owned());
        }
        println!(
            "{name}: {functions} functions, {} and {} diagnostics, {} tests, {started} spans, {} differences",
            after.diagnostics.count(),
            after.clippy.count(),
            after.results.count(),
            differences.len()
        );
        for difference in &differences {
            println!("    {}", difference.trim_end().replace('\n', "\n    "));
        }
        Ok(differences.is_empty())
    }

    fn say(&self, folder: &Path) -> Answer<Said> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| work().join("target"), PathBuf::from);
        let target = std::path::absolute(target)?;
        let cargo = |arguments: &[&str]| {
            let mut cargo = cargo(folder);
            cargo.args(arguments).args(self.features).env("CARGO_TARGET_DIR", &target).env("CARGO_INCREMENTAL", "0");
            // So that a crate that denies warnings is compiled completely.
            cargo.env("RUSTC_WORKSPACE_WRAPPER", Path::new(env!("CARGO_MANIFEST_DIR")).join("capped"));
            cargo
        };
        // Targets that do not compile, for lack of a dev-dependency, are compared by their errors.
        let all = ["--lib", "--bins", "--tests", "--keep-going", "--message-format=json"];
        let text = |output: &[u8]| String::from_utf8_lossy(output).into_owned();
        let checked = output(cargo(&["check"]).args(all))?;
        let clippy = output(cargo(&["clippy"]).args(all).args([
            "--",
            // Clippy replaces the wrapper.
            "--cap-lints=warn",
            "-Wclippy::all",
            "-Wclippy::pedantic",
            "-Wclippy::nursery",
            "-Aclippy::cargo",
        ]))?;
        // Only for files of the crate, not of its dependencies.
        let of_its_own = |output: &[u8]| Diagnostics::read_of(&text(output), |file| Path::new(file).is_relative());
        let diagnostics = of_its_own(&checked.stdout);
        if !checked.status.success() && diagnostics.count() == 0 {
            return Err(format!("{} is not built: {}", folder.display(), text(&checked.stderr)).into());
        }
        let report = folder.join("spans");
        let _ = fs::remove_file(&report);
        let mut printed = String::new();
        if self.tests {
            let mut run = cargo(&["test", "--no-fail-fast", "--lib", "--bins", "--tests"]);
            run.env("THROUGHLINE_ANNOTATED", &report);
            if self.names {
                run.env("THROUGHLINE_ANNOTATED_NAMES", "1");
            }
            let tested = output(&mut run)?;
            printed = text(&tested.stdout);
            fs::write(folder.join("test.log"), format!("{printed}\n{}", text(&tested.stderr)))?;
        }
        let (mut spans, mut open) = ((0, 0), Vec::new());
        for line in fs::read_to_string(&report).unwrap_or_default().lines() {
            match line.split_once(' ').map(|(started, ended)| (started.parse::<u64>(), ended.parse::<u64>())) {
                Some((Ok(started), Ok(ended))) => spans = (spans.0 + started, spans.1 + ended),
                _ => open.push(line.trim().to_owned()),
            }
        }
        Ok(Said { diagnostics, clippy: of_its_own(&clippy.stdout), results: Results::read(&printed), spans, open })
    }
}

/// Where the copies are.
fn work() -> PathBuf {
    std::env::temp_dir().join("throughline-annotate")
}

/// The folder of a crate, fetched by cargo if need be.
fn source(which: &str) -> Answer<PathBuf> {
    let Some((name, version)) = which.split_once('@') else { return Ok(fs::canonicalize(which)?) };
    let folder = work().join("fetch").join(format!("{name}-{version}"));
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("src/lib.rs"), "")?;
    let manifest = format!(
        "[package]\nname = \"fetch\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[dependencies]\n{name} = \"={version}\"\n\n[workspace]\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest)?;
    let metadata = output(cargo(&folder).args(["metadata", "--format-version=1"]))?;
    if !metadata.status.success() {
        return Err(format!("{which} cannot be fetched: {}", String::from_utf8_lossy(&metadata.stderr)).into());
    }
    let metadata: Value = serde_json::from_slice(&metadata.stdout)?;
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    let package = packages.iter().find(|package| package["name"] == name && package["version"] == version);
    let manifest = package.and_then(|package| package["manifest_path"].as_str());
    let folder =
        manifest.and_then(|path| Path::new(path).parent()).ok_or("the metadata of cargo does not contain the crate")?;
    Ok(folder.to_owned())
}

fn copy_folder(from: &Path, to: &Path) -> Answer<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if !entry.file_type()?.is_dir() {
            fs::copy(&path, &target)?;
        } else if entry.file_name() != "target" && entry.file_name() != ".git" {
            copy_folder(&path, &target)?;
        }
    }
    Ok(())
}

/// Makes the copy a workspace of its own, with the versions of this one, so that they share compiled crates.
fn stand_alone(folder: &Path) -> Answer<()> {
    let path = folder.join("Cargo.toml");
    let mut manifest = without_criterion(&fs::read_to_string(&path)?);
    if !manifest.lines().any(|line| line.trim() == "[workspace]") {
        manifest.push_str("\n[workspace]\n");
    }
    fs::write(path, manifest)?;
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(())
}

/// A manifest without Criterion, which only benches need, and these are not compiled. For the tests, cargo would
/// compile it, because it compiles all dev-dependencies, and its two dozen dependencies.
fn without_criterion(manifest: &str) -> String {
    let mut kept = String::new();
    let mut section = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line.trim();
        }
        // Both forms, each also for a target: `[target.'cfg(unix)'.dev-dependencies.criterion]`.
        let is_criterion = section.ends_with("dev-dependencies.criterion]")
            || section.ends_with("dev-dependencies]") && line.split([' ', '=', '.']).next() == Some("criterion");
        if !is_criterion {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

fn depend(folder: &Path) -> Answer<()> {
    let facade = Path::new(env!("CARGO_MANIFEST_DIR")).join("facade");
    let path = folder.join("Cargo.toml");
    let mut manifest = fs::read_to_string(&path)?;
    write!(
        manifest,
        "\n[dependencies.throughline]\npackage = \"throughline-annotated\"\npath = \"{}\"\n",
        facade.display()
    )?;
    fs::write(path, manifest)?;
    Ok(())
}

/// Annotates the library, the programs and the tests; benches and examples are unchanged.
fn annotate_folder(folder: &Path, attribute: &str) -> Answer<usize> {
    let mut functions = 0;
    for part in ["src", "tests"] {
        let part = folder.join(part);
        if part.is_dir() {
            functions += annotate_files(&part, attribute)?;
        }
    }
    Ok(functions)
}

fn annotate_files(folder: &Path, attribute: &str) -> Answer<usize> {
    let mut functions = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            functions += annotate_files(&path, attribute)?;
        } else if path.extension().is_some_and(|is| is == "rs") {
            // Files that are only included, or meant to fail, may not parse.
            if let Ok((text, found)) = annotate(&fs::read_to_string(&path)?, attribute) {
                fs::write(&path, text)?;
                functions += found;
            }
        }
    }
    Ok(functions)
}

#[cfg(test)]
mod tests {
    use super::without_criterion;

    #[test]
    fn only_criterion_is_left_out() {
        let manifest = "[[bench]]\nname = \"parse\"\n\n[dev-dependencies]\ncriterion = \"0.8\"\nserde_test = \"1\"\n";
        assert_eq!(without_criterion(manifest), manifest.replace("criterion = \"0.8\"\n", ""));
        let published = "[target.'cfg(not(miri))'.dev-dependencies.criterion]\nversion = \"0.8\"\n\n[dev-dependencies.serde_test]\nversion = \"1\"\n";
        assert_eq!(without_criterion(published), "[dev-dependencies.serde_test]\nversion = \"1\"\n");
    }
}
