//! Single expressions, items, closures, and attributes inside of the body.

use crate::shapes::harness::{Noisy, both};

both!(
    empty,
    "f",
    {},
    {
        fn f() {}
    },
    f()
);

both!(
    one_expression,
    "f",
    {},
    {
        fn f(n: u8) -> u8 {
            n
        }
    },
    f(1)
);

both!(
    one_literal,
    "f",
    {},
    {
        fn f() -> &'static str {
            "text"
        }
    },
    f()
);

both!(
    one_macro,
    "f",
    {},
    {
        fn f(n: u8) -> String {
            format!("{n}")
        }
    },
    f(1)
);

both!(
    one_block,
    "f",
    {},
    {
        fn f(a: Noisy) -> u8 {
            {
                let b = Noisy("b");
                pause!();
                { 1 }
            }
        }
    },
    f(Noisy("a"))
);

both!(
    only_items,
    "f",
    {},
    {
        fn f() {
            #[derive(Debug)]
            struct S;
            const N: u8 = 1;
            fn g() {}
        }
    },
    f()
);

both!(
    nested_items,
    "f",
    {},
    {
        fn f(n: u8) -> u8 {
            use std::ops::Neg as _;
            const ONE: u8 = g(0);
            static TWO: u8 = 2;
            struct S(u8);
            impl S {
                fn get(&self) -> u8 {
                    self.0
                }
            }
            const fn g(n: u8) -> u8 {
                n + 1
            }
            macro_rules! add { ($($n:expr),*) => { 0 $(+ $n)* }; }
            pause!();
            let negative = 1i8.neg();
            add!(S(n).get(), ONE, TWO, negative.unsigned_abs())
        }
    },
    f(1)
);

both!(
    closures,
    "f",
    {},
    {
        fn f(n: u8, mut list: Vec<u8>) -> Vec<u8> {
            let add = |m| n + m;
            let mut push = |m| list.push(m);
            push(add(1));
            pause!();
            push((|| {
                return add(2);
            })());
            list
        }
    },
    f(1, vec![])
);

both!(
    inner_attributes,
    "f",
    {},
    {
        fn f(a: Noisy) -> u8 {
            // Tests that these reach the body, which would otherwise have warnings.
            #![allow(unused_parens, clippy::all, reason = "inner attributes are the shape")]
            #![allow(non_snake_case, reason = "and so is a second one")]
            let N = (1);
            pause!();
            N
        }
    },
    f(Noisy("a"))
);

both!(
    inner_documentation,
    "f",
    {},
    {
        fn f(a: Noisy) -> u8 {
            //! Inner documentation.
            pause!();
            1
        }
    },
    f(Noisy("a"))
);

both!(
    statement_attributes,
    "f",
    {},
    {
        fn f() -> u8 {
            #[cfg(any())]
            compile_error!("absent");
            // An attribute of a statement stays on it.
            #[allow(unused, reason = "an attribute of a statement is the shape")]
            let a = 1;
            pause!();
            #[cfg(all())]
            {
                2
            }
        }
    },
    f()
);

both!(
    unsafe_block,
    "f",
    {},
    {
        fn f(n: u8) -> u8 {
            pause!();
            unsafe { *(&raw const n) }
        }
    },
    f(1)
);
