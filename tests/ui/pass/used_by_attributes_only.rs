//! An argument that is only used by an attribute is not unused.

#![deny(warnings)]

use opentelemetry::Context;
use throughline::{biz_tags, traced, traced_spawn};
use tokio::runtime::Handle;

#[biz_tags(tenant_id)]
fn tag(tenant_id: String) {}

#[traced(tags(tenant_id, length = text.len(), shown = format!("{no}")))]
async fn tags(tenant_id: String, text: &str, no: u64) {}

#[traced(parent = message, links = others)]
fn origin(message: Context, others: Vec<Context>) {}

#[traced_spawn(on = handle, link = message)]
async fn job(handle: Handle, message: Context) {}

#[traced_spawn(tags(tenant_id = tenant else fallback))]
async fn fallback((tenant, _): (Option<String>, u64), fallback: &'static str) {}

#[traced(tags(ID))]
#[biz_tags(r#type)]
#[allow(non_snake_case, reason = "a name that looks like a constant's")]
fn names(ID: u64, r#type: u64) {}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tag("acme".to_owned());
    tags("acme".to_owned(), "text", 1).await;
    origin(Context::new(), Vec::new());
    job(Handle::current(), Context::new()).await.unwrap();
    fallback((None, 1), "nobody").await.unwrap();
    names(1, 2);
}
