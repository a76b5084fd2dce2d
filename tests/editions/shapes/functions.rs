use std::cell::RefCell;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::pin::Pin;

use futures::stream::{Stream, StreamExt as _, iter};

use super::harness::{Noisy, both, log, pause, shape};

both!(
    arguments,
    "f",
    {},
    {
        fn f(a: Noisy, mut b: Vec<u8>, _: Noisy, c: &'static str) -> usize {
            b.push(1);
            pause!();
            b.len() + c.len()
        }
    },
    f(Noisy("a"), vec![], Noisy("_"), "c")
);

both!(
    patterns,
    "f",
    {},
    {
        fn f((a, _): (Noisy, Noisy), (_, y): (Noisy, Noisy), ref mut z: Noisy) {
            pause!();
            log("body");
        }
    },
    f((Noisy("a"), Noisy("b")), (Noisy("x"), Noisy("y")), Noisy("z"))
);

both!(
    question_mark,
    "f !error: invalid digit found in string",
    {},
    {
        fn f(text: &'static str, a: Noisy) -> Result<u8, Box<dyn std::error::Error + Send + Sync>> {
            pause!();
            Ok(text.parse::<u8>()?)
        }
    },
    f("x", Noisy("a"))
);

both!(
    early_return,
    "f",
    {},
    {
        fn f(n: u8, a: Noisy) -> Option<u8> {
            if n > 1 {
                return None;
            }
            pause!();
            Some(n)
        }
    },
    f(2, Noisy("a"))
);

both!(
    panicking,
    "f !panicked: ouch 1",
    {},
    {
        fn f(n: u8, a: Noisy) -> u8 {
            pause!();
            panic!("ouch {}", n)
        }
    },
    f(1, Noisy("a"))
);

both!(
    opaque,
    "f",
    {},
    {
        fn f<T: Debug>(t: T, a: Noisy) -> Result<impl Iterator<Item = u8> + Debug, String> {
            pause!();
            Ok(0..3)
        }
    },
    f(1, Noisy("a"))
);

both!(
    generic,
    "f",
    {},
    {
        fn f<T, const N: usize>(t: [T; N], g: impl Fn(T) -> String) -> Vec<String>
        where
            T: Display + Copy,
        {
            pause!();
            t.iter().map(|t| g(*t)).collect()
        }
    },
    f([1, 2], |t| t.to_string())
);

both!(
    boxed_function,
    "f",
    {},
    {
        fn f(n: usize) -> Box<dyn Fn(&str) -> String> {
            pause!();
            Box::new(move |text| text.repeat(n))
        }
    },
    f(2),
    |made| made("a")
);

shape!(
    opaque_function,
    "f",
    {
        #[traced]
        fn f(n: usize) -> impl Fn(&str) -> &str {
            move |text| &text[n..]
        }
    },
    f(1),
    |made| made("abc").to_owned()
);

shape!(
    lifetimes,
    "f",
    {
        #[traced]
        fn f<'a>(list: &'a mut Vec<u8>, _: &str) -> &'a mut u8 {
            list.push(1);
            list.last_mut().unwrap()
        }
    },
    {
        let mut list = vec![];
        *f(&mut list, "") += 1;
        list
    }
);

shape!(lifetimes_async, "f", {
    #[traced]
    async fn f<'a>(list: &'a mut Vec<u8>, _: &str) -> &'a mut u8 { list.push(1); pause().await; list.last_mut().unwrap() }
}, block { let mut list = vec![]; *f(&mut list, "").await += 1; list });

shape!(
    methods,
    "├── S::f\n└── S::g",
    {
        struct S(Noisy, u8);
        #[traced]
        impl S {
            fn f(&mut self) -> &mut Self {
                self.1 += 1;
                log(self.0.0);
                self
            }
            fn g(mut self, a: Noisy) -> u8 {
                let add = || {
                    self.1 += 1;
                    self.1
                };
                let mut add = add;
                add()
            }
            #[traced(skip)]
            fn new() -> Self {
                Self(Noisy("self"), 1)
            }
        }
    },
    {
        let mut s = S::new();
        s.f();
        s.g(Noisy("a"))
    }
);

shape!(methods_async, "f", {
    struct S(Noisy, Noisy);
    impl S { #[traced] async fn f(self, a: Noisy) -> usize { pause().await; drop(self.0); a.0.len() + self.1.0.len() } }
}, future S(Noisy("0"), Noisy("1")).f(Noisy("a")));

shape!(
    traits,
    "├── f\n└── g",
    {
        trait T {
            fn n(&self) -> u8;
            #[traced]
            fn f(&self) -> u8 {
                self.n()
            }
            fn g(self: Box<Self>) -> u8;
        }
        struct S;
        impl T for S {
            fn n(&self) -> u8 {
                1
            }
            #[traced]
            fn g(self: Box<Self>) -> u8 {
                2
            }
        }
    },
    S.f() + Box::new(S).g()
);

shape!(traits_async, "f", {
    trait T { async fn f(&self, a: Noisy) -> u8; }
    struct S;
    impl T for S { #[traced] async fn f(&self, a: Noisy) -> u8 { pause().await; 1 } }
}, block S.f(Noisy("a")).await);

shape!(future, "f", {
    #[traced]
    fn f(text: &str) -> impl Future<Output = usize> { let n = text.len(); async move { pause().await; n } }
}, started { let text = String::from("text"); f(&*Box::leak(text.into_boxed_str())) });

shape!(future_with_a_named_lifetime, "f", {
    #[traced]
    fn f<'a>(text: &'a str) -> impl Future<Output = &'a str> + 'a where 'a: 'a { async move { pause().await; &text[1..] } }
}, started f("text"));

shape!(boxed_future, "f", {
    #[traced]
    fn f<'a>(text: &'a str, a: Noisy) -> Pin<Box<dyn Future<Output = usize> + Send + 'a>> { Box::pin(async move { pause().await; text.len() + a.0.len() }) }
}, started f("text", Noisy("a")));

shape!(stream, "f", {
    #[traced(stream)]
    fn f(n: u8, a: Noisy) -> impl Stream<Item = u8> { iter(0..n).map(move |n| n + a.0.len() as u8) }
}, block f(2, Noisy("a")).collect::<Vec<_>>().await);

shape!(
    macro_by_example,
    "f",
    {
        macro_rules! make { ($vis:vis $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty $body:block) => { #[traced] $vis fn $name($($arg: $ty),*) -> $ret $body }; }
        make! { pub(crate) f(a: &str, b: Noisy) -> Option<usize> { Some(a.len() + b.0.len()) } }
    },
    f("a", Noisy("b"))
);

shape!(
    raw_names,
    "type",
    {
        #[traced]
        fn r#type(r#match: u8, r#dyn: Noisy) -> u8 {
            r#match
        }
    },
    r#type(1, Noisy("dyn"))
);

shape!(
    unsafe_function,
    "f",
    {
        #[traced]
        unsafe fn f(pointer: *const u8) -> u8 {
            unsafe { *pointer }
        }
    },
    unsafe { f(&1) }
);

shape!(
    track_caller,
    "f",
    {
        #[traced]
        #[track_caller]
        fn f(a: RefCell<Noisy>) -> (u32, usize) {
            let local = Noisy("local");
            (std::panic::Location::caller().line(), a.borrow().0.len() + Noisy("temporary").0.len())
        }
    },
    f(RefCell::new(Noisy("a")))
);

// Whether the temporary or the local is dropped first depends on the edition.
both!(
    temporary_where_the_type_is_inferred,
    "f",
    {},
    {
        fn f(early: bool, a: Noisy) -> impl Debug {
            let local = Noisy("local");
            pause!();
            if early {
                return a.0;
            }
            Noisy("temporary").0
        }
    },
    f(false, Noisy("a"))
);

shape!(
    never,
    "f !panicked: never",
    {
        #[traced]
        fn f(a: Noisy) -> ! {
            panic!("never")
        }
    },
    {
        if true {
            f(Noisy("a"));
        }
    }
);

shape!(recursive, "└── f\n    └── f", {
    #[traced]
    fn f(n: u8) -> Pin<Box<dyn Future<Output = u8>>> { Box::pin(async move { pause().await; if n == 0 { 0 } else { 1 + f(n - 1).await } }) }
}, started f(1));
