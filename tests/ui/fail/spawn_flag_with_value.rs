use throughline::traced_spawn;
use tokio::task::JoinHandle;

#[traced_spawn(blocking = true)]
fn blocking() {}

#[traced_spawn(thread = "reports")]
fn thread() {}

#[traced_spawn(local = true)]
async fn local() {}

#[traced_spawn(root = true)]
async fn root() {}

#[traced_spawn(link())]
async fn link() {}

fn main() {
    let _handle: JoinHandle<()> = blocking();
    let _handle: std::thread::JoinHandle<()> = thread();
    let _handle: JoinHandle<()> = local();
    let _handle: JoinHandle<()> = root();
    let _handle: JoinHandle<()> = link();
}
