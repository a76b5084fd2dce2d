//! Values of a named type.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Debug;

use crate::shapes::harness::{Noisy, both};

both!(
    unit_written,
    "f",
    {},
    {
        fn f() -> () {
            pause!();
        }
    },
    f()
);

both!(
    unit_by_semicolon,
    "f",
    {},
    {
        fn f(n: u8) {
            pause!();
            drop(n.to_string());
        }
    },
    f(1)
);

both!(
    tuple,
    "f",
    {},
    {
        fn f(n: u8) -> (u8, &'static str) {
            pause!();
            (n, "n")
        }
    },
    f(1)
);

both!(
    array,
    "f",
    {},
    {
        fn f(n: u8) -> [u8; 2] {
            pause!();
            [n; 2]
        }
    },
    f(1)
);

both!(
    nested_generics,
    "f",
    {},
    {
        fn f() -> Result<Option<Vec<(u8, String)>>, ()> {
            pause!();
            Ok(Some(vec![(1, "a".into())]))
        }
    },
    f()
);

both!(
    parentheses,
    "f",
    {},
    {
        fn f() -> (u8) {
            pause!();
            1
        }
    },
    f()
);

both!(
    coerced,
    "f",
    {},
    {
        fn f(n: u8) -> Box<dyn Debug> {
            pause!();
            if n == 0 {
                return Box::new("zero");
            }
            Box::new(n)
        }
    },
    f(1)
);

both!(
    coerced_slice,
    "f",
    {},
    {
        fn f() -> &'static [u8] {
            pause!();
            &[1, 2]
        }
    },
    f()
);

both!(
    cow,
    "f",
    {},
    {
        fn f(text: &'static str) -> Cow<'static, str> {
            pause!();
            if text.is_empty() {
                return "none".into();
            }
            Cow::Borrowed(text)
        }
    },
    f("a")
);

both!(
    error_object,
    "f !error: bad",
    {},
    {
        fn f() -> Result<u8, Box<dyn Error + Send + Sync>> {
            pause!();
            Err("bad")?
        }
    },
    f()
);

both!(
    noisy_result,
    "f",
    {},
    {
        fn f(a: Noisy) -> Result<Noisy, Noisy> {
            pause!();
            Ok(a)
        }
    },
    f(Noisy("a"))
);

both!(
    associated_type,
    "f",
    {},
    {
        fn f() -> <Vec<u8> as IntoIterator>::IntoIter {
            pause!();
            vec![1].into_iter()
        }
    },
    f()
);

both!(
    by_a_macro,
    "f",
    {
        macro_rules! list { ($t:ty) => { Vec<$t> }; }
    },
    {
        fn f() -> list!(u8) {
            pause!();
            vec![1]
        }
    },
    f()
);

both!(
    raw_pointer,
    "f",
    {},
    {
        fn f() -> *const u8 {
            pause!();
            std::ptr::null()
        }
    },
    f(),
    |pointer| pointer.is_null()
);

both!(
    alias,
    "f",
    {
        type Answer<T = u8> = Option<T>;
    },
    {
        fn f() -> Answer {
            pause!();
            Some(1)
        }
    },
    f()
);
