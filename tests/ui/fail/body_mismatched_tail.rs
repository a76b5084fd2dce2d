use throughline::{biz_tags, traced};

#[traced]
fn plain() -> u64 {
    "text"
}

#[traced]
async fn later() -> u64 {
    "text"
}

#[biz_tags(no)]
fn tagged(no: u64) -> String {
    no
}

#[traced]
fn semicolon() -> u64 {
    1;
}

#[traced]
async fn semicolon_later() -> u64 {
    1;
}

#[traced]
fn unit() {
    1u64
}

#[traced]
async fn unit_later() {
    1u64
}

fn main() {
    plain();
    drop(later());
    tagged(1);
    semicolon();
    drop(semicolon_later());
    unit();
    drop(unit_later());
}
