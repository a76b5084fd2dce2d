use throughline::{biz_tags, traced};

#[traced(tags(attempt))]
#[biz_tags(tenant_id)]
fn below(tenant_id: &str, attempt: u32) -> usize {
    tenant_id.len() + attempt as usize
}

// The other order means the same.
#[biz_tags(tenant_id)]
#[traced(tags(attempt))]
fn above(tenant_id: &str, attempt: u32) -> usize {
    tenant_id.len() + attempt as usize
}
