use throughline::{biz_tags, traced, traced_spawn};

#[traced]
#[biz_tags()]
fn empty_below() {}

#[biz_tags()]
#[traced]
fn empty_above() {}

#[traced]
#[biz_tags]
#[traced(kind = server)]
fn tags_between(id: u64) {}

#[traced(kind = client)]
#[traced(kind = server)]
#[biz_tags(id)]
#[traced]
fn three_times(id: u64) {}

#[biz_tags(id)]
#[traced_spawn]
#[traced]
async fn mixed(id: u64) {}

fn main() {
    empty_below();
    empty_above();
    tags_between(1);
    three_times(1);
    let _handle: tokio::task::JoinHandle<()> = mixed(1);
}
