//! Kinds of return values.

use std::borrow::Cow;
use std::cell::{Cell, Ref, RefCell};
use std::error::Error;
use std::fmt::{Debug, Display};
use std::sync::{Mutex, MutexGuard};

use super::harness::{Noisy, both, pause, shape};

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

// Only closures in the tail of the function itself are inferred from the signature.
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

shape!(
    guard,
    "f",
    {
        #[traced]
        fn f<'a>(of: &'a Mutex<u8>, _: &str) -> MutexGuard<'a, u8> {
            of.lock().unwrap()
        }
    },
    {
        let of = Mutex::new(1);
        let n = *f(&of, "");
        n
    }
);

shape!(
    cell_guard,
    "f",
    {
        #[traced]
        fn f(of: &RefCell<Vec<u8>>) -> Option<Ref<'_, u8>> {
            if of.borrow().is_empty() {
                return None;
            }
            Some(Ref::map(of.borrow(), |list| &list[0]))
        }
    },
    {
        let of = RefCell::new(vec![1]);
        let n = f(&of).map(|n| *n);
        n
    }
);

shape!(
    borrow_of_an_argument,
    "f",
    {
        #[traced]
        fn f(list: &mut Vec<u8>) -> &mut u8 {
            list.push(1);
            list.last_mut().unwrap()
        }
    },
    {
        let mut list = vec![];
        *f(&mut list) += 1;
        list
    }
);

shape!(borrow_of_an_argument_async, "f", {
    #[traced]
    async fn f(list: &mut Vec<u8>) -> &mut u8 { list.push(1); pause().await; list.last_mut().unwrap() }
}, block { let mut list = vec![]; *f(&mut list).await += 1; list });

shape!(
    opaque_that_borrows,
    "f",
    {
        #[traced]
        fn f<'a>(list: &'a [u8], n: &u8) -> impl Iterator<Item = &'a u8> + use<'a> {
            let n = *n;
            list.iter().filter(move |&&item| item > n)
        }
    },
    {
        let list = [1, 2, 3];
        f(&list, &1).copied().collect::<Vec<_>>()
    }
);

shape!(
    object_that_borrows,
    "f",
    {
        #[traced]
        fn f(list: &[u8]) -> Box<dyn Iterator<Item = &u8> + '_> {
            Box::new(list.iter().rev())
        }
    },
    f(&[1, 2]).copied().collect::<Vec<_>>()
);

shape!(
    cells,
    "f",
    {
        #[traced]
        fn f(cells: &[Cell<u8>]) -> Option<&Cell<u8>> {
            let cell = cells.first()?;
            cell.set(2);
            Some(cell)
        }
    },
    f(&[Cell::new(1)]).map(Cell::get)
);
