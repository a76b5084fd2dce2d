use throughline::{traced, traced_spawn};

#[traced(err = debug)]
fn unit() {}

#[traced(err = off)]
async fn later() {}

#[traced_spawn(err = display)]
async fn job() {}

fn main() {
    unit();
    drop(later());
    let _handle: tokio::task::JoinHandle<()> = job();
}
