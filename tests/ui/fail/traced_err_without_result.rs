use throughline::{traced, traced_spawn};

#[traced(err = debug)]
fn unit() {}

#[traced(err = off)]
async fn later() {}

#[traced_spawn(err = display)]
async fn job() {}

#[traced(err = debug)]
fn integer() -> u128 {
    1
}

#[traced(err = log)]
async fn option(no: u32) -> Option<u32> {
    no.checked_add(1)
}

#[traced(err = display)]
fn several() -> (Result<u32, String>, u32) {
    (Ok(1), 2)
}

#[traced(err = display)]
fn borrowed(result: &Result<u32, String>) -> &Result<u32, String> {
    result
}

fn main() {
    integer();
    drop(option(1));
    let _ = several();
    let _ = borrowed(&Ok(1));
    unit();
    drop(later());
    let _handle: tokio::task::JoinHandle<()> = job();
}
