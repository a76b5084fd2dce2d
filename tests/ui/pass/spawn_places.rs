//! Where a job can run, and the handle that the caller receives.

#![deny(warnings)]

use std::rc::Rc;
use std::sync::Arc;

use throughline::traced_spawn;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, LocalSet};

#[traced_spawn]
async fn task(text: &'static str) -> Result<usize, std::num::TryFromIntError> {
    tokio::task::yield_now().await;
    let length = u32::try_from(text.len())?;
    Ok(usize::try_from(length)?)
}

#[traced_spawn(on = handle.clone())]
async fn on_a_handle(handle: Handle) {}

#[traced_spawn(on = &handle)]
async fn on_a_reference(handle: Handle) {}

#[traced_spawn(blocking, on = handle)]
fn blocking_on_a_handle(handle: Handle) {}

#[traced_spawn(blocking)]
fn blocking(list: Vec<u64>) -> u64 {
    list.iter().sum()
}

#[traced_spawn(thread)]
fn thread(no: u64) -> u64 {
    no
}

#[traced_spawn(local)]
async fn local(shared: Rc<u64>) -> Rc<u64> {
    tokio::task::yield_now().await;
    shared
}

#[traced_spawn(link)]
async fn endless() -> ! {
    std::future::pending().await
}

struct Orders(u64);

impl Orders {
    #[traced_spawn(root, kind = consumer)]
    async fn shared(self: Arc<Self>) -> u64 {
        self.0
    }

    #[traced_spawn]
    async fn owned<T: Clone + Send + 'static>(self, more: T) -> (u64, T) {
        (self.0, more)
    }
}

static ORDERS: Orders = Orders(8);

impl Orders {
    #[traced_spawn(tags(no = self.0))]
    async fn forever(&'static self) -> u64 {
        self.0
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let handle: JoinHandle<Result<usize, _>> = task("acme");
    assert_eq!(handle.await.unwrap(), Ok(4));
    on_a_handle(Handle::current()).await.unwrap();
    on_a_reference(Handle::current()).await.unwrap();
    blocking_on_a_handle(Handle::current()).await.unwrap();
    assert_eq!(blocking(vec![1, 2]).await.unwrap(), 3);
    let handle: std::thread::JoinHandle<u64> = thread(4);
    assert_eq!(handle.join().unwrap(), 4);
    LocalSet::new().run_until(async { assert_eq!(*local(Rc::new(5)).await.unwrap(), 5) }).await;
    endless().abort();
    assert_eq!(Arc::new(Orders(6)).shared().await.unwrap(), 6);
    assert_eq!(ORDERS.forever().await.unwrap(), 8);
    assert_eq!(Orders(7).owned("more").await.unwrap(), (7, "more"));
}
