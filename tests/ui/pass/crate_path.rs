//! `crate = path` finds a runtime that is re-exported, in every attribute and in every order.

#![deny(warnings)]

mod platform {
    pub mod telemetry {
        pub use throughline::*;

        pub use throughline::__private;
    }
}

use platform::telemetry::{biz_tags, traced, traced_spawn};

#[traced(crate = crate::platform::telemetry)]
fn plain() {}

#[biz_tags(crate = crate::platform::telemetry, no)]
fn tagged(no: u64) -> u64 {
    no
}

#[traced]
#[biz_tags(crate = crate::platform::telemetry, no)]
fn said_below(no: u64) -> u64 {
    no
}

#[biz_tags(no)]
#[traced_spawn(crate = crate::platform::telemetry)]
async fn said_by_the_job(no: u64) -> u64 {
    no
}

struct Orders;

#[traced(crate = crate::platform::telemetry)]
impl Orders {
    fn place(&self, no: u64) -> u64 {
        no
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    plain();
    let total = tagged(1) + said_below(2) + said_by_the_job(3).await.unwrap() + Orders.place(4);
    assert_eq!(total, 10);
}
