use futures::Stream;
use throughline::traced;

#[traced(stream, ret)]
fn plain() -> impl Stream<Item = u64> {
    futures::stream::empty()
}

#[traced(stream, ret = debug)]
async fn later() -> impl Stream<Item = u64> {
    futures::stream::empty()
}

fn main() {
    drop(plain());
    drop(later());
}
