use std::rc::Rc;

use throughline::traced_spawn;

#[traced_spawn(blocking)]
fn blocking(count: Rc<u64>) {
    drop(count);
}

#[traced_spawn(thread)]
fn thread(count: Rc<u64>) {
    drop(count);
}

fn main() {
    let _handle: tokio::task::JoinHandle<()> = blocking(Rc::new(1));
    let _handle: std::thread::JoinHandle<()> = thread(Rc::new(1));
}
