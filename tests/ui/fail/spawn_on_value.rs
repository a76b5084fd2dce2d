use throughline::traced_spawn;
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinHandle;

#[traced_spawn(on = 5u8)]
async fn number() {}

#[traced_spawn(on = handle, blocking)]
fn text(handle: String) {}

#[traced_spawn(on = runtime)]
async fn runtime(runtime: std::sync::Arc<Runtime>) {}

#[traced_spawn(on)]
async fn nothing() {}

#[traced_spawn(on = handle)]
async fn right(handle: std::sync::Arc<Handle>) {}

fn main() {
    let _handle: JoinHandle<()> = number();
    let _handle: JoinHandle<()> = text(String::new());
    let _handle: JoinHandle<()> = nothing();
    let runtime_of_main = std::sync::Arc::new(Runtime::new().unwrap());
    let _handle: JoinHandle<()> = right(std::sync::Arc::new(runtime_of_main.handle().clone()));
    let _handle: JoinHandle<()> = runtime(runtime_of_main);
}
