use throughline::traced_spawn;
use tokio::task::JoinHandle;

#[traced_spawn(blocking, thread)]
fn blocking_and_thread() {}

#[traced_spawn(thread, blocking)]
fn thread_and_blocking() {}

#[traced_spawn(local, blocking)]
async fn local_and_blocking() {}

#[traced_spawn(blocking, local)]
fn blocking_and_local() {}

#[traced_spawn(thread, local)]
fn thread_and_local() {}

fn main() {
    let _handle: std::thread::JoinHandle<()> = blocking_and_thread();
    let _handle: std::thread::JoinHandle<()> = thread_and_blocking();
    let _handle: JoinHandle<()> = local_and_blocking();
    let _handle: JoinHandle<()> = blocking_and_local();
    let _handle: std::thread::JoinHandle<()> = thread_and_local();
}
