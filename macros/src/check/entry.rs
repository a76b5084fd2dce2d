//! Functions that a runtime or a test harness calls. It expects the return type that is written.

use quote::{ToTokens as _, quote};
use syn::{Attribute, Error};

use crate::item_fn::ItemFn;
use crate::report::Report;
use crate::shown::shown;

/// Whether this is `main`, or has an attribute such as `#[tokio::main]` or `#[test]`.
pub(crate) fn is_entry_point(item: &ItemFn) -> bool {
    error(item).is_some()
}

/// Reports `#[traced_spawn]` on such a function, and returns whether it is one.
pub(super) fn entry_point(item: &ItemFn, report: &Report) -> bool {
    error(item).is_some_and(|error| {
        report.push(error);
        true
    })
}

fn error(item: &ItemFn) -> Option<Error> {
    let (place, what) = match item.attrs.iter().find(|attr| calls(attr)) {
        Some(attr) => {
            let path = attr.path();
            // `#[tokio::test]` above has become the test attribute of `core`.
            let path =
                if path.leading_colon.is_some() { path.segments.last().to_token_stream() } else { quote!(#path) };
            (attr.path().to_token_stream(), shown(quote!(#[#path])))
        }
        // `#[tokio::main]` above has removed `async`.
        None if item.sig.asyncness.is_none() && item.sig.ident == "main" && item.sig.inputs.is_empty() => {
            (item.sig.ident.to_token_stream(), "main".to_owned())
        }
        None => return None,
    };
    let message = format!(
        "`#[traced_spawn]` returns the handle of a job, but the caller of `{what}` waits for the function itself; use `#[traced]`, or spawn another function in it"
    );
    Some(Error::new_spanned(place, message))
}

fn calls(attr: &Attribute) -> bool {
    let names = ["main", "test", "bench", "rstest", "test_case"];
    attr.path().segments.last().is_some_and(|last| names.iter().any(|name| last.ident == name))
}
