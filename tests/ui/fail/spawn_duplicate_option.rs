use throughline::traced_spawn;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

#[traced_spawn(link, link)]
async fn link() {}

#[traced_spawn(root, root)]
async fn root() {}

#[traced_spawn(blocking, blocking)]
fn blocking() {}

#[traced_spawn(thread, thread)]
fn thread() {}

#[traced_spawn(local, local)]
async fn local() {}

#[traced_spawn(on = one, on = two)]
async fn on(one: Handle, two: Handle) {}

fn main() {
    let _handle: JoinHandle<()> = link();
    let _handle: JoinHandle<()> = root();
    let _handle: JoinHandle<()> = blocking();
    let _handle: std::thread::JoinHandle<()> = thread();
    let _handle: JoinHandle<()> = local();
    let _handle: JoinHandle<()> = on(Handle::current(), Handle::current());
}
