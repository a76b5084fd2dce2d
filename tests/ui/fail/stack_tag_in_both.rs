use throughline::{biz_tags, traced, traced_spawn};

#[traced(tags(tenant_id))]
#[biz_tags(tenant_id)]
fn biz_tags_below(tenant_id: String) {}

#[biz_tags(tenant_id)]
#[traced(tags(tenant_id))]
fn biz_tags_above(tenant_id: String) {}

#[traced_spawn(tags(tenant_id))]
#[biz_tags("tenant_id" = tenant_id)]
async fn job(tenant_id: String) {}

fn main() {
    biz_tags_below(String::new());
    biz_tags_above(String::new());
    let _handle: tokio::task::JoinHandle<()> = job(String::new());
}
