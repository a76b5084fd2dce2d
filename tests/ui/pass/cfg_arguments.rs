//! The tag of an argument that is removed by `cfg` is removed, too.

#![deny(warnings)]

use throughline::{biz_tags, traced};

#[biz_tags(tenant_id, shard)]
#[traced]
fn place(tenant_id: String, #[cfg(any())] shard: Missing, #[cfg(all())] order_no: u64) -> u64 {
    drop(tenant_id);
    order_no
}

#[traced(tags(order_no))]
async fn later(
    #[cfg(any())] (a, b): Missing,
    #[cfg(all())] (order_no, _): (u64, String),
    #[cfg(all())] mut no: u64,
) -> u64 {
    no += order_no;
    no
}

#[cfg(any())]
#[traced(kind = mistyped_and_never_seen)]
fn gone(of: Missing) {}

#[cfg_attr(all(), traced(kind = server))]
fn conditional(no: u64) -> u64 {
    no
}

#[traced]
fn cfg_in_the_body(no: u64) -> u64 {
    #[cfg(any())]
    let no = Missing::new();
    no
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(place("acme".to_owned(), 1), 1);
    assert_eq!(later((1, String::new()), 2).await, 3);
    assert_eq!(conditional(1), cfg_in_the_body(1));
}
