use futures::Stream;
use throughline::traced;

#[traced(root = true)]
fn root() {}

#[traced(stream = true)]
fn stream() -> impl Stream<Item = u64> {
    futures::stream::empty()
}

#[traced(root(always))]
fn parentheses() {}

#[traced(root[always])]
fn brackets() {}

struct Orders;

#[traced]
impl Orders {
    #[traced(skip = true)]
    fn place(&self) {}
}

fn main() {
    root();
    drop(stream());
    parentheses();
    Orders.place();
}
