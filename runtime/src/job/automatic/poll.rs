//! Makes the context of a task current while the task is polled.

use std::cell::RefCell;

use opentelemetry::Context;
use tokio::task::Id;

use crate::context::current::{self, Attached};
use crate::guard::panics::caught;

thread_local! {
    /// The contexts attached by polls on this thread, innermost last. There may be several, because a task may run
    /// another runtime.
    static POLLS: RefCell<Vec<(Id, Attached)>> = const { RefCell::new(Vec::new()) };
}

#[inline]
pub(super) fn enter(task: Id, context: Option<Context>) {
    let Some(context) = context else { return };
    let polled = (task, current::attach(context));
    let _ = POLLS.try_with(|polls| polls.borrow_mut().push(polled));
}

#[inline]
pub(super) fn exit(task: Id) {
    let polled = POLLS.try_with(|polls| {
        let mut polls = polls.borrow_mut();
        if polls.last().is_some_and(|(polled, _)| *polled == task) { polls.pop() } else { None }
    });
    // Dropped outside of the borrow, because the context may be the last owner of values with destructors.
    if let Ok(Some((_, attached))) = polled {
        let _ = caught(|| drop(attached));
    }
}
