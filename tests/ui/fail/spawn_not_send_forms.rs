use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use throughline::traced_spawn;

struct State {
    orders: Rc<RefCell<Vec<u64>>>,
}

#[traced_spawn]
async fn second(order_no: u64, state: State, name: String) -> u64 {
    order_no + state.orders.borrow().len() as u64 + name.len() as u64
}

#[traced_spawn]
async fn pattern((count, _): (Rc<u64>, u8)) {
    drop(count);
}

#[traced_spawn(on = handle)]
async fn on(handle: Handle, shared: Arc<Cell<u64>>) {
    drop((handle, shared));
}

#[traced_spawn(blocking)]
fn result() -> Result<Rc<u64>, String> {
    Ok(Rc::new(1))
}

#[traced_spawn(thread)]
fn both(state: State) -> Option<State> {
    Some(state)
}

struct Orders;

impl Orders {
    #[traced_spawn]
    async fn place(self: Arc<Self>, state: Rc<State>) {
        drop(state);
    }
}

static LOCK: Mutex<u64> = Mutex::new(1);

#[traced_spawn]
async fn guard() {
    let guard: MutexGuard<'static, u64> = LOCK.lock().unwrap();
    tokio::task::yield_now().await;
    drop(guard);
}

fn main() {
    let state = || State { orders: Rc::default() };
    let _: JoinHandle<u64> = second(1, state(), String::new());
    let _: JoinHandle<()> = pattern((Rc::new(1), 1));
    let _: JoinHandle<()> = on(Handle::current(), Arc::default());
    let _: JoinHandle<Result<Rc<u64>, String>> = result();
    let _: std::thread::JoinHandle<Option<State>> = both(state());
    let _: JoinHandle<()> = Arc::new(Orders).place(Rc::new(state()));
    let _: JoinHandle<()> = guard();
}
