//! The order in which arguments are dropped.

use std::cell::RefCell;
use std::sync::Mutex;

use super::harness::{Noisy, both, log};

both!(
    last_dropped_first,
    "f",
    {},
    {
        fn f(a: Noisy, b: Noisy, c: Noisy) {
            let local = Noisy("local");
            pause!();
            log("body");
        }
    },
    f(Noisy("a"), Noisy("b"), Noisy("c"))
);

both!(
    used_in_another_order,
    "f",
    {},
    {
        fn f(a: Noisy, b: Noisy, c: Noisy) -> usize {
            let length = b.0.len();
            pause!();
            length + c.0.len() + a.0.len()
        }
    },
    f(Noisy("a"), Noisy("b"), Noisy("c"))
);

both!(
    moved_out_of_order,
    "f",
    {},
    {
        fn f(a: Noisy, b: Noisy, c: Noisy, d: Noisy) {
            drop(b);
            pause!();
            let kept = c;
            log("body");
        }
    },
    f(Noisy("a"), Noisy("b"), Noisy("c"), Noisy("d"))
);

both!(
    partly_moved,
    "f",
    {},
    {
        fn f(a: (Noisy, Noisy), b: [Noisy; 2]) {
            drop(a.1);
            pause!();
            let [first, _] = b;
            log(first.0);
        }
    },
    f((Noisy("a.0"), Noisy("a.1")), [Noisy("b.0"), Noisy("b.1")])
);

both!(
    returned,
    "f",
    {},
    {
        fn f(a: Noisy, b: Noisy) -> Noisy {
            pause!();
            a
        }
    },
    f(Noisy("a"), Noisy("b"))
);

both!(
    unused,
    "f",
    {},
    {
        fn f(a: Noisy, _b: Noisy, c: Noisy) {}
    },
    f(Noisy("a"), Noisy("b"), Noisy("c"))
);

both!(
    mutable_and_replaced,
    "f",
    {},
    {
        fn f(mut a: Noisy, b: Noisy) {
            a = Noisy("another a");
            pause!();
            log("body");
        }
    },
    f(Noisy("a"), Noisy("b"))
);

// The guard in the tail expression is dropped before the argument that it borrows from.
both!(
    borrowed_by_the_tail,
    "f",
    {},
    {
        fn f(a: RefCell<u32>, b: Mutex<u32>) -> u32 {
            pause!();
            *a.borrow() + *b.lock().unwrap()
        }
    },
    f(RefCell::new(1), Mutex::new(2))
);

both!(
    temporary_in_the_tail,
    "f",
    {},
    {
        fn f(a: Noisy) -> usize {
            let local = Noisy("local");
            pause!();
            Noisy("temporary").0.len()
        }
    },
    f(Noisy("a"))
);
