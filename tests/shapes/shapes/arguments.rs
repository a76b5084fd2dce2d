//! Kinds of arguments.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use super::harness::{Noisy, both, shape};

both!(
    none,
    "f",
    {},
    {
        fn f() -> u8 {
            pause!();
            7
        }
    },
    f()
);

both!(
    by_value,
    "f",
    {},
    {
        fn f(a: String, b: u8) -> String {
            pause!();
            format!("{a}{b}")
        }
    },
    f("a".to_owned(), 2)
);

both!(
    mutable,
    "f",
    {},
    {
        fn f(mut a: Vec<u8>, mut n: usize, b: Noisy) -> Vec<u8> {
            a.push(1);
            pause!();
            n += 1;
            a.truncate(n);
            a
        }
    },
    f(vec![9, 8, 7], 1, Noisy("b"))
);

both!(
    static_borrows,
    "f",
    {},
    {
        fn f(text: &'static str, list: &'static [u8]) -> (&'static str, usize) {
            pause!();
            (&text[1..], list.len())
        }
    },
    f("text", &[1, 2])
);

both!(
    mutable_borrow_variable,
    "f",
    {},
    {
        fn f(mut text: &'static str, end: Noisy) -> &'static str {
            while let Some(rest) = text.strip_prefix('x') {
                pause!();
                text = rest;
            }
            text
        }
    },
    f("xxy", Noisy("end"))
);

shape!(
    borrows,
    "f",
    {
        #[traced]
        fn f(a: &str, b: &mut Vec<String>, c: &[u8; 2]) -> usize {
            b.push(a.to_owned());
            b.len() + c.len()
        }
    },
    {
        let mut list = Vec::new();
        (f("a", &mut list, &[1, 2]), list)
    }
);

shape!(borrows_async, "f", {
    #[traced]
    async fn f(a: &str, b: &mut Vec<String>, c: &[u8; 2]) -> usize {
        super::super::super::harness::pause().await;
        b.push(a.to_owned());
        b.len() + c.len()
    }
}, block {
    let mut list = Vec::new();
    (f("a", &mut list, &[1, 2]).await, list)
});

both!(
    impl_trait,
    "f",
    {},
    {
        fn f(
            items: impl IntoIterator<Item = u8>,
            name: impl Into<String>,
            then: impl FnOnce(u8) -> u8,
            end: Noisy,
        ) -> String {
            let sum = items.into_iter().sum();
            pause!();
            name.into() + &then(sum).to_string()
        }
    },
    f([1, 2], "n", |n| n * 2, Noisy("end"))
);

both!(
    trait_objects,
    "f",
    {},
    {
        fn f(show: &dyn std::fmt::Display, act: Box<dyn Fn(u8) -> u8>) -> String {
            let shown = show.to_string();
            pause!();
            format!("{shown}{}", act(1))
        }
    },
    f(&7, Box::new(|n| n + 1))
);

both!(
    function_pointers,
    "f",
    {},
    {
        fn f(g: fn(u8) -> u8, h: unsafe extern "C" fn(u8) -> u8) -> u8 {
            g(1)
        }
    },
    {
        unsafe extern "C" fn h(n: u8) -> u8 {
            n
        }
        f(|n| n + 1, h)
    }
);

both!(
    shared,
    "f",
    {},
    {
        fn f(a: Arc<Mutex<u32>>, b: Rc<RefCell<u32>>, c: Cow<'static, str>) -> u32 {
            *a.lock().unwrap() += 1;
            pause!();
            *b.borrow_mut() += 1;
            let sum = *a.lock().unwrap() + *b.borrow();
            sum
        }
    },
    f(Arc::default(), Rc::default(), Cow::Borrowed("c"))
);

both!(
    cfg_present,
    "f",
    {},
    {
        fn f(#[cfg(all())] a: Noisy, b: Noisy, #[cfg(all())] mut c: u8) -> u8 {
            c += 1;
            pause!();
            c
        }
    },
    f(Noisy("a"), Noisy("b"), 1)
);

both!(
    cfg_absent,
    "f",
    {},
    {
        fn f(#[cfg(any())] a: Absent, b: Noisy, #[cfg(any())] (c, d): (u8, Absent)) -> usize {
            pause!();
            b.0.len()
        }
    },
    f(Noisy("b"))
);

both!(
    cfg_pattern,
    "f",
    {},
    {
        fn f(#[cfg(all())] (a, _): (Noisy, Noisy), #[cfg_attr(all(), allow(unused))] b: Noisy) -> usize {
            pause!();
            a.0.len()
        }
    },
    f((Noisy("a"), Noisy("ignored")), Noisy("b"))
);

both!(
    many,
    "f",
    {},
    {
        fn f(
            a: u8,
            b: u8,
            c: u8,
            d: u8,
            e: u8,
            g: u8,
            h: u8,
            i: u8,
            j: u8,
            k: u8,
            l: u8,
            m: u8,
            n: u8,
            o: Noisy,
        ) -> u8 {
            pause!();
            a + b + c + d + e + g + h + i + j + k + l + m + n
        }
    },
    f(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, Noisy("o"))
);

both!(
    unit_and_zero_sized,
    "f",
    {
        #[derive(Debug)]
        struct Zero;
    },
    {
        fn f(unit: (), zero: Zero, none: [Noisy; 0]) -> Zero {
            pause!();
            zero
        }
    },
    f((), Zero, [])
);

both!(
    big,
    "f",
    {},
    {
        fn f(big: [u8; 4096], end: Noisy) -> usize {
            pause!();
            big.len()
        }
    },
    f([0; 4096], Noisy("end"))
);

both!(
    names_of_generated_code,
    "f",
    {},
    {
        fn f(span: u8, result: u8, tags: u8, value: u8, arg0: u8, _: Noisy, arg1: u8, outcome: Noisy) -> u8 {
            pause!();
            span + result + tags + value + arg0 + arg1
        }
    },
    f(1, 2, 3, 4, 5, Noisy("_"), 6, Noisy("outcome"))
);

both!(
    raw_names,
    "f",
    {},
    {
        fn f(r#type: u8, r#match: Noisy, mut r#fn: u8) -> u8 {
            r#fn += 1;
            pause!();
            r#type + r#fn
        }
    },
    f(1, Noisy("match"), 2)
);
