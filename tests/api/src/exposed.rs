//! The types and traits of other crates that a public API exposes, in signatures, bounds, implementations and
//! reexports.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};

use public_api::PublicApi;
use serde_json::Value;

use crate::packages::{Package, Packages};
use crate::{Result, listing};

/// Crates below 1.0 whose next incompatible version is not to be expected: their series, and since when it lasts.
const SLOW: [(&str, &str, &str); 8] = [
    ("futures-core", "0.3", "2019"),
    ("futures-sink", "0.3", "2019"),
    ("tower-layer", "0.3", "2019"),
    ("tower-service", "0.3", "2019"),
    ("tracing", "0.1", "2019"),
    ("tracing-core", "0.1", "2019"),
    ("tracing-log", "0.2", "2023"),
    ("tracing-subscriber", "0.3", "2021"),
];

/// How many items of a crate a row names.
const NAMED: usize = 4;

/// The crates of the standard library, whose version is the toolchain's.
const STANDARD: [&str; 4] = ["alloc", "core", "proc_macro", "std"];

/// The rows: which crate, of which other one, what.
#[derive(Default)]
pub(crate) struct Table(Vec<(String, String, String, BTreeSet<String>)>);

impl Table {
    pub(crate) fn add(&mut self, packages: &Packages, package: &Package, krate: &Value, api: &PublicApi) -> Result<()> {
        let mut found = BTreeMap::new();
        for item in api.items().filter(|item| listing::is_own(krate, item)) {
            collect(krate, &listing::indexed(krate, item.id())["inner"], &mut found)?;
        }
        if found.is_empty() {
            self.0.push((package.name.clone(), "nothing".to_owned(), String::new(), BTreeSet::new()));
        }
        for (library, items) in found {
            let exposed = packages.named(package, &library);
            let Some(first) = exposed.first() else {
                return Err(
                    format!("`{}` exposes `{library}`, which no dependency of it is called", package.name).into()
                );
            };
            let series: BTreeSet<_> = exposed.iter().map(|package| package.series()).collect();
            let series = series.into_iter().collect::<Vec<_>>().join(" or ");
            let stability = stability(first, &series);
            self.0.push((package.name.clone(), format!("`{}` {series}", first.name), stability, items));
        }
        Ok(())
    }
}

/// How much a version promises.
fn stability(package: &Package, series: &str) -> String {
    if package.is_local() {
        return "of this repository".to_owned();
    }
    if let Some((_, _, since)) = SLOW.iter().find(|slow| (slow.0, slow.1) == (package.name.as_str(), series)) {
        return format!("slow: {series} since {since}");
    }
    if series == "1" { "stable: 1.x".to_owned() } else { "**moves**".to_owned() }
}

/// Finds the paths in a part of rustdoc's JSON that lead to another crate, and adds them by the crate's name.
fn collect(krate: &Value, part: &Value, found: &mut BTreeMap<String, BTreeSet<String>>) -> Result<()> {
    match part {
        Value::Array(parts) => parts.iter().try_for_each(|part| collect(krate, part, found)),
        Value::Object(fields) => {
            // A `Path` or a `Use`; what is hidden or private here has no summary.
            if (fields.contains_key("path") || fields.contains_key("source"))
                && fields.get("id").is_some_and(Value::is_u64)
            {
                let summary = &krate["paths"][fields["id"].to_string()];
                if summary["crate_id"].as_u64().is_some_and(|id| id != 0) {
                    let library = krate["external_crates"][summary["crate_id"].to_string()]["name"].as_str();
                    let library = library.ok_or("an item belongs to a crate that rustdoc does not name")?;
                    let path: Vec<_> =
                        summary["path"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                    // Items that a macro of that crate generates are not visible to users.
                    let internal = path.iter().any(|part| part.starts_with("__"));
                    if let Some(name) = path.last().filter(|_| !internal && !STANDARD.contains(&library)) {
                        found.entry(library.to_owned()).or_default().insert((*name).to_owned());
                    }
                }
            }
            fields.values().try_for_each(|part| collect(krate, part, found))
        }
        _ => Ok(()),
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| crate | exposes | which is | items |\n|---|---|---|---|")?;
        for (package, exposed, stability, items) in &self.0 {
            let named: Vec<_> = items.iter().take(NAMED).map(|item| format!("`{item}`")).collect();
            let mut named = named.join(", ");
            if items.len() > NAMED {
                write!(named, " and {} more", items.len() - NAMED)?;
            }
            writeln!(f, "| `{package}` | {exposed} | {stability} | {named} |")?;
        }
        Ok(())
    }
}
