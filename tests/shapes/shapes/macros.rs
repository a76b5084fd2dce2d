//! Functions that a macro writes.

use super::harness::{Noisy, log, pause, shape};

shape!(
    in_pieces,
    "sum",
    {
        macro_rules! make {
        ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty $body:block) => {
            #[traced]
            $(#[$meta])*
            $vis fn $name($($arg: $ty),*) -> $ret $body
        };
    }
        make! {
            #[inline]
            pub(crate) fn sum(a: Noisy, b: &str, c: Result<u8, String>) -> Result<usize, String> { Ok(usize::from(c?) + b.len() + a.0.len()) }
        }
    },
    sum(Noisy("a"), "b", Ok(1))
);

shape!(in_pieces_async, "sum", {
    macro_rules! make {
        ($vis:vis async fn $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty $body:block) => {
            #[traced]
            $vis async fn $name($($arg: $ty),*) -> $ret $body
        };
    }
    make! { async fn sum(a: Noisy, b: &'static str, c: Option<u8>) -> Option<usize> { pause().await; Some(usize::from(c?) + b.len()) } }
}, future sum(Noisy("a"), "b", Some(1)));

shape!(
    as_an_item,
    "f",
    {
        macro_rules! make {
            ($item:item) => {
                #[traced]
                $item
            };
        }
        make! { fn f(a: Noisy, (b, _): (Noisy, Noisy)) -> usize { a.0.len() } }
    },
    f(Noisy("a"), (Noisy("b"), Noisy("beside b")))
);

shape!(as_an_async_item, "f", {
    macro_rules! make { ($item:item) => { #[traced] $item }; }
    make! { async fn f(a: Noisy, (b, _): (Noisy, Noisy)) -> usize { pause().await; a.0.len() } }
}, future f(Noisy("a"), (Noisy("b"), Noisy("beside b"))));

shape!(
    as_an_attributed_item,
    "f",
    {
        macro_rules! make {
            ($item:item) => {
                $item
            };
        }
        make! { #[traced] #[inline] fn f(a: Noisy) -> usize { a.0.len() } }
    },
    f(Noisy("a"))
);

shape!(
    as_an_impl_item,
    "S::f",
    {
        struct S(Noisy);
        macro_rules! make {
            ($item:item) => {
                #[traced]
                $item
            };
        }
        make! { impl S { fn f(&self) -> usize { self.0.0.len() } } }
    },
    S(Noisy("self")).f()
);

shape!(
    with_an_expression,
    "f",
    {
        macro_rules! make {
            ($name:ident, $value:expr) => {
                #[traced]
                fn $name() -> u8 {
                    $value
                }
            };
        }
        make!(f, 1 + 1);
    },
    f()
);

shape!(
    with_hygienic_locals,
    "f",
    {
        macro_rules! make {
            ($arg:ident => $value:expr) => {
                #[traced]
                fn f($arg: u8, other: u8) -> u8 {
                    let n = 10;
                    $value + n + other
                }
            };
        }
        make!(n => n + 1);
    },
    f(1, 100)
);

// Both arguments look alike, and are two.
shape!(
    with_two_names_that_look_alike,
    "f",
    {
        macro_rules! make {
            ($n:ident) => {
                #[traced]
                fn f(n: Noisy, $n: Noisy) -> usize {
                    n.0.len()
                }
            };
        }
        make!(n);
    },
    f(Noisy("first"), Noisy("2nd"))
);

shape!(
    with_self,
    "f",
    {
        struct S(u8, Noisy);
        macro_rules! make { ($self:ident, $body:expr) => { impl S { #[traced] fn f($self, a: Noisy) -> u8 { $body } } }; }
        make!(self, self.0 + 1);
    },
    S(1, Noisy("self")).f(Noisy("a"))
);

shape!(with_self_async, "f", {
    struct S(u8, Noisy);
    macro_rules! make { ($self:ident, $body:block) => { impl S { #[traced] async fn f(mut $self, a: Noisy) -> u8 $body } }; }
    make!(self, { self.0 += 1; pause().await; self.0 });
}, future S(1, Noisy("self")).f(Noisy("a")));

shape!(
    with_lifetimes_and_bounds,
    "f",
    {
        macro_rules! make {
        ($life:lifetime, $ty:ty, $bound:path) => {
            #[traced]
            fn f<$life, T: $bound>(a: &$life $ty, t: T) -> &$life $ty { drop(t); a }
        };
    }
        make!('a, [u8], ::std::fmt::Debug);
    },
    f(&[1], Noisy("t")).to_vec()
);

shape!(
    with_types_as_tokens,
    "f",
    {
        macro_rules! make { ($($ty:tt)*) => { #[traced] fn f(a: $($ty)*) -> $($ty)* { a } }; }
        make!(Option<Noisy>);
    },
    f(Some(Noisy("a")))
);

shape!(
    with_a_never_type,
    "f !panicked: never",
    {
        macro_rules! make {
            ($ty:ty) => {
                #[traced]
                fn f(a: Noisy) -> $ty {
                    panic!("never")
                }
            };
        }
        make!(!);
    },
    {
        f(Noisy("a"));
    }
);

shape!(with_a_unit_type, "f", {
    macro_rules! make { ($ty:ty) => { #[traced] async fn f(a: Noisy) -> $ty { pause().await; } }; }
    make!(());
}, future f(Noisy("a")));

shape!(
    with_an_opaque_type,
    "f",
    {
        macro_rules! make {
            ($ret:ty) => {
                #[traced]
                fn f(n: u8) -> $ret {
                    Ok(0..n)
                }
            };
        }
        make!(Result<impl Iterator<Item = u8> + std::fmt::Debug, String>);
    },
    f(2)
);

shape!(with_a_future_type, "f", {
    macro_rules! make { ($ret:ty) => { #[traced] fn f(n: u8) -> $ret { async move { pause().await; n } } }; }
    make!(impl Future<Output = u8>);
}, started f(2));

shape!(with_a_boxed_future_type, "f", {
    macro_rules! make { ($out:ty, $ret:ty) => { #[traced] fn f(n: u8) -> std::pin::Pin<Box<$ret>> { Box::pin(async move { pause().await; n }) } }; }
    make!(u8, dyn Future<Output = u8> + Send);
}, started f(2));

shape!(
    with_a_reference_type,
    "f",
    {
        macro_rules! make {
            ($ty:ty) => {
                #[traced]
                fn f(mut a: $ty, b: $ty) -> usize {
                    a = &a[1..];
                    a.len() + b.len()
                }
            };
        }
        make!(&str);
    },
    f("abc", "d")
);

shape!(
    with_patterns,
    "f",
    {
        macro_rules! make { (($($pattern:pat_param),*) : $ty:ty) => { #[traced] fn f(($($pattern),*): $ty, last: Noisy) { log("body"); } }; }
        make!((a, _, mut c): (Noisy, Noisy, Noisy));
    },
    f((Noisy("a"), Noisy("b"), Noisy("c")), Noisy("last"))
);

shape!(
    with_an_abi,
    "f",
    {
        macro_rules! make { ($abi:literal) => { #[traced] extern $abi fn f(n: u8) -> u8 { n } }; }
        make!("C");
    },
    f(1)
);

shape!(
    with_options,
    "named",
    {
        macro_rules! make { ($name:literal, $f:ident, $($arg:ident),*) => { #[traced(name = $name)] #[biz_tags($($arg),*)] fn $f($($arg: u8),*) -> u8 { 0 $(+ $arg)* } }; }
        make!("named", f, a, b);
    },
    f(1, 2)
);

shape!(
    macro_in_a_macro,
    "├── one\n└── two",
    {
        macro_rules! each { ($($name:ident)*) => { $(one!($name);)* }; }
        macro_rules! one {
            ($name:ident) => {
                #[traced]
                fn $name(a: Noisy) -> &'static str {
                    stringify!($name)
                }
            };
        }
        each!(one two);
    },
    (one(Noisy("a")), two(Noisy("b")))
);

shape!(
    methods_by_a_macro,
    "├── get\n└── set",
    {
        #[derive(Default)]
        struct S {
            a: u8,
        }
        macro_rules! property {
            ($field:ident: $ty:ty, $get:ident, $set:ident) => {
                #[traced]
                fn $get(&self) -> &$ty {
                    &self.$field
                }
                #[traced]
                fn $set(&mut self, value: $ty) -> &mut Self {
                    self.$field = value;
                    self
                }
            };
        }
        impl S {
            property!(a: u8, get, set);
        }
    },
    {
        let mut s = S::default();
        *s.get() + s.set(2).a
    }
);
