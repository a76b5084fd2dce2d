use std::pin::Pin;

use throughline::{traced, traced_spawn};

#[traced(err = debug)]
fn unit() {}

#[traced(err = off)]
async fn later() {}

#[traced_spawn(err = display)]
async fn job() {}

#[traced(err = debug)]
fn integer() -> u128 {
    1
}

#[traced(err = log)]
async fn option(no: u32) -> Option<u32> {
    no.checked_add(1)
}

#[traced(err = display)]
fn several() -> (Result<u32, String>, u32) {
    (Ok(1), 2)
}

#[traced(err = display)]
fn borrowed(result: &Result<u32, String>) -> &Result<u32, String> {
    result
}

#[traced(err = debug)]
fn future(no: u32) -> impl Future<Output = u32> {
    async move { no }
}

#[traced(err = debug)]
fn boxed(no: u32) -> Pin<Box<dyn Future<Output = Option<u32>> + Send>> {
    Box::pin(async move { Some(no) })
}

fn main() {
    integer();
    drop(future(1));
    drop(boxed(1));
    drop(option(1));
    let _ = several();
    let _ = borrowed(&Ok(1));
    unit();
    drop(later());
    let _handle: tokio::task::JoinHandle<()> = job();
}
