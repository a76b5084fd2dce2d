//! `impl Trait`.

use std::fmt::{Debug, Display};

use crate::shapes::harness::{Noisy, both};

both!(
    opaque,
    "f",
    {},
    {
        fn f(n: u32) -> impl Display + Debug {
            pause!();
            n + 1
        }
    },
    f(1)
);

both!(
    still_to_be_written,
    "f !panicked: not yet implemented: write it",
    {},
    {
        fn f(a: Noisy) -> impl Debug {
            pause!();
            todo!("write it")
        }
    },
    f(Noisy("a"))
);

both!(
    opaque_iterator,
    "f",
    {},
    {
        fn f(n: u32) -> impl Iterator<Item = u32> + Debug {
            pause!();
            n..n + 3
        }
    },
    f(1)
);

both!(
    opaque_in_a_result,
    "f",
    {},
    {
        fn f(n: u32) -> Result<impl Iterator<Item = u32> + Debug, String> {
            pause!();
            let n: u32 = n.checked_sub(1).ok_or("none")?;
            Ok(0..n)
        }
    },
    f(2)
);

both!(
    opaque_in_a_tuple,
    "f",
    {},
    {
        fn f(n: u32) -> (impl Debug, impl Iterator<Item = u32> + Debug) {
            pause!();
            (n, 0..n)
        }
    },
    f(2)
);

both!(
    opaque_in_a_box,
    "f",
    {},
    {
        fn f(n: u32) -> Box<impl Debug> {
            pause!();
            Box::new(n)
        }
    },
    f(2)
);

both!(
    opaque_in_an_opaque,
    "f",
    {},
    {
        fn f(n: u32) -> impl Iterator<Item = impl Debug> + Debug {
            pause!();
            [n, n + 1].into_iter()
        }
    },
    f(2)
);

both!(
    opaque_early,
    "f",
    {},
    {
        fn f(n: u32) -> impl Debug {
            pause!();
            if n > 1 {
                return Some(n);
            }
            None
        }
    },
    f(2)
);

both!(
    opaque_argument_and_result,
    "f",
    {},
    {
        fn f(items: impl Iterator<Item = u8> + Debug, end: Noisy) -> impl Iterator<Item = u8> + Debug {
            pause!();
            items.skip(1)
        }
    },
    f(0..3, Noisy("end"))
);

both!(
    opaque_in_an_object,
    "f",
    {},
    {
        fn f(n: u32) -> Result<Box<dyn Iterator<Item = (u32, impl Debug)>>, String> {
            pause!();
            let n: u32 = n.checked_sub(1).ok_or("none")?;
            Ok(Box::new([(n, n)].into_iter()))
        }
    },
    f(2),
    |items| items.map(Iterator::collect::<Vec<_>>)
);

both!(
    coerced_from_a_temporary,
    "f",
    {},
    {
        fn f(early: bool, text: &'static str, _last: Noisy) -> impl Debug {
            pause!();
            if early {
                return text;
            }
            [text, "b"].iter().last().unwrap()
        }
    },
    f(false, "a", Noisy("last"))
);
