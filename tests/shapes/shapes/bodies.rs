//! Kinds of function bodies.

use std::collections::BTreeMap;

use super::harness::{Noisy, both, log, pause, shape};

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
    inner_attributes,
    "f",
    {},
    {
        fn f(a: Noisy) -> u8 {
            // That these reach the body is what is tested: it would not be free of warnings.
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

both!(
    collected,
    "f",
    {},
    {
        fn f(n: u8) -> BTreeMap<u8, String> {
            pause!();
            (0..n).map(|n| (n, n.to_string())).collect()
        }
    },
    f(2)
);

both!(
    result_collected_with_question_marks,
    "f",
    {},
    {
        fn f(list: &'static [&'static str]) -> Result<Vec<u8>, std::num::ParseIntError> {
            pause!();
            list.iter().map(|text| Ok(text.parse::<u8>()? + 1)).collect()
        }
    },
    f(&["1", "2"])
);

both!(
    generated_by_a_macro,
    "f",
    {
        macro_rules! body {
            ($n:ident) => {{
                if $n > 1 {
                    return $n;
                }
                $n + 10
            }};
        }
    },
    {
        fn f(n: u8) -> u8 {
            pause!();
            body!(n)
        }
    },
    f(5)
);

both!(
    late_initialization,
    "f",
    {},
    {
        fn f(yes: bool, a: Noisy) -> u8 {
            let n;
            if yes {
                n = 1
            } else {
                n = 2
            }
            pause!();
            n
        }
    },
    f(true, Noisy("a"))
);

both!(
    shadowed_prelude,
    "f",
    {
        #[allow(non_camel_case_types, reason = "the names are those of the prelude")]
        struct Some;
        struct Result;
        struct Box;
        fn drop() {}
    },
    {
        fn f(_: Some, _: Result) -> Box {
            pause!();
            drop();
            Box
        }
    },
    f(Some, Result),
    |made| matches!(made, Box)
);

shape!(
    recursive,
    "└── factorial\n    └── factorial\n        └── factorial",
    {
        #[traced]
        fn factorial(n: u64) -> u64 {
            if n < 2 {
                return 1;
            }
            n * factorial(n - 1)
        }
    },
    factorial(3)
);

shape!(
    mutually_recursive,
    "└── even\n    └── odd\n        └── even",
    {
        #[traced]
        fn even(n: u8, a: Noisy) -> bool {
            n == 0 || odd(n - 1, Noisy("odd"))
        }
        #[traced]
        fn odd(n: u8, a: Noisy) -> bool {
            n != 0 && even(n - 1, Noisy("even"))
        }
    },
    even(2, Noisy("first"))
);

shape!(recursive_async, "└── depth\n    └── depth\n        └── depth", {
    #[traced]
    async fn depth(n: u8, a: Noisy) -> u8 {
        if n == 0 { return 0; }
        pause().await;
        1 + Box::pin(depth(n - 1, Noisy("below"))).await
    }
}, future depth(2, Noisy("top")));

shape!(recursive_boxed, "└── depth\n    └── depth", {
    #[traced]
    fn depth(n: u8) -> std::pin::Pin<Box<dyn Future<Output = u8> + Send>> {
        Box::pin(async move {
            pause().await;
            if n == 0 { 0 } else { 1 + depth(n - 1).await }
        })
    }
}, started depth(1));

shape!(async_blocks, "f", {
    #[traced]
    async fn f(n: u8, a: Noisy, text: String) -> usize {
        let first = async { pause().await; n };
        let second = async move { pause().await; let a = a; text.len() };
        usize::from(first.await) + second.await
    }
}, future f(1, Noisy("a"), "text".into()));

shape!(joined, "└── f\n    ├── left\n    └── right", {
    #[traced]
    async fn left(n: u8) -> u8 { pause().await; n }
    #[traced]
    async fn right(n: u8) -> Result<u8, ()> { pause().await; pause().await; Ok(n) }
    #[traced]
    async fn f(a: Noisy) -> Result<u8, ()> { let (a, b) = ::futures::join!(left(1), right(2)); Ok(a + b?) }
}, future f(Noisy("a")));

shape!(selected, "└── f\n    ├── quick\n    └── slow !cancelled", {
    #[traced]
    async fn quick(a: Noisy) -> u8 { pause().await; 1 }
    #[traced]
    async fn slow(a: Noisy) -> u8 { pause().await; pause().await; 2 }
    #[traced]
    async fn f() -> u8 {
        let (quick, slow) = (std::pin::pin!(quick(Noisy("quick"))), std::pin::pin!(slow(Noisy("slow"))));
        ::futures::future::select(quick, slow).await.factor_first().0
    }
}, future f());

shape!(async_closures, "f", {
    #[traced]
    async fn f(n: u8, a: Noisy) -> u8 {
        let add = async |m: u8| { pause().await; n + m };
        add(1).await + add(2).await
    }
}, future f(1, Noisy("a")));

shape!(awaited_temporary_in_the_tail, "f", {
    async fn look(of: &Noisy) -> usize { pause().await; of.0.len() }
    #[traced]
    async fn f(a: Noisy) -> usize { let local = Noisy("local"); look(&Noisy("temporary")).await }
}, future f(Noisy("a")));
