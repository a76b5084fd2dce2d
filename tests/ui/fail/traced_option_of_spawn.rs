use throughline::traced;

#[traced(blocking)]
fn blocking() {}

#[traced(thread)]
fn thread() {}

#[traced(local)]
async fn local() {}

#[traced(on = handle)]
async fn on() {}

fn main() {
    blocking();
    thread();
    drop(local());
    drop(on());
}
