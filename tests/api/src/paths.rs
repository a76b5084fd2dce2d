//! The paths by which the published crates refer to items of each other.

use std::collections::HashMap;

use public_api::PublicApi;
use serde_json::Value;

use crate::listing;

/// From where an item is defined to where it is public. Of another crate, rustdoc only knows the former, which may be
/// in a private module.
#[derive(Default)]
pub(crate) struct Paths(HashMap<String, String>);

impl Paths {
    pub(crate) fn add(&mut self, krate: &Value, api: &PublicApi) {
        for item in api.items() {
            let summary = &krate["paths"][item.id().0.to_string()]["path"];
            let defined: Vec<_> = summary.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let Some((root, name)) = defined.first().zip(defined.last()) else { continue };
            let line = item.to_string();
            // `pub struct`, `pub unsafe trait` and so on; then the path, and what belongs to it.
            let public = words(&line).find(|word| {
                word.strip_prefix(root).is_some_and(|rest| rest.starts_with("::"))
                    && word.rsplit("::").next() == Some(*name)
            });
            let is_reexport = !listing::indexed(krate, item.id())["inner"]["use"].is_null();
            if let Some(public) = public.filter(|_| !is_reexport) {
                self.0.entry(defined.join("::")).or_insert_with(|| public.to_owned());
            }
        }
    }

    /// The line with public paths.
    pub(crate) fn in_line(&self, line: &str) -> String {
        let mut rest = line;
        let mut result = String::new();
        for word in words(line) {
            let Some((before, after)) = rest.split_once(word) else { break };
            result.push_str(before);
            result.push_str(self.0.get(word).map_or(word, String::as_str));
            rest = after;
        }
        result + rest
    }
}

/// The identifiers and paths in a line.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'))
        .map(|word| word.trim_matches(':'))
        .filter(|word| !word.is_empty())
}
