//! By a panic, or never.

use std::convert::Infallible;

use crate::shapes::harness::{Noisy, both, log, pause, shape};

both!(
    panicking,
    "f !panicked: ouch",
    {},
    {
        fn f(a: Noisy, (b, _): (Noisy, Noisy), c: Noisy) {
            let d = Noisy("d");
            pause!();
            panic!("ouch");
        }
    },
    f(Noisy("a"), (Noisy("b"), Noisy("beside b")), Noisy("c"))
);

both!(
    panicking_with_arguments,
    "f !panicked: n is 3",
    {},
    {
        fn f(n: u8) -> u8 {
            pause!();
            if n > 2 {
                panic!("n is {n}")
            }
            n
        }
    },
    f(3)
);

both!(
    panicking_with_a_value,
    "f !panicked: the panic's payload is not text",
    {},
    {
        fn f(a: Noisy) -> u8 {
            pause!();
            std::panic::panic_any(7u8)
        }
    },
    f(Noisy("a"))
);

both!(
    panicking_unwrap,
    "f !panicked: called `Option::unwrap()` on a `None` value",
    {},
    {
        fn f(n: Option<u8>, a: Noisy) -> u8 {
            pause!();
            n.unwrap()
        }
    },
    f(None, Noisy("a"))
);

both!(
    panicking_destructor,
    "f !panicked: from drop",
    {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("from drop")
            }
        }
    },
    {
        fn f(a: Noisy, bomb: Bomb) {
            pause!();
            log("body");
        }
    },
    f(Noisy("a"), Bomb)
);

both!(
    panicking_below,
    "└── f !panicked: deep\n    └── g !panicked: deep",
    {
        #[traced]
        fn g(a: Noisy) {
            panic!("deep")
        }
    },
    {
        fn f(a: Noisy) {
            pause!();
            g(Noisy("of g"));
        }
    },
    f(Noisy("a"))
);

both!(
    panic_caught_inside,
    "└── f\n    └── g !panicked: inner",
    {
        #[traced]
        fn g(a: Noisy) {
            panic!("inner")
        }
    },
    {
        fn f(a: Noisy) -> bool {
            pause!();
            std::panic::catch_unwind(|| g(Noisy("of g"))).is_err()
        }
    },
    f(Noisy("a"))
);

shape!(
    never,
    "f !panicked: never",
    {
        #[traced]
        fn f(a: Noisy) -> ! {
            panic!("never")
        }
    },
    {
        f(Noisy("a"));
    }
);

shape!(
    never_by_another,
    "└── f !panicked: never\n    └── g !panicked: never",
    {
        #[traced]
        fn f(a: Noisy) -> ! {
            g(1)
        }
        #[traced]
        fn g(n: u8) -> ! {
            if n > 0 {
                panic!("never")
            }
            loop {}
        }
    },
    {
        f(Noisy("a"));
    }
);

shape!(
    never_after_another_of_its_name,
    "└── stop !panicked: never",
    {
        mod others {
            pub(super) fn stop() {}
        }
        #[traced]
        fn stop(a: Noisy) -> ! {
            others::stop();
            panic!("never")
        }
    },
    {
        stop(Noisy("a"));
    }
);

shape!(
    panics_after_another_of_its_name,
    "└── stop !panicked: never",
    {
        mod others {
            pub(super) fn stop(n: usize) {}
        }
        #[traced]
        fn stop(a: Noisy) -> u8 {
            let local = Noisy("local");
            others::stop(a.0.len());
            panic!("never")
        }
    },
    stop(Noisy("a"))
);

shape!(never_async, "f !panicked: never", {
    #[traced]
    async fn f(a: Noisy) -> ! { pause().await; panic!("never") }
}, block { async { if true { f(Noisy("a")).await; } }.await });

shape!(never_async_loop, "f !panicked: stopped", {
    #[traced]
    async fn f(mut n: u8) -> ! { loop { pause().await; n = n.checked_sub(1).expect("stopped"); } }
}, block { async { if true { let n: u8 = f(2).await; } }.await });

shape!(
    infallible,
    "f",
    {
        #[traced]
        fn f(a: Noisy) -> Result<u8, Infallible> {
            Ok(1)
        }
    },
    f(Noisy("a"))
);

shape!(
    never_as_a_method,
    "f !panicked: never",
    {
        struct S(Noisy);
        impl S {
            #[traced]
            fn f(self) -> ! {
                panic!("never")
            }
        }
    },
    {
        S(Noisy("self")).f();
    }
);

shape!(spans_close_in_order, "└── f\n    ├── first\n    └── second !cancelled", {
    #[traced]
    async fn first(a: Noisy) { pause().await; }
    #[traced]
    async fn second(a: Noisy) { pause().await; }
    #[traced]
    async fn f(a: Noisy) -> u8 {
        first(Noisy("first")).await;
        let mut second = Box::pin(second(Noisy("second")));
        let _ = ::futures::poll!(&mut second);
        drop(second);
        pause().await;
        2
    }
}, future f(Noisy("a")));
