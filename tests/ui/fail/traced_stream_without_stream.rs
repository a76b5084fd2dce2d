use std::pin::Pin;

use futures::Stream;
use futures::stream::BoxStream;
use throughline::traced;

#[traced(stream)]
fn unit() {}

#[traced(stream)]
fn list() -> Vec<u64> {
    Vec::new()
}

#[traced(stream)]
async fn future() -> u64 {
    1
}

#[traced(stream)]
async fn boxed_by_async_fn() -> Pin<Box<dyn Stream<Item = u64>>> {
    Box::pin(futures::stream::empty())
}

#[traced(stream)]
async fn alias_by_async_fn() -> BoxStream<'static, u64> {
    Box::pin(futures::stream::empty())
}

#[traced(stream)]
fn fused() -> impl Stream<Item = u64> + futures::stream::FusedStream {
    futures::stream::empty()
}

fn main() {
    drop(fused());
    unit();
    list();
    drop(future());
    drop(boxed_by_async_fn());
    drop(alias_by_async_fn());
}
