//! Where the editions differ: how long temporaries live, and what a closure takes.

use std::cell::RefCell;
use std::future::Future;
use std::sync::{Arc, Mutex};

use super::harness::{Noisy, both, log};

// Before edition 2024, the temporaries of the tail outlive the locals.
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

both!(
    temporaries_of_a_nested_tail,
    "f",
    {},
    {
        fn f(a: Noisy) -> usize {
            let local = Noisy("local");
            {
                let inner = Noisy("inner");
                pause!();
                Noisy("temporary").0.len()
            }
        }
    },
    f(Noisy("a"))
);

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
    guard_of_an_arc_in_the_tail,
    "f",
    {},
    {
        fn f(a: Arc<Mutex<u32>>) -> u32 {
            pause!();
            *a.lock().unwrap()
        }
    },
    f(Arc::default())
);

// Before edition 2024, the temporaries of an `if let` outlive its `else`.
both!(
    temporary_of_an_if_let,
    "f",
    {},
    {
        fn f(a: Noisy) -> u8 {
            let n = if let Noisy("other") = Noisy("temporary") {
                1
            } else {
                log("else");
                2
            };
            pause!();
            n
        }
    },
    f(Noisy("a"))
);

both!(
    temporary_of_a_match,
    "f",
    {},
    {
        fn f(a: Noisy) -> u8 {
            match Noisy("temporary").0.len() {
                1 => 1,
                _ => {
                    pause!();
                    log("arm");
                    2
                }
            }
        }
    },
    f(Noisy("a"))
);

// Before edition 2021, a closure takes the whole variable.
both!(
    closure_over_a_part,
    "f",
    {},
    {
        fn f(a: (Noisy, Noisy), b: Noisy) -> usize {
            let take = move || {
                let part = &a.1;
                part.0.len()
            };
            pause!();
            let n = take();
            drop(take);
            log("body");
            n
        }
    },
    f((Noisy("a.0"), Noisy("a.1")), Noisy("b"))
);

// Before edition 2021, `into_iter` of an array gives references.
both!(
    array_into_iter,
    "f",
    {},
    {
        fn f(a: [u8; 2]) -> usize {
            pause!();
            #[allow(array_into_iter, clippy::into_iter_on_ref, reason = "it means another thing in each edition")]
            let mut items = a.into_iter();
            size_of_val(&items.next().unwrap())
        }
    },
    f([1, 2])
);
