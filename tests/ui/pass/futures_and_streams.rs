//! Functions that return a future or a stream, in every form.

#![deny(warnings)]

use std::pin::Pin;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt as _};
use throughline::{biz_tags, traced};

#[traced]
fn impl_future(no: u64) -> impl Future<Output = u64> + Send {
    async move { no }
}

#[traced]
fn boxed_future<'a>(no: &'a u64) -> Pin<Box<dyn Future<Output = u64> + Send + 'a>> {
    Box::pin(async move { *no })
}

#[traced(err = debug)]
fn alias(no: u64) -> BoxFuture<'static, Result<u64, ()>> {
    Box::pin(async move { Ok(no) })
}

#[traced]
async fn recursive(no: u64) -> u64 {
    if no == 0 { 0 } else { Box::pin(recursive(no - 1)).await }
}

#[traced(stream)]
fn impl_stream(upto: u64) -> impl Stream<Item = u64> {
    stream::iter(0..upto)
}

#[traced(stream)]
fn boxed_stream(upto: u64) -> BoxStream<'static, Result<u64, String>> {
    Box::pin(stream::iter(0..upto).map(Ok))
}

#[biz_tags(upto)]
fn tagged_stream(upto: u64) -> Pin<Box<dyn Stream<Item = u64> + Send>> {
    Box::pin(stream::iter(0..upto))
}

#[traced(stream)]
async fn later(upto: u64) -> impl Stream<Item = u64> {
    tokio::task::yield_now().await;
    stream::iter(0..upto)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    assert_eq!(impl_future(1).await, boxed_future(&1).await);
    assert_eq!(alias(2).await, Ok(2));
    assert_eq!(recursive(3).await, 0);
    assert_eq!(impl_stream(2).count().await, boxed_stream(2).count().await);
    assert_eq!(tagged_stream(2).count().await, later(2).await.count().await);
}
