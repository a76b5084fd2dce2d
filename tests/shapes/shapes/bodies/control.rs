//! Loops, matches, conditions and constants.

use crate::shapes::harness::{Noisy, both, log};

both!(
    labels,
    "f",
    {},
    {
        fn f(limit: u8) -> (u8, u8) {
            let mut sum = 0;
            'outer: for a in 0.. {
                for b in 0..limit {
                    pause!();
                    if a * b > limit {
                        break 'outer;
                    }
                    if b > a {
                        continue 'outer;
                    }
                    sum += b;
                }
            }
            let found = 'block: {
                if sum > 3 {
                    break 'block sum;
                }
                0
            };
            let looped = loop {
                pause!();
                break found + 1;
            };
            (sum, looped)
        }
    },
    f(3)
);

both!(
    match_tail,
    "f",
    {},
    {
        fn f(n: Option<u8>, a: Noisy) -> &'static str {
            match n {
                Some(0) => "zero",
                Some(n) if n % 2 == 0 => {
                    pause!();
                    "even"
                }
                Some(1..=9) => return "odd",
                Some(_) | None => "other",
            }
        }
    },
    f(Some(4), Noisy("a"))
);

both!(
    if_tail,
    "f",
    {},
    {
        fn f(n: u8) -> u8 {
            if n == 0 {
                1
            } else if let Some(n) = n.checked_sub(3) {
                pause!();
                n
            } else {
                9
            }
        }
    },
    f(5)
);

both!(
    let_else,
    "f",
    {},
    {
        fn f(n: Option<u8>, a: Noisy) -> u8 {
            let Some(n) = n else { return 0 };
            pause!();
            n
        }
    },
    f(None, Noisy("a"))
);

both!(
    if_let_with_a_temporary,
    "f",
    {},
    {
        fn f(a: Noisy) -> usize {
            if let Noisy(text @ "x") = &Noisy("x") {
                pause!();
                log("inside");
                text.len()
            } else {
                0
            }
        }
    },
    f(Noisy("a"))
);

both!(
    const_block,
    "f",
    {},
    {
        fn f() -> usize {
            pause!();
            const { size_of::<u32>() }
        }
    },
    f()
);

both!(
    shadowed_arguments,
    "f",
    {},
    {
        fn f(a: Noisy, n: u8) -> u8 {
            let n = n + 1;
            let a = Noisy("shadow");
            pause!();
            let n = n + 1;
            n
        }
    },
    f(Noisy("a"), 1)
);

both!(
    locals_and_arguments,
    "f",
    {},
    {
        fn f(a: Noisy, b: Noisy) -> usize {
            let c = Noisy("c");
            let d = a;
            pause!();
            let e = Noisy("e");
            drop(c);
            {
                let g = Noisy("g");
            }
            d.0.len()
        }
    },
    f(Noisy("a"), Noisy("b"))
);
