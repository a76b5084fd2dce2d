use futures::Stream;
use opentelemetry::Context;
use throughline::traced;

#[traced(name = "a", name = "b")]
fn name() {}

#[traced("a", "b")]
fn bare_name() {}

#[traced(kind = server, kind = client)]
fn kind() {}

#[traced(parent = one, parent = two)]
fn parent(one: Context, two: Context) {}

#[traced(link = one, link = two)]
fn link(one: Context, two: Context) {}

#[traced(links = all, links = all)]
fn links(all: Vec<Context>) {}

#[traced(root, root)]
fn root() {}

#[traced(tags(id), tags(no))]
fn tags(id: u64, no: u64) {}

#[traced(err = off, err = debug)]
fn err() -> Result<(), String> {
    Ok(())
}

#[traced(ret, ret = debug)]
fn ret() -> u64 {
    1
}

#[traced(stream, stream)]
fn stream() -> impl Stream<Item = u64> {
    futures::stream::empty()
}

#[traced(crate = ::throughline, crate = ::throughline)]
fn krate() {}

fn main() {
    name();
    bare_name();
    kind();
    parent(Context::new(), Context::new());
    link(Context::new(), Context::new());
    links(Vec::new());
    root();
    tags(1, 2);
    let _ = err();
    ret();
    drop(stream());
    krate();
}
