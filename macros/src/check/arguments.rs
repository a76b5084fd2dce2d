//! Tags that are named after an argument.

use crate::item_fn::{ItemFn, names_of};
use crate::model::TagSets;
use crate::report::{Report, nearest};
use crate::tag::{Modifier, Source};
use crate::unpacked::patterns;

/// A tag without a value must be named after an argument.
pub(super) fn arguments(tags: &TagSets, item: &ItemFn, report: &Report) {
    let unpacked = patterns(item).into_iter().flat_map(|unpacked| names_of(&unpacked.pat));
    let names: Vec<String> = item.bindings().into_iter().chain(unpacked).map(|name| name.to_string()).collect();
    for tag in tags.own.iter().chain(&tags.scoped) {
        let Source::Argument(ident) = &tag.source else { continue };
        let wanted = ident.to_string();
        if names.contains(&wanted) {
            continue;
        }
        let known = names.iter().map(String::as_str);
        let value =
            if item.sig.receiver().is_some() { format!("{wanted} = self.{wanted}") } else { format!("{wanted} = …") };
        let fix = match nearest(&wanted, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None if Modifier::from_name(&wanted).is_some() => {
                format!("`{wanted}` is a modifier, which wraps tags: `{wanted}(tenant_id)`")
            }
            None if wanted == "skip_all" => "remove it: only what is listed becomes a tag".to_owned(),
            None if names.is_empty() && is_test(item) => {
                format!(
                    "place this attribute above the one that generates the test, or give the tag a value: `{wanted} = …`"
                )
            }
            None if names.is_empty() => format!("give the tag a value: `{value}`"),
            None => format!("use an existing argument, or give the tag a value: `{value}`"),
        };
        // The tag may be one of the whole `impl` block, so the function is named.
        report.error(ident, format_args!("`{}` has no argument `{wanted}`; {fix}", item.sig.ident));
    }
}

/// Whether this may be a test that `#[rstest]` or `#[test_case]` has generated from a function with arguments. The
/// attributes below that one are repeated on each generated test.
fn is_test(item: &ItemFn) -> bool {
    item.attrs.iter().any(|attr| attr.path().segments.last().is_some_and(|last| last.ident == "test"))
}
