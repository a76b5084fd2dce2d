//! By `return` and `?`, and what is recorded about an error.

use std::num::ParseIntError;
use std::ops::ControlFlow;

use crate::shapes::harness::{Noisy, both, log};

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
