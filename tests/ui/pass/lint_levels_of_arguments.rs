//! The lint levels of an argument apply to its name in the signature, and to the one in the body.

#![deny(warnings)]

use throughline::{biz_tags, traced, traced_spawn};

#[traced]
fn plain(#[allow(non_snake_case)] windowHandle: u64, #[expect(non_snake_case)] wParam: u64) -> u64 {
    windowHandle + wParam
}

#[biz_tags(wParam)]
async fn later(#[expect(non_snake_case)] wParam: u64, #[expect(unused_variables)] (unused, _): (u64, String)) -> u64 {
    wParam
}

#[traced_spawn]
async fn job(#[expect(non_snake_case, unused_mut)] mut wParam: u64, #[allow(unused_variables)] no: u64) -> u64 {
    wParam
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(plain(1, 2), 3);
    assert_eq!(later(1, (2, String::new())).await, job(1, 2).await.unwrap());
}
