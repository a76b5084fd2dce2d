//! `#[traced]` on whole `impl` blocks.

use std::fmt::{self, Debug, Display};
use std::sync::Arc;

use super::harness::{Noisy, pause, shape};

shape!(
    every_method,
    "├── S::new\n├── S::get\n├── S::set\n└── S::into_inner",
    {
        struct S(u8, Noisy);
        #[traced]
        impl S {
            fn new(n: u8, a: Noisy) -> Self {
                Self(n, a)
            }
            fn get(&self) -> u8 {
                self.0
            }
            fn set(&mut self, n: u8) -> &mut Self {
                self.0 = n;
                self
            }
            fn into_inner(self, a: Noisy) -> Noisy {
                self.1
            }
        }
    },
    {
        let mut s = S::new(1, Noisy("inside"));
        s.get();
        s.set(2);
        s.into_inner(Noisy("a"))
    }
);

shape!(
    all_but_some,
    "├── S::g\n└── S::f",
    {
        struct S;
        #[traced]
        impl S {
            #[traced(skip)]
            const fn new() -> Self {
                Self
            }
            fn f(&self) -> u8 {
                Self::helper(1)
            }
            #[traced(skip)]
            #[inline]
            fn helper(n: u8) -> u8 {
                n
            }
            #[inline]
            pub(crate) fn g(&self) {}
        }
    },
    {
        let s = S::new();
        s.g();
        s.f()
    }
);

shape!(
    with_constants_and_types,
    "├── S::make\n└── S::f",
    {
        #[derive(Debug)]
        struct S([u8; 2]);
        struct Bits<const N: usize>;
        #[traced]
        impl S {
            const N: usize = {
                struct Inside;
                2
            };
            /// Documented.
            pub(self) const EMPTY: Self = Self([0; Self::N]);
            fn make() -> Bits<{ Self::N }> {
                Bits
            }
            fn f<const M: usize>(&self, _: Bits<{ M }>) -> [u8; Self::N] {
                self.0
            }
        }
    },
    S::EMPTY.f::<2>(S::make())
);

shape!(
    generic,
    "├── Wrap::map\n└── Wrap::show",
    {
        struct Wrap<T, const N: usize = 1>([T; N]);
        #[traced]
        impl<T: Debug, const N: usize> Wrap<T, N>
        where
            T: Clone,
        {
            fn map<U>(self, f: impl FnMut(T) -> U, a: Noisy) -> Wrap<U, N> {
                Wrap(self.0.map(f))
            }
            fn show(&self) -> String {
                format!("{:?}", self.0)
            }
        }
    },
    Wrap([1, 2]).map(|n| n + 1, Noisy("a")).show()
);

shape!(
    of_a_trait,
    "├── S::fmt\n└── S::fmt",
    {
        struct S(u8);
        #[traced]
        impl Display for S {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
        #[traced]
        impl Debug for S {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple("S").field(&self.0).finish()
            }
        }
    },
    format!("{0} {0:?}", S(1))
);

shape!(
    of_a_generic_trait,
    "├── Wrap::make\n└── Wrap::f",
    {
        trait T<A> {
            type Out;
            const N: u8;
            fn make(a: A) -> Self
            where
                Self: Sized;
            fn f(self, a: Noisy) -> (Self::Out, u8);
        }
        struct Wrap<B>(B);
        #[traced]
        impl<A: Into<B>, B> T<A> for Wrap<B> {
            type Out = B;
            const N: u8 = 3;
            fn make(a: A) -> Self {
                Self(a.into())
            }
            fn f(self, a: Noisy) -> (Self::Out, u8) {
                (self.0, <Self as T<A>>::N)
            }
        }
    },
    {
        let wrap = <Wrap<u32> as T<u8>>::make(1);
        <Wrap<u32> as T<u8>>::f(wrap, Noisy("a"))
    }
);

shape!(
    for_a_reference,
    "S::f",
    {
        trait T {
            fn f(self) -> u8;
        }
        struct S(u8);
        #[traced]
        impl T for &mut S {
            fn f(self) -> u8 {
                self.0 += 1;
                self.0
            }
        }
    },
    (&mut S(1)).f()
);

shape!(
    for_types_without_a_name,
    "├── f\n├── f\n└── f",
    {
        trait T {
            fn f(&self) -> usize;
        }
        #[traced]
        impl T for (u8, u8) {
            fn f(&self) -> usize {
                2
            }
        }
        #[traced]
        impl<A> T for [A] {
            fn f(&self) -> usize {
                self.len()
            }
        }
        #[traced]
        impl T for dyn Debug {
            fn f(&self) -> usize {
                0
            }
        }
    },
    (1, 2).f() + [1][..].f() + (&1 as &dyn Debug).f()
);

shape!(
    by_a_path,
    "S::f",
    {
        mod inner {
            pub(super) struct S;
        }
        #[traced]
        impl self::inner::S {
            fn f(&self) -> u8 {
                1
            }
        }
    },
    inner::S.f()
);

shape!(
    unsafe_trait,
    "S::f",
    {
        unsafe trait T {
            unsafe fn f(&self) -> u8;
        }
        struct S;
        #[traced]
        unsafe impl T for S {
            unsafe fn f(&self) -> u8 {
                1
            }
        }
    },
    unsafe { S.f() }
);

shape!(
    with_options,
    "├── S::f !error: Bad\n└── named [client]",
    {
        #[derive(Debug)]
        struct Bad;
        impl Display for Bad {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("shown")
            }
        }
        struct S(u8);
        #[traced(err = debug)]
        impl S {
            fn f(&self) -> Result<u8, Bad> {
                Err(Bad)
            }
            #[traced("named", kind = client)]
            fn g(&self) -> u8 {
                self.0
            }
        }
    },
    (S(1).f().is_err(), S(2).g())
);

shape!(
    mixed_with_tags,
    "├── S::f\n└── S::g",
    {
        struct S(u8);
        #[traced(tags(n = self.0))]
        impl S {
            #[biz_tags(m)]
            fn f(&self, m: u8, a: Noisy) -> u8 {
                m
            }
            #[biz_tags(m)]
            #[traced]
            fn g(&self, m: u8) -> u8 {
                m
            }
        }
    },
    S(1).f(2, Noisy("a")) + S(2).g(3)
);

shape!(asynchronous, "├── S::f\n└── S::g", {
    struct S(u8);
    #[traced]
    impl S {
        async fn f(&mut self, a: Noisy) -> &mut u8 { pause().await; &mut self.0 }
        async fn g(self: Arc<Self>, a: Noisy) -> u8 { pause().await; self.0 }
    }
}, block { let mut s = S(1); *s.f(Noisy("a")).await += 1; Arc::new(s).g(Noisy("b")).await });

shape!(
    with_macros_inside,
    "├── S::f\n└── S::g",
    {
        struct S;
        macro_rules! constants { ($($name:ident)*) => { $(const $name: u8 = 1;)* }; }
        #[traced]
        impl S {
            constants!(A B);
            fn f() -> u8 {
                Self::A
            }
            constants! { C }
            fn g() -> u8 {
                Self::C
            }
        }
    },
    S::f() + S::g()
);

shape!(
    with_conditions,
    "S::f",
    {
        struct S;
        #[traced]
        impl S {
            #[cfg(any())]
            fn f(&self) -> Absent {
                Absent
            }
            #[cfg(all())]
            fn f(&self) -> u8 {
                1
            }
            #[cfg(any())]
            const N: Absent = Absent;
        }
    },
    S.f()
);

shape!(
    with_inner_attributes,
    "S::long_name",
    {
        struct S;
        #[traced]
        impl S {
            #![allow(non_snake_case, reason = "an inner attribute of a block is the shape")]
            fn long_name(&self, N: u8) -> u8 {
                N
            }
        }
    },
    S.long_name(1)
);

shape!(
    self_called_by_another_name,
    "S::f",
    {
        struct S(u8);
        type Alias = S;
        #[traced]
        impl S {
            fn f(self: &Self) -> u8 {
                let Alias { 0: n } = self;
                let Self(m) = *self;
                n + m
            }
        }
    },
    S(1).f()
);

shape!(
    track_caller,
    "S::f",
    {
        struct S;
        #[traced]
        impl S {
            #[track_caller]
            fn f(&self) -> u32 {
                std::panic::Location::caller().line()
            }
        }
    },
    S.f()
);
