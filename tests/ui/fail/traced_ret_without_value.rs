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

#[traced(ret)]
async fn checked(no: u32) -> Result<(), String> {
    if no == 0 { Err("none".to_owned()) } else { Ok(()) }
}

#[traced(ret)]
fn future() -> impl Future<Output = ()> {
    std::future::ready(())
}

fn main() {
    drop(checked(1));
    drop(future());
    unit();
    drop(written_unit());
    let _handle: tokio::task::JoinHandle<()> = job();
    never();
}
