//! Functions and closures.

use crate::shapes::harness::{Noisy, both, shape};

both!(
    closure_boxed,
    "f",
    {},
    {
        fn f(n: usize) -> Box<dyn Fn(&str) -> String> {
            pause!();
            Box::new(move |s| s.repeat(n))
        }
    },
    f(2),
    |made| made("ab")
);

both!(
    function_pointer,
    "f",
    {},
    {
        fn f() -> fn(u8) -> u8 {
            pause!();
            |n| n + 1
        }
    },
    f(),
    |made| made(1)
);

both!(
    opaque_function,
    "f",
    {},
    {
        fn f(n: usize) -> impl Fn(&str) -> usize {
            pause!();
            move |text: &str| text.len() + n
        }
    },
    f(1),
    |made| made("abc").to_owned()
);

// The signature only determines the types of closures in the tail of the function itself.
shape!(
    opaque_function_untyped,
    "f",
    {
        #[traced]
        fn f(n: usize, end: Noisy) -> impl Fn(&str) -> usize {
            move |text| text.len() + n
        }
    },
    f(1, Noisy("end")),
    |made| made("abc")
);

// The trait may be implemented by closures, which the attribute cannot know.
shape!(
    opaque_subtrait_of_functions,
    "f",
    {
        trait Measure: Fn(&str) -> usize {}
        impl<F: Fn(&str) -> usize> Measure for F {}
        #[traced]
        fn f(n: usize, end: Noisy) -> impl Measure {
            let end = end;
            move |text| text.len() + n
        }
    },
    f(1, Noisy("end")),
    |made| made("abc")
);

shape!(
    opaque_function_that_borrows,
    "f",
    {
        #[traced]
        fn f(n: usize) -> impl Fn(&str) -> &str + Clone {
            if n > 9 {
                panic!("too much")
            }
            move |text| &text[n..]
        }
    },
    f(1),
    |made| made("abc").to_owned()
);

shape!(
    opaque_function_that_panics,
    "f !panicked: panicked",
    {
        #[traced]
        fn f(n: usize) -> impl FnOnce(&str) -> &str {
            assert!(n > 9);
            move |text| &text[n..]
        }
    },
    f(1),
    |made| made("abc").to_owned()
);

shape!(
    opaque_function_in_a_tuple,
    "f",
    {
        #[traced]
        fn f(n: usize, end: Noisy) -> (impl Fn(&str) -> usize, usize) {
            (move |text| text.len() + n, n)
        }
    },
    f(1, Noisy("end")),
    |made| made.0("abc") + made.1
);

both!(
    opaque_function_in_an_option,
    "f",
    {},
    {
        fn f(n: usize) -> Option<impl Fn(&str) -> usize> {
            pause!();
            if n == 0 {
                return None;
            }
            Some(move |text: &str| text.len() + n)
        }
    },
    f(1),
    |made| made.map(|made| made("abc"))
);

shape!(
    opaque_function_untyped_of_an_async_function,
    "f",
    {
        #[traced]
        async fn f<'a>(
            name: &'a str,
            end: Noisy,
        ) -> impl FnOnce(&str, (u8, u8)) -> Result<String, Box<dyn std::error::Error>> + use<'a> {
            let end = end;
            move |text, (a, _)| {
                drop(end);
                if text.is_empty() {
                    return Err("empty")?;
                }
                Ok(format!("{name}{text}{a}"))
            }
        }
    },
    block { f("a", Noisy("end")).await("abc", (1, 2)).map_err(|error| error.to_string()) }
);

shape!(
    opaque_function_untyped_of_any_lifetime,
    "f",
    {
        #[traced]
        async fn f() -> (impl for<'x> Fn(&'x [u8]) -> usize, u8) {
            (|bytes| bytes.len(), 1)
        }
    },
    block { f().await.0(&[1, 2]) }
);

both!(
    boxed_trait_with_generics,
    "f",
    {},
    {
        fn f() -> Option<Box<dyn FnMut(u8) -> Option<u8>>> {
            pause!();
            Some(Box::new(|n| n.checked_add(1)))
        }
    },
    f(),
    |made| made.and_then(|mut made| made(1))
);
