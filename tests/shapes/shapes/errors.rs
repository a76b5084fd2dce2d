//! Results, by the traits that their errors implement.

use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::io;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail, ensure};

use super::harness::{Noisy, both, shape};

#[derive(Debug)]
struct OnlyDebug(u8);

struct Neither;

#[derive(Debug)]
struct Shown<T>(T);

impl<T: Display> Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shown {}", self.0)
    }
}

impl<T: Display + Debug> Error for Shown<T> {}

type Answer<T, E = Shown<u8>> = Result<T, E>;

both!(
    only_debug,
    "f !error: shapes::shapes::errors::OnlyDebug",
    {},
    {
        fn f() -> Result<u8, OnlyDebug> {
            pause!();
            Err(OnlyDebug(1))
        }
    },
    f()
);

both!(
    neither,
    "f !error: shapes::shapes::errors::Neither",
    {},
    {
        fn f() -> Result<u8, Neither> {
            pause!();
            Err(Neither)
        }
    },
    f(),
    |result| result.is_err()
);

both!(
    neither_but_fine,
    "f",
    {},
    {
        fn f() -> Result<u8, Neither> {
            pause!();
            Ok(1)
        }
    },
    f(),
    |result| result.is_err()
);

both!(
    value_with_neither,
    "f",
    {},
    {
        fn f() -> Result<Neither, Neither> {
            pause!();
            Ok(Neither)
        }
    },
    f(),
    |result| result.is_ok()
);

both!(
    unit_error,
    "f !error: ()",
    {},
    {
        fn f() -> Result<u8, ()> {
            pause!();
            Err(())
        }
    },
    f()
);

both!(
    text,
    "f !error: text",
    {},
    {
        fn f() -> Result<(), &'static str> {
            pause!();
            Err("text")
        }
    },
    f()
);

both!(
    alias,
    "f !error: shown 1",
    {},
    {
        fn f() -> Answer<u8> {
            pause!();
            Err(Shown(1))
        }
    },
    f()
);

both!(
    alias_with_both,
    "f !error: other",
    {},
    {
        fn f() -> Answer<u8, &'static str> {
            pause!();
            Err("other")
        }
    },
    f()
);

both!(
    alias_of_the_library,
    "f !error: broken",
    {},
    {
        fn f() -> io::Result<()> {
            pause!();
            Err(io::Error::other("broken"))
        }
    },
    f(),
    |result| result.is_err()
);

both!(
    boxed,
    "f !error: bad",
    {},
    {
        fn f() -> Result<u8, Box<dyn Error>> {
            pause!();
            Err("bad".into())
        }
    },
    f()
);

both!(
    boxed_send,
    "f !error: shown x",
    {},
    {
        fn f() -> Result<u8, Box<dyn Error + Send + Sync + 'static>> {
            pause!();
            Err(Shown("x"))?
        }
    },
    f()
);

both!(
    shared,
    "f !error: shown 1",
    {},
    {
        fn f() -> Result<u8, Arc<dyn Error>> {
            pause!();
            Err(Arc::new(Shown(1)))
        }
    },
    f()
);

both!(
    anyhow_result,
    "f !error: bad 1",
    {},
    {
        fn f(n: u8) -> anyhow::Result<u8> {
            pause!();
            bail!("bad {n}")
        }
    },
    f(1),
    |result| result.unwrap_err().to_string()
);

both!(
    anyhow_with_context,
    "f !error: while reading",
    {},
    {
        fn f() -> anyhow::Result<u8> {
            pause!();
            let n: u8 = "x".parse().context("while reading")?;
            Ok(n)
        }
    },
    f(),
    |result| result.unwrap_err().to_string()
);

both!(
    anyhow_ensured,
    "f !error: n is 9",
    {},
    {
        fn f(n: u8, a: Noisy) -> Result<u8, anyhow::Error> {
            pause!();
            ensure!(n < 5, "n is {n}");
            Err(anyhow!("other"))
        }
    },
    f(9, Noisy("a")),
    |result| result.unwrap_err().to_string()
);

both!(
    generic_with_display,
    "f !error: 7",
    {},
    {
        fn f<E: Display>(e: E) -> Result<(), E> {
            pause!();
            Err(e)
        }
    },
    f(7)
);

both!(
    generic_with_debug,
    "f !error: &str",
    {},
    {
        fn f<E: Debug>(e: E) -> Result<(), E> {
            pause!();
            Err(e)
        }
    },
    f("seven")
);

both!(
    generic_with_nothing,
    "f !error: i32",
    {},
    {
        fn f<E>(e: E) -> Result<(), E> {
            pause!();
            Err(e)
        }
    },
    f(7)
);

both!(
    generic_inside,
    "f !error: shown 7",
    {},
    {
        fn f<E: Display>(e: E) -> Result<(), Shown<E>> {
            pause!();
            Err(Shown(e))
        }
    },
    f(7)
);

both!(
    of_a_trait,
    "f !error: invalid digit found in string",
    {},
    {
        fn f<T: std::str::FromStr<Err: Display>>(text: &'static str) -> Result<T, T::Err> {
            pause!();
            text.parse()
        }
    },
    f::<u8>("x")
);

both!(
    noisy_error,
    "f !error: shapes::shapes::harness::Noisy",
    {},
    {
        fn f(a: Noisy, b: Noisy) -> Result<Noisy, Noisy> {
            pause!();
            Err(a)
        }
    },
    f(Noisy("bad"), Noisy("b"))
);

both!(
    borrowed_result,
    "f !error: e",
    {},
    {
        fn f() -> Result<&'static str, &'static dyn Display> {
            pause!();
            Err(&"e")
        }
    },
    f(),
    |result| result.is_err()
);

both!(
    nested_result,
    "f",
    {},
    {
        fn f() -> Result<Result<u8, String>, String> {
            pause!();
            Ok(Err("inner".into()))
        }
    },
    f()
);

both!(
    option_of_a_result,
    "f",
    {},
    {
        fn f() -> Option<Result<u8, String>> {
            pause!();
            Some(Err("inner".into()))
        }
    },
    f()
);

both!(
    opaque_error,
    "f !error: opaque",
    {},
    {
        fn f() -> Result<u8, impl Display + Debug> {
            pause!();
            Err("opaque")
        }
    },
    f()
);

both!(
    opaque_error_with_neither,
    "f !error: shapes::shapes::errors::Neither",
    {},
    {
        fn f() -> Result<u8, impl Send> {
            pause!();
            Err(Neither)
        }
    },
    f(),
    |result| result.is_err()
);

shape!(
    of_a_borrow,
    "f !error: late",
    {
        #[traced]
        fn f<'a>(text: &'a str) -> Result<&'a str, &'a str> {
            Err(&text[2..])
        }
    },
    {
        let text = String::from("x late");
        f(&text[0..]).map_err(|error| error.to_owned()).unwrap_err()
    }
);
