use throughline::traced_spawn;

#[traced_spawn(blocking)]
async fn blocking() {}

#[traced_spawn(thread)]
async fn thread() {}

fn main() {
    let _handle: tokio::task::JoinHandle<()> = blocking();
    let _handle: std::thread::JoinHandle<()> = thread();
}
