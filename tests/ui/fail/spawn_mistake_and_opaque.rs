//! A mistake is the only error, although the value of the job has a type without a name.

use std::fmt::Display;
use std::future::Future;

use throughline::traced_spawn;

#[traced_spawn]
fn returns_a_future(order_no: u64) -> impl Future<Output = u64> + Send {
    async move { order_no }
}

#[traced_spawn(blocked)]
async fn returns_what_is_shown(order_no: u64) -> impl Display {
    order_no
}

#[traced_spawn]
async fn borrows(text: &str) -> Result<Vec<impl Display>, String> {
    Ok(vec![text.len()])
}

fn main() {}
