use throughline::{biz_tags, traced, traced_spawn};

#[biz_tags(tenent_id)]
fn mistyped(tenant_id: String) {}

#[biz_tags(order)]
fn other(tenant_id: String) {}

#[traced(tags(order_no))]
fn in_tags() {}

#[traced_spawn]
#[biz_tags(order_no)]
async fn job() {}

#[biz_tags(required(tenent_id))]
fn in_a_modifier(tenant_id: String) {}

#[biz_tags(order_no)]
#[test]
fn case_1() {}

fn main() {
    mistyped(String::new());
    other(String::new());
    in_tags();
    let _handle: tokio::task::JoinHandle<()> = job();
    in_a_modifier(String::new());
}
