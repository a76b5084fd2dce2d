//! The ways to leave a function.

use std::convert::Infallible;
use std::num::ParseIntError;
use std::ops::ControlFlow;

use super::harness::{Noisy, both, log, pause, shape};

both!(
    early_return,
    "f",
    {},
    {
        fn f(n: u8, a: Noisy) -> u8 {
            if n > 1 {
                let b = Noisy("b");
                return n;
            }
            pause!();
            log("not here");
            0
        }
    },
    f(2, Noisy("a"))
);

both!(
    early_return_of_unit,
    "f",
    {},
    {
        fn f(a: Noisy) {
            pause!();
            if a.0 == "a" {
                return;
            }
            log("not here");
        }
    },
    f(Noisy("a"))
);

both!(
    return_in_the_tail,
    "f",
    {},
    {
        fn f(a: Noisy) -> Noisy {
            pause!();
            return a;
        }
    },
    f(Noisy("a"))
);

both!(
    return_in_a_loop,
    "f",
    {},
    {
        fn f(list: Vec<Noisy>) -> Option<Noisy> {
            for a in list {
                pause!();
                if a.0 == "b" {
                    return Some(a);
                }
            }
            None
        }
    },
    f(vec![Noisy("a"), Noisy("b"), Noisy("c")])
);

both!(
    early_error,
    "f !error: early",
    {},
    {
        fn f(a: Noisy) -> Result<u8, String> {
            pause!();
            if a.0 == "a" {
                return Err("early".to_owned());
            }
            Ok(1)
        }
    },
    f(Noisy("a"))
);

both!(
    question_mark,
    "f !error: invalid digit found in string",
    {},
    {
        fn f(text: &'static str, a: Noisy) -> Result<u8, ParseIntError> {
            let b = Noisy("b");
            pause!();
            let n: u8 = text.parse()?;
            log("not here");
            Ok(n)
        }
    },
    f("x", Noisy("a"))
);

both!(
    question_mark_passed,
    "f",
    {},
    {
        fn f(text: &'static str, a: Noisy) -> Result<u8, ParseIntError> {
            let n: u8 = text.parse()?;
            pause!();
            Ok(n)
        }
    },
    f("1", Noisy("a"))
);

both!(
    question_mark_with_conversion,
    "f !error: no number",
    {
        #[derive(Debug)]
        struct NoNumber;
        impl std::fmt::Display for NoNumber {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("no number")
            }
        }
        impl From<ParseIntError> for NoNumber {
            fn from(_: ParseIntError) -> Self {
                Self
            }
        }
    },
    {
        fn f(text: &'static str, a: Noisy) -> Result<u8, NoNumber> {
            pause!();
            Ok(text.parse::<u8>()?)
        }
    },
    f("x", Noisy("a"))
);

both!(
    question_mark_on_an_option,
    "f",
    {},
    {
        fn f(n: Option<u8>, a: Noisy) -> Option<u8> {
            pause!();
            let n = n?;
            log("not here");
            n.checked_add(1)
        }
    },
    f(None, Noisy("a"))
);

both!(
    question_mark_on_control_flow,
    "f",
    {},
    {
        fn f(n: u8) -> ControlFlow<u8, ()> {
            pause!();
            if n > 1 {
                ControlFlow::Break(n)?
            }
            ControlFlow::Continue(())
        }
    },
    f(2)
);

both!(
    question_mark_in_the_tail,
    "f !error: bad",
    {},
    {
        fn f(a: Noisy) -> Result<(), String> {
            pause!();
            Err("bad")?
        }
    },
    f(Noisy("a"))
);

both!(
    returning_macro,
    "f !error: too big",
    {
        macro_rules! ensure {
            ($yes:expr, $text:expr) => {
                if !$yes {
                    return Err($text.into());
                }
            };
        }
    },
    {
        fn f(n: u8, a: Noisy) -> Result<u8, String> {
            pause!();
            ensure!(n < 5, "too big");
            Ok(n)
        }
    },
    f(9, Noisy("a"))
);

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

both!(
    error_below,
    "└── f !error: bad\n    └── g !error: bad",
    {
        #[traced]
        fn g() -> Result<u8, String> {
            Err("bad".into())
        }
    },
    {
        fn f(a: Noisy) -> Result<u8, String> {
            pause!();
            let n = g()?;
            log("not here");
            Ok(n)
        }
    },
    f(Noisy("a"))
);

both!(
    error_handled,
    "└── f\n    └── g !error: bad",
    {
        #[traced]
        fn g() -> Result<u8, String> {
            Err("bad".into())
        }
    },
    {
        fn f() -> Result<u8, String> {
            pause!();
            Ok(g().unwrap_or(7))
        }
    },
    f()
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
