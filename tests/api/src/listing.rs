//! The public items of a crate, one per line.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use public_api::{PublicApi, PublicItem};
use rustdoc_types::{FORMAT_VERSION, Id};
use serde_json::Value;

use crate::Result;
use crate::paths::Paths;

/// Reads what rustdoc has written, if it is in the format that we know.
pub(crate) fn read(json: &Path) -> Result<Value> {
    let krate: Value = serde_json::from_str(&fs::read_to_string(json)?)?;
    let format = &krate["format_version"];
    if *format != FORMAT_VERSION {
        return Err(format!(
            "the JSON of this toolchain's rustdoc has format {format}, and tests/api reads {FORMAT_VERSION}: \
             tests/api/Cargo.toml needs the versions of `public-api` and `rustdoc-types` for it"
        )
        .into());
    }
    Ok(krate)
}

pub(crate) fn of(krate: &Value, api: &PublicApi, paths: &Paths) -> Result<String> {
    let mut lines = String::new();
    for item in api.items().filter(|item| is_own(krate, item) && is_news(krate, item)) {
        let line = paths.in_line(&item.to_string());
        match indexed(krate, item.id())["inner"]["use"]["source"].as_str() {
            Some(source) => writeln!(lines, "{line} // {source}")?,
            None => writeln!(lines, "{line}")?,
        }
    }
    Ok(lines)
}

/// Whether the crate itself says that it has this item. Implementations for all types are those of other crates.
pub(crate) fn is_own(krate: &Value, item: &PublicItem) -> bool {
    let blanket = |id| implementation(krate, id).is_some_and(|found| !found["blanket_impl"].is_null());
    !blanket(item.id()) && !item.parent_id().is_some_and(blanket)
}

/// Whether an item is worth a line. What a method of an implementation looks like is up to the trait, and an
/// automatic trait is of interest where it is missing or has a condition.
fn is_news(krate: &Value, item: &PublicItem) -> bool {
    let of_trait = |id| implementation(krate, id).is_some_and(|found| !found["trait"].is_null());
    if item.parent_id().is_some_and(of_trait) {
        return indexed(krate, item.id())["inner"]["function"].is_null();
    }
    let Some(found) = implementation(krate, item.id()) else { return true };
    if found["is_synthetic"] != true {
        return true;
    }
    let conditions = found["generics"]["where_predicates"].as_array().is_some_and(|found| !found.is_empty());
    let shown = matches!(found["trait"]["path"].as_str(), Some("Send" | "Sync" | "Unpin"));
    shown && (conditions || found["is_negative"] == true)
}

/// The item of rustdoc's index with this id.
pub(crate) fn indexed(krate: &Value, id: Id) -> &Value {
    &krate["index"][id.0.to_string()]
}

fn implementation(krate: &Value, id: Id) -> Option<&Value> {
    let found = &indexed(krate, id)["inner"]["impl"];
    (!found.is_null()).then_some(found)
}
