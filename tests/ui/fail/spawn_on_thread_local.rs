use throughline::traced_spawn;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

#[traced_spawn(on = handle, thread)]
fn on_and_thread(handle: Handle) {}

#[traced_spawn(local, on = handle)]
async fn on_and_local(handle: Handle) {}

fn main() {
    let _handle: std::thread::JoinHandle<()> = on_and_thread(Handle::current());
    let _handle: JoinHandle<()> = on_and_local(Handle::current());
}
