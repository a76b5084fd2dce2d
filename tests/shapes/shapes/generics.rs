//! Type, constant and lifetime parameters, and their bounds.

use std::collections::HashMap;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::marker::PhantomData;

use super::harness::{Noisy, both, pause, shape};

both!(
    of_types,
    "f",
    {},
    {
        fn f<A, B: Debug>(a: A, b: B) -> (A, String) {
            pause!();
            (a, format!("{b:?}"))
        }
    },
    f(1, Noisy("b"))
);

both!(
    with_where,
    "f",
    {},
    {
        fn f<K, V, I>(items: I) -> HashMap<K, Vec<V>>
        where
            I: IntoIterator<Item = (K, V)>,
            K: Hash + Eq,
            V: Clone,
        {
            let mut map = HashMap::<_, Vec<V>>::new();
            for (key, value) in items {
                pause!();
                map.entry(key).or_default().push(value);
            }
            map
        }
    },
    f([(1, "a"), (1, "b")])
);

both!(
    of_constants,
    "f",
    {},
    {
        fn f<const N: usize, T: Default + Debug>(n: [u8; N]) -> [[T; 2]; 2] {
            pause!();
            assert_eq!(n.len(), N);
            Default::default()
        }
    },
    f::<3, u8>([0; 3])
);

both!(
    constant_in_braces,
    "f",
    {
        struct Bits<const N: usize>;
    },
    {
        fn f(_: Bits<{ 1 + 1 }>) -> usize {
            pause!();
            2
        }
    },
    f(Bits)
);

both!(
    by_turbofish,
    "f",
    {},
    {
        fn f<T: std::str::FromStr>(text: &'static str) -> Option<T> {
            pause!();
            text.parse().ok()
        }
    },
    f::<u8>("7")
);

both!(
    of_functions,
    "f",
    {},
    {
        fn f<F>(mut g: F) -> u8
        where
            F: FnMut(u8) -> u8,
        {
            pause!();
            g(1) + g(2)
        }
    },
    {
        let mut sum = 0;
        f(move |n| {
            sum += n;
            sum
        })
    }
);

both!(
    for_every_lifetime,
    "f",
    {},
    {
        fn f<F>(g: F) -> usize
        where
            F: for<'a> Fn(&'a str) -> &'a str,
        {
            let text = String::from("text");
            pause!();
            g(&text).len()
        }
    },
    f(|text| &text[1..])
);

both!(
    for_every_lifetime_object,
    "f",
    {},
    {
        fn f(g: &'static dyn for<'a> Fn(&'a [u8]) -> Option<&'a u8>) -> Option<u8> {
            pause!();
            g(&[1]).copied()
        }
    },
    f(&|list: &[u8]| list.first())
);

both!(
    unsized_behind_a_box,
    "f",
    {},
    {
        fn f<T: ?Sized + Display>(of: Box<T>) -> String {
            pause!();
            of.to_string()
        }
    },
    f::<str>("text".into())
);

both!(
    phantom,
    "f",
    {},
    {
        fn f<T>(_: PhantomData<T>) -> &'static str {
            pause!();
            std::any::type_name::<T>()
        }
    },
    f(PhantomData::<u8>)
);

both!(
    defaults_of_a_type,
    "f",
    {
        #[derive(Debug, Default)]
        struct S<T = u8>(T);
    },
    {
        fn f(s: S) -> S<String> {
            pause!();
            S(s.0.to_string())
        }
    },
    f(S(1))
);

both!(
    static_bound,
    "f",
    {},
    {
        fn f<T: 'static + Send>(t: T) -> std::any::TypeId {
            pause!();
            std::any::TypeId::of::<T>()
        }
    },
    f(1u8),
    |id| id == std::any::TypeId::of::<u8>()
);

both!(
    sized_by_a_constant_expression,
    "f",
    {
        const N: usize = 2;
    },
    {
        fn f(
            a: [u8; N * 2],
        ) -> [u8; {
            const M: usize = N + 1;
            M
        }] {
            pause!();
            [a[0]; 3]
        }
    },
    f([1; 4])
);

shape!(
    one_lifetime,
    "f",
    {
        #[traced]
        fn f<'a>(a: &'a str, b: &str) -> &'a str {
            a.trim_start_matches(b)
        }
    },
    f("xa", "x").to_owned()
);

shape!(one_lifetime_async, "f", {
    #[traced]
    async fn f<'a>(a: &'a str, b: &str) -> &'a str { pause().await; a.trim_start_matches(b) }
}, block f("xa", "x").await);

shape!(
    two_lifetimes,
    "f",
    {
        #[traced]
        fn f<'a, 'b: 'a>(a: &'a mut Vec<&'b str>, b: &'b str) -> &'a &'b str {
            a.push(b);
            a.last().unwrap()
        }
    },
    {
        let mut list = vec!["a"];
        f(&mut list, "b").to_string()
    }
);

shape!(two_lifetimes_async, "f", {
    #[traced]
    async fn f<'a, 'b: 'a>(a: &'a mut Vec<&'b str>, b: &'b str) -> &'a &'b str { a.push(b); pause().await; a.last().unwrap() }
}, block { let mut list = vec!["a"]; f(&mut list, "b").await.to_string() });

shape!(
    anonymous_lifetimes,
    "f",
    {
        #[derive(Debug)]
        struct View<'a>(&'a str);
        #[traced]
        fn f(view: View<'_>, end: Noisy) -> View<'_> {
            View(&view.0[1..])
        }
    },
    {
        let text = String::from("text");
        format!("{:?}", f(View(&text), Noisy("end")))
    }
);

shape!(anonymous_lifetimes_async, "f", {
    #[derive(Debug)] struct View<'a>(&'a str);
    #[traced]
    async fn f(view: View<'_>, end: Noisy) -> View<'_> { pause().await; View(&view.0[1..]) }
}, block { let text = String::from("text"); format!("{:?}", f(View(&text), Noisy("end")).await) });

shape!(
    of_a_generic_type,
    "f",
    {
        #[derive(Debug)]
        struct Pair<'a, T, const N: usize>([&'a T; N]);
        impl<'a, T: Debug + PartialOrd, const N: usize> Pair<'a, T, N>
        where
            T: Copy,
        {
            #[traced]
            fn f<U: From<T>>(&self, _: Option<U>) -> (U, &'a T) {
                ((*self.0[0]).into(), self.0[N - 1])
            }
        }
    },
    Pair([&1u8, &2]).f(None::<u32>)
);

shape!(of_a_generic_type_async, "f", {
    #[derive(Debug)] struct Pair<'a, T, const N: usize>([&'a T; N]);
    impl<'a, T: Debug + PartialOrd, const N: usize> Pair<'a, T, N> where T: Copy {
        #[traced]
        async fn f<U: From<T>>(&self, _: Option<U>) -> (U, &'a T) { pause().await; ((*self.0[0]).into(), self.0[N - 1]) }
    }
}, block Pair([&1u8, &2]).f(None::<u32>).await);

shape!(asynchronous_callback, "f", {
    #[traced]
    async fn f<F>(mut g: F, end: Noisy) -> u8 where F: AsyncFnMut(&str) -> u8 { g("a").await + g("b").await }
}, future f(async |text| { pause().await; text.len() as u8 }, Noisy("end")));

shape!(
    late_bound_method_pointer,
    "├── f\n└── f",
    {
        struct S(u8);
        impl S {
            #[traced]
            fn f(&self) -> u8 {
                self.0
            }
        }
    },
    [S(1), S(2)].iter().map(S::f).collect::<Vec<_>>()
);
