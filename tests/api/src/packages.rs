//! Package metadata from cargo: names, versions, dependencies.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::Result;

/// All packages of the workspace's dependency graph.
pub(crate) struct Packages {
    target: PathBuf,
    by_id: HashMap<String, Package>,
}

pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    folder: PathBuf,
    /// The name by which Rust code knows the library, as its own manifest has it.
    library: String,
    /// Whether it is of this repository. Not all of these are members of the workspace.
    local: bool,
    /// The ids of its dependencies, without those of its tests.
    dependencies: Vec<String>,
}

impl Packages {
    /// Asks cargo, in the current folder, with all features.
    pub(crate) fn read() -> Result<Self> {
        let output =
            Command::new("cargo").args(["metadata", "--locked", "--format-version", "1", "--all-features"]).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        let mut by_id = HashMap::new();
        for package in list(&metadata["packages"]) {
            let id = text(&package["id"]);
            let library = list(&package["targets"])
                .find(|target| strings(&target["kind"]).any(|kind| kind == "proc-macro" || kind.ends_with("lib")))
                .map_or("", |target| text(&target["name"]));
            let known = Package {
                name: text(&package["name"]).to_owned(),
                version: text(&package["version"]).to_owned(),
                folder: Path::new(text(&package["manifest_path"])).parent().unwrap_or(Path::new("")).to_owned(),
                library: library.replace('-', "_"),
                local: package["source"].is_null(),
                dependencies: Vec::new(),
            };
            by_id.insert(id.to_owned(), known);
        }
        for node in list(&metadata["resolve"]["nodes"]) {
            let dependencies = list(&node["deps"])
                .filter(|dependency| list(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null()))
                .map(|dependency| text(&dependency["pkg"]).to_owned());
            if let Some(package) = by_id.get_mut(text(&node["id"])) {
                package.dependencies = dependencies.collect();
            }
        }
        Ok(Self { target: text(&metadata["target_directory"]).into(), by_id })
    }

    /// The package in this folder.
    pub(crate) fn in_folder(&self, folder: &str) -> Result<&Package> {
        let path = fs::canonicalize(folder)?;
        let mut found = self.by_id.values().filter(|package| package.local && package.folder == path);
        found
            .next()
            .ok_or_else(|| format!("`{folder}` is neither a member of the workspace nor a dependency of one").into())
    }

    /// Where rustdoc has described a package.
    pub(crate) fn rustdoc_json(&self, package: &Package) -> Result<PathBuf> {
        let json = self.target.join("doc").join(format!("{}.json", package.library));
        if json.exists() { Ok(json) } else { Err(format!("there is no {}", json.display()).into()) }
    }

    /// The packages that `library` can be in the code of `package`: the dependency of that name, or else all such
    /// packages below its dependencies.
    pub(crate) fn named<'a>(&'a self, package: &'a Package, library: &str) -> Vec<&'a Package> {
        let named = |package: &&Package| package.library == library;
        let direct: Vec<_> = self.dependencies(package).filter(named).collect();
        if !direct.is_empty() {
            return direct;
        }
        let mut seen = BTreeSet::new();
        let mut waiting: Vec<_> = package.dependencies.iter().collect();
        while let Some(id) = waiting.pop() {
            if seen.insert(id) {
                waiting.extend(&self.by_id[id].dependencies);
            }
        }
        seen.into_iter().map(|id| &self.by_id[id]).filter(named).collect()
    }

    fn dependencies<'a>(&'a self, package: &'a Package) -> impl Iterator<Item = &'a Package> {
        package.dependencies.iter().map(|id| &self.by_id[id])
    }
}

impl Package {
    /// The versions that cargo holds to be compatible: `1` for 1.4.2, and `0.33` for 0.33.1.
    pub(crate) fn series(&self) -> &str {
        let parts = if self.version.starts_with("0.") { 2 } else { 1 };
        self.version.match_indices('.').nth(parts - 1).map_or(&self.version, |(end, _)| &self.version[..end])
    }

    pub(crate) fn is_local(&self) -> bool {
        self.local
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    list(value).filter_map(Value::as_str)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
