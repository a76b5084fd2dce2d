use throughline::{biz_tags, traced, traced_spawn};

#[traced]
async fn returned(no: u64) -> Missing {
    no
}

#[biz_tags(no)]
async fn in_a_tuple(no: u64) -> (u64, Absent) {
    (no, no)
}

#[traced]
fn plain(no: u64) -> Gone {
    no
}

#[traced_spawn]
async fn job(no: u64) -> Lost {
    no
}

#[traced_spawn(blocking)]
fn blocking(no: u64) -> Nowhere {
    no
}

fn main() {}
