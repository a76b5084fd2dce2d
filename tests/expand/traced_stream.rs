use futures::Stream;
use futures::stream::{self, BoxStream};
use throughline::traced;

#[traced(stream)]
fn pages(upto: u64) -> impl Stream<Item = u64> {
    stream::iter(0..upto)
}

#[traced(stream)]
fn boxed(upto: u64) -> BoxStream<'static, u64> {
    Box::pin(stream::iter(0..upto))
}

#[traced(stream)]
async fn subscribe(topic: String) -> impl Stream<Item = u8> {
    stream::iter(topic.into_bytes())
}
