//! `else` behind a value that is never `None`.

use std::sync::Arc;

use throughline::{TagValue, biz_tags, traced};

#[traced(tags(id else 0))]
fn number(id: u64) {}

#[biz_tags(tenant else "unknown", field = order.1 else "none")]
async fn text(tenant: &str, order: (u64, String)) {}

#[biz_tags(hash(shared else "nobody"))]
fn pointer(shared: Arc<str>) {}

#[traced(tags(value else 0))]
fn generic<T: TagValue>(value: T) {}

#[traced(tags(%id else 0, shown = ?name else "nobody", "order.no" = %id.1 else 0))]
fn formatted(id: (u64, u64), name: Option<String>) {}

fn main() {
    number(1);
    let _ = text("acme", (1, String::new()));
    pointer("user".into());
    generic(1);
    formatted((1, 1), None);
}
