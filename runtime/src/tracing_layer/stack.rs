//! The spans that this thread has entered.

use std::cell::RefCell;

use tracing::span::Id;

use crate::context::current::Attached;

struct Entered {
    /// The address of the layer's spans, because span IDs are only unique within a registry.
    layer: usize,
    id: Id,
    is_recorded: bool,
    attached: Attached,
}

thread_local! {
    /// Spans may be exited in any order, so this is not a strict stack.
    static ENTERED: RefCell<Vec<Entered>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the context of a span current until it is exited.
pub(super) fn push(layer: usize, id: &Id, is_recorded: bool, attached: Attached) {
    let entered = Entered { layer, id: id.clone(), is_recorded, attached };
    // Fails during thread teardown, where there is no current context, and in a traced allocator that is called because
    // the list grows.
    let _ = ENTERED.try_with(|stack| stack.try_borrow_mut().map(|mut stack| stack.push(entered)));
}

/// Detaches the context that was attached when the span was last entered. Returns whether the span is recorded.
pub(super) fn pop(layer: usize, id: &Id) -> bool {
    let entered = ENTERED.try_with(|stack| {
        let mut stack = stack.try_borrow_mut().ok()?;
        let is_same = |entered: &Entered| entered.layer == layer && entered.id == *id;
        // The fast path: spans are nearly always exited in reverse order.
        if stack.last().is_some_and(is_same) {
            return stack.pop();
        }
        let at = stack.iter().rposition(is_same)?;
        Some(stack.remove(at))
    });
    // Detached outside of the borrow: the context may be the last owner of values with destructors.
    let Some(Entered { is_recorded, attached, .. }) = entered.ok().flatten() else { return false };
    drop(attached);
    is_recorded
}
