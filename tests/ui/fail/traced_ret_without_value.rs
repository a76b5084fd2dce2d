use throughline::{traced, traced_spawn};

#[traced(ret)]
fn unit() {}

#[traced(ret = debug)]
async fn written_unit() -> () {}

#[traced(ret)]
fn never() -> ! {
    std::process::exit(0)
}

#[traced_spawn(ret)]
async fn job() {}

fn main() {
    unit();
    drop(written_unit());
    let _handle: tokio::task::JoinHandle<()> = job();
    never();
}
