//! Trait methods, declared and implemented.

use std::fmt::{self, Debug, Display};
use std::future::Future;
use std::ops::{Add, Deref};
use std::str::FromStr;

use super::harness::{Noisy, both, log, pause, shape};

shape!(
    default_body,
    "f",
    {
        trait T {
            fn name(&self) -> &str;
            #[traced]
            fn f(&self, a: Noisy) -> String
            where
                Self: Sized,
            {
                self.name().to_owned()
            }
        }
        struct S;
        impl T for S {
            fn name(&self) -> &str {
                "S"
            }
        }
    },
    S.f(Noisy("a"))
);

shape!(
    default_body_of_an_object,
    "f",
    {
        trait T: Debug {
            #[traced]
            fn f(&self) -> String {
                format!("{self:?}")
            }
        }
        #[derive(Debug)]
        struct S;
        impl T for S {}
    },
    {
        let object: Box<dyn T> = Box::new(S);
        object.f()
    }
);

shape!(
    default_body_by_value,
    "f",
    {
        trait T: Sized {
            #[traced]
            fn f(self, a: Noisy) -> (Self, usize) {
                (self, a.0.len())
            }
        }
        impl T for Noisy {}
    },
    Noisy("self").f(Noisy("a"))
);

shape!(default_body_async, "f", {
    trait T {
        fn n(&self) -> u8;
        #[traced]
        async fn f(&self, a: Noisy) -> u8 { pause().await; self.n() }
    }
    struct S;
    impl T for S { fn n(&self) -> u8 { 3 } }
}, block S.f(Noisy("a")).await);

shape!(
    implemented,
    "f",
    {
        trait T {
            fn f(&self, a: Noisy) -> u8;
        }
        struct S;
        impl T for S {
            #[traced]
            fn f(&self, a: Noisy) -> u8 {
                1
            }
        }
    },
    S.f(Noisy("a"))
);

shape!(implemented_async, "f", {
    trait T { async fn f(&mut self, a: Noisy) -> u8; }
    struct S(u8);
    impl T for S {
        #[traced]
        async fn f(&mut self, a: Noisy) -> u8 { self.0 += 1; pause().await; self.0 }
    }
}, block S(1).f(Noisy("a")).await);

shape!(implemented_as_a_future, "f", {
    trait T { fn f(&self, a: Noisy) -> impl Future<Output = usize> + Send; }
    struct S;
    impl T for S {
        #[traced]
        async fn f(&self, a: Noisy) -> usize { pause().await; a.0.len() }
    }
}, block S.f(Noisy("a")).await);

shape!(declared_as_a_future, "f", {
    trait T {
        fn n(&self) -> u8;
        #[traced]
        fn f(&self, a: Noisy) -> impl Future<Output = u8> { async move { pause().await; self.n() + a.0.len() as u8 } }
    }
    struct S;
    impl T for S { fn n(&self) -> u8 { 3 } }
}, block S.f(Noisy("a")).await);

shape!(
    generic_implementation,
    "f",
    {
        trait T<A> {
            type Out;
            fn f(self, a: A) -> Self::Out;
        }
        struct S<B>(B);
        impl<A: Display, B: Display> T<A> for S<B>
        where
            B: Clone,
        {
            type Out = String;
            #[traced]
            fn f(self, a: A) -> Self::Out {
                format!("{a}{}", self.0)
            }
        }
    },
    S(1).f("a")
);

shape!(
    blanket_implementation,
    "f",
    {
        trait T {
            fn f(&self) -> String;
        }
        impl<A: ?Sized + Debug> T for A {
            #[traced]
            fn f(&self) -> String {
                format!("{self:?}")
            }
        }
    },
    "text".f()
);

shape!(
    associated_constants_and_types,
    "f",
    {
        trait T {
            const N: usize;
            type Item: Default + Debug;
            fn f() -> Vec<Self::Item>;
        }
        struct S;
        impl T for S {
            const N: usize = 2;
            type Item = u8;
            #[traced]
            fn f() -> Vec<Self::Item> {
                (0..Self::N).map(|_| <Self as T>::Item::default()).collect()
            }
        }
    },
    <S as T>::f()
);

shape!(
    generic_associated_type,
    "f",
    {
        trait T {
            type Of<'a>
            where
                Self: 'a;
            fn f(&self) -> Self::Of<'_>;
        }
        struct S(String);
        impl T for S {
            type Of<'a> = &'a str;
            #[traced]
            fn f(&self) -> Self::Of<'_> {
                &self.0
            }
        }
    },
    S("s".to_owned()).f().to_owned()
);

shape!(
    of_the_standard_library,
    "fmt",
    {
        struct S(u8);
        impl Display for S {
            #[traced]
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "S{}", self.0)
            }
        }
    },
    S(1).to_string()
);

shape!(
    operators,
    "└── add",
    {
        #[derive(Debug, Clone, Copy)]
        struct S(u8);
        impl Add for S {
            type Output = Self;
            #[traced]
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }
    },
    S(1) + S(2)
);

shape!(
    smart_pointer,
    "deref",
    {
        struct S(String);
        impl Deref for S {
            type Target = str;
            #[traced]
            fn deref(&self) -> &str {
                &self.0
            }
        }
    },
    S("abc".into()).len()
);

shape!(
    parsing,
    "from_str !error: invalid digit found in string",
    {
        #[derive(Debug)]
        struct S(u8);
        impl FromStr for S {
            type Err = std::num::ParseIntError;
            #[traced]
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    },
    "x".parse::<S>()
);

shape!(
    dropping,
    "drop",
    {
        struct S(Noisy);
        impl Drop for S {
            #[traced]
            fn drop(&mut self) {
                log("body")
            }
        }
    },
    drop(S(Noisy("inside")))
);

shape!(
    iterator,
    "├── next\n├── next\n└── next",
    {
        struct Count(u8);
        impl Iterator for Count {
            type Item = u8;
            #[traced]
            fn next(&mut self) -> Option<u8> {
                self.0 = self.0.checked_sub(1)?;
                Some(self.0)
            }
        }
    },
    Count(2).collect::<Vec<_>>()
);

shape!(hand_written_future, "├── poll\n└── poll", {
    struct Twice(u8);
    impl Future for Twice {
        type Output = u8;
        #[traced]
        fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<u8> {
            self.0 += 1;
            if self.0 < 2 { std::task::Poll::Pending } else { std::task::Poll::Ready(self.0) }
        }
    }
}, block Twice(0).await);

shape!(
    bounds_on_self,
    "f",
    {
        trait T {
            #[traced]
            fn f<A>(&self, a: A) -> String
            where
                Self: Debug,
                A: Into<String>,
            {
                format!("{self:?}{}", a.into())
            }
        }
        #[derive(Debug)]
        struct S;
        impl T for S {}
    },
    S.f("a")
);

both!(
    generic_over_the_trait,
    "f",
    {
        trait T {
            const NAME: &'static str;
            fn get(&self) -> u8;
        }
        struct S;
        impl T for S {
            const NAME: &'static str = "S";
            fn get(&self) -> u8 {
                1
            }
        }
    },
    {
        fn f<A: T>(a: A) -> (&'static str, u8) {
            pause!();
            (A::NAME, a.get())
        }
    },
    f(S)
);
