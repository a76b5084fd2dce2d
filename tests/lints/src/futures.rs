//! Futures and streams.

use std::pin::Pin;

use futures::Stream;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _, iter};
use throughline::{biz_tags, traced};

/// A future.
///
/// # Errors
///
/// Never.
#[traced]
#[expect(clippy::manual_async_fn, reason = "this is what it is about")]
pub fn future(number: u64) -> impl Future<Output = Result<u64, String>> + Send {
    async move { Ok(number) }
}

/// A future in a box.
#[traced]
#[must_use]
pub fn boxed(text: &str) -> Pin<Box<dyn Future<Output = usize> + Send + '_>> {
    Box::pin(async move { text.len() })
}

/// A future in a box, by its alias.
#[traced]
#[must_use]
pub fn aliased(text: &str) -> BoxFuture<'_, usize> {
    Box::pin(async move { text.len() })
}

/// A stream.
#[traced(stream)]
pub fn stream(number: u64) -> impl Stream<Item = u64> {
    iter(0..number)
}

/// A stream in a box.
#[traced(stream)]
#[biz_tags(number)]
#[must_use]
pub fn boxed_stream(number: u64) -> BoxStream<'static, u64> {
    iter(0..number).boxed()
}

/// A stream, later.
#[traced(stream)]
pub async fn stream_later(number: u64) -> impl Stream<Item = Result<u64, String>> {
    iter((0..number).map(Ok))
}
