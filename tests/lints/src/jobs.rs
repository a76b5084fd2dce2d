//! Detached jobs. `clippy.toml` disallows spawning them with Tokio directly.

use std::rc::Rc;

use throughline::{biz_tags, traced_spawn};
use tokio::runtime::Handle;

use crate::arguments::{Declined, Order};

/// A task.
#[traced_spawn]
pub async fn task(order: Order, mut number: u64) -> Result<u64, Declined> {
    number = number.saturating_add(order.number);
    if number == 0 { Err(Declined) } else { Ok(number) }
}

/// A task that returns nothing.
#[traced_spawn(link, kind = producer)]
pub async fn task_without_value(_order: Order) {}

/// A task on a runtime.
#[traced_spawn(on = handle)]
pub async fn task_on(handle: Handle, number: u64) -> u64 {
    drop(handle);
    number
}

/// A task on a thread of its own.
#[traced_spawn(thread, root)]
pub fn thread((left, _): (u64, String)) -> u64 {
    left
}

/// A blocking task.
#[biz_tags(number)]
#[traced_spawn(blocking, err = debug)]
pub fn blocking(number: u64) -> Result<u64, Declined> {
    Ok(number)
}

/// A blocking task on a runtime.
#[traced_spawn(blocking, on = &handle, name = "blocking")]
pub fn blocking_on(handle: Handle, number: u64) -> u64 {
    number
}

/// A local task.
#[traced_spawn(local)]
pub async fn local(order: Rc<Order>) -> u64 {
    order.number
}
