//! Every option of `#[traced]`.

use opentelemetry::Context;
use throughline::{Snapshot, traced};

use crate::arguments::Declined;

const NAME: &str = "a constant";

/// Named.
#[traced("named")]
pub fn named() {}

/// Named by a constant.
#[traced(name = NAME, kind = server)]
pub fn named_by_a_constant() {}

/// With a parent.
#[traced(parent = context, ret)]
#[must_use]
pub fn parent(context: &Context, number: u64) -> u64 {
    drop(context.clone());
    number
}

/// With a parent that is only for the span.
#[traced(parent = snapshot)]
pub async fn parent_later(snapshot: Snapshot) {}

/// With links.
#[traced(root, link = one, links = many, kind = consumer)]
pub fn links(one: &Snapshot, many: &[Snapshot]) {}

/// With tags.
#[traced(tags(number, text = text.len(), "dotted.key" = 1_u64, shown = %shown, debugged = ?debugged))]
pub fn tags(number: u64, text: &str, shown: char, debugged: Option<u64>) {}

/// Errors.
///
/// # Errors
///
/// Always.
#[traced(err = debug, ret = debug)]
pub fn errors() -> Result<u64, Declined> {
    Err(Declined)
}

/// Errors that are not shown.
///
/// # Errors
///
/// Always.
#[traced(err = off, ret)]
pub async fn errors_later() -> Result<u64, Declined> {
    Err(Declined)
}
