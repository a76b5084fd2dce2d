use throughline::{biz_tags, traced};

#[biz_tags(tenant_id required)]
fn behind(tenant_id: Option<u64>) {}

#[traced(tags(phone = text mask))]
fn behind_a_value(text: &str) {}

#[biz_tags(user_id.hash())]
fn method(user_id: u64) {}

#[biz_tags(hash(user_id) else "anonymous", tenant_id = 1)]
fn fallback(user_id: Option<u64>) {}

fn main() {
    behind(None);
    behind_a_value("");
    method(1);
    fallback(None);
}
