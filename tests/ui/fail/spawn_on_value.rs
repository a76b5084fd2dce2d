use throughline::traced_spawn;
use tokio::task::JoinHandle;

#[traced_spawn(on = 5u8)]
async fn number() {}

#[traced_spawn(on = handle, blocking)]
fn text(handle: String) {}

#[traced_spawn(on)]
async fn nothing() {}

fn main() {
    let _handle: JoinHandle<()> = number();
    let _handle: JoinHandle<()> = text(String::new());
    let _handle: JoinHandle<()> = nothing();
}
