use throughline::{biz_tags, traced, traced_spawn};

#[traced(crate = ::nowhere)]
fn place() {}

#[traced(crate = crate)]
fn another_crate() {}

#[traced_spawn(crate = self)]
async fn a_job_of_another_crate() {}

#[biz_tags(crate = crate, id)]
async fn tags(id: u64) {}

fn main() {
    place();
}
