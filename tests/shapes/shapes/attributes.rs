//! Other attributes on the function.

use std::panic::Location;

use super::harness::{Noisy, log, pause, shape};

shape!(
    must_use,
    "f",
    {
        #[traced]
        #[must_use = "it is the result"]
        fn f(n: u8) -> u8 {
            n
        }
    },
    f(1)
);

shape!(
    must_use_above,
    "f",
    {
        #[must_use]
        #[traced]
        #[inline(always)]
        fn f(n: u8) -> u8 {
            n
        }
    },
    f(1)
);

shape!(must_use_async, "f", {
    #[must_use]
    #[traced]
    #[inline]
    async fn f(n: u8) -> u8 { pause().await; n }
}, future f(1));

shape!(
    inline_and_cold,
    "├── f\n├── g\n└── h",
    {
        #[inline]
        #[traced]
        fn f(n: u8) -> u8 {
            n
        }
        #[traced]
        #[cold]
        fn g(n: u8) -> u8 {
            n
        }
        #[inline(never)]
        #[traced]
        #[doc(hidden)]
        fn h(n: u8) -> u8 {
            n
        }
    },
    f(1) + g(2) + h(3)
);

shape!(
    documented,
    "f",
    {
        /// One line,
        ///
        /// and another.
        #[traced]
        /// Below, too.
        #[doc = "By an attribute."]
        /** And a block. */
        fn f(n: u8) -> u8 {
            n
        }
    },
    f(1)
);

shape!(
    deprecated,
    "f",
    {
        #[deprecated(since = "0.1.0", note = "by another")]
        #[traced]
        fn f(n: u8) -> u8 {
            n
        }
    },
    {
        #[allow(deprecated, reason = "the shape is deprecated, and is called to see that it works")]
        f(1)
    }
);

shape!(
    lints,
    "f",
    {
        #[allow(non_snake_case, reason = "a lint level beside the attribute is the shape")]
        #[traced]
        #[expect(clippy::let_and_return, reason = "a lint level below the attribute is the shape")]
        fn f(N: u8) -> u8 {
            let M = N;
            M
        }
    },
    f(1)
);

shape!(
    conditional,
    "f",
    {
        #[cfg(all())]
        #[cfg_attr(all(), traced)]
        #[cfg_attr(any(), absent)]
        fn f(n: u8) -> u8 {
            n
        }
        #[traced]
        #[cfg(any())]
        fn f(n: Absent) {}
    },
    f(1)
);

// `Location::caller` is that of the caller, not of the attribute.
shape!(
    track_caller,
    "f",
    {
        #[traced]
        #[track_caller]
        fn f(a: Noisy) -> (u32, u32) {
            let here = Location::caller();
            (here.line(), here.column())
        }
    },
    f(Noisy("a"))
);

shape!(
    track_caller_above,
    "f",
    {
        #[track_caller]
        #[traced]
        fn f(a: Noisy, (b, _): (Noisy, Noisy)) -> u32 {
            let c = Noisy("c");
            Location::caller().line()
        }
    },
    f(Noisy("a"), (Noisy("b"), Noisy("beside b")))
);

shape!(
    track_caller_of_a_method,
    "f !error: 1",
    {
        struct S(Noisy);
        impl S {
            #[traced]
            #[track_caller]
            fn f(&mut self, n: u8) -> Result<u32, u8> {
                if n == 0 {
                    return Ok(Location::caller().line());
                }
                log(Location::caller().line().to_string());
                Err(n)
            }
        }
    },
    S(Noisy("self")).f(1)
);

shape!(
    track_caller_early_return,
    "f",
    {
        #[traced]
        #[track_caller]
        fn f(a: Noisy, n: u8) -> u32 {
            if n == 0 {
                return Location::caller().line();
            }
            0
        }
    },
    f(Noisy("a"), 0)
);

shape!(
    track_caller_panic,
    "f !panicked: panicked",
    {
        #[traced]
        #[track_caller]
        fn f(a: Noisy) -> u32 {
            let b = Noisy("b");
            panic!("at the caller")
        }
    },
    f(Noisy("a"))
);

shape!(
    track_caller_never,
    "f !panicked: panicked",
    {
        #[traced]
        #[track_caller]
        fn f(a: Noisy) -> ! {
            panic!("at the caller")
        }
    },
    {
        f(Noisy("a"));
    }
);

shape!(
    track_caller_temporary_in_the_tail,
    "f",
    {
        #[traced]
        #[track_caller]
        fn f(a: std::cell::RefCell<Noisy>) -> usize {
            let local = Noisy("local");
            a.borrow().0.len() + Noisy("temporary").0.len()
        }
    },
    f(std::cell::RefCell::new(Noisy("a")))
);

shape!(track_caller_future, "f", {
    #[traced]
    #[track_caller]
    fn f(n: u8, (a, _): (Noisy, Noisy)) -> impl Future<Output = Result<u32, u8>> {
        let line = Location::caller().line();
        async move { let a = a; if n == 1 { return Ok(line); } Err(n) }
    }
}, started f(1, (Noisy("a"), Noisy("beside a"))));

shape!(track_caller_boxed_future, "f !error: 1", {
    #[traced]
    #[track_caller]
    fn f<'a>(n: u8, text: &'a str) -> futures::future::BoxFuture<'a, Result<(u32, usize), u8>> {
        let line = Location::caller().line();
        Box::pin(async move { if n == 0 { Ok((line, text.len())) } else { Err(n) } })
    }
}, started f(1, "text"));

// An early return bypasses the wrapper of the future.
shape!(track_caller_future_returned_early, "f", {
    #[traced]
    #[track_caller]
    fn f(n: u8) -> futures::future::BoxFuture<'static, u32> {
        let line = Location::caller().line();
        if n == 0 { return Box::pin(async move { line }); }
        Box::pin(async move { 0 })
    }
}, block f(0).await);

shape!(track_caller_stream, "f", {
    #[traced(stream)]
    #[track_caller]
    fn f(n: u32) -> impl futures::Stream<Item = u32> {
        let line = Location::caller().line();
        futures::stream::iter([line, n])
    }
}, block futures::StreamExt::collect::<Vec<_>>(f(1)).await);

shape!(track_caller_stream_returned_early, "f", {
    #[traced(stream)]
    #[track_caller]
    fn f(n: u32) -> futures::stream::BoxStream<'static, u32> {
        if n == 0 { return Box::pin(futures::stream::empty()); }
        Box::pin(futures::stream::iter([n]))
    }
}, block futures::StreamExt::collect::<Vec<_>>(f(0)).await);

shape!(
    track_caller_opaque,
    "f",
    {
        #[traced]
        #[track_caller]
        fn f(n: u32) -> impl Iterator<Item = u32> + std::fmt::Debug {
            let line = Location::caller().line();
            [line, n].into_iter()
        }
    },
    f(1)
);

shape!(
    track_caller_of_a_trait,
    "f",
    {
        trait T {
            #[track_caller]
            fn f(&self) -> u32;
        }
        struct S;
        impl T for S {
            #[traced]
            #[track_caller]
            fn f(&self) -> u32 {
                Location::caller().line()
            }
        }
    },
    S.f()
);

shape!(
    several_spans_worth_of_attributes,
    "f",
    {
        #[biz_tags(n)]
        #[inline]
        #[traced]
        #[must_use]
        #[biz_tags(m = a.0)]
        fn f(n: u8, a: Noisy) -> u8 {
            n
        }
    },
    f(1, Noisy("a"))
);

shape!(
    tags_of_patterns,
    "f",
    {
        #[traced]
        #[biz_tags(n, m, length = list.len(), k)]
        fn f((n, _): (u8, Noisy), [m, ..]: [u16; 2], mut list: Vec<Noisy>, ref k: String) -> usize {
            list.clear();
            k.len()
        }
    },
    f((1, Noisy("beside n")), [2, 3], vec![Noisy("in the list")], "k".into())
);

shape!(tags_of_patterns_async, "f", {
    #[traced]
    #[biz_tags(n, m, length = list.len(), k)]
    async fn f((n, _): (u8, Noisy), [m, ..]: [u16; 2], mut list: Vec<Noisy>, ref k: String) -> usize { list.clear(); pause().await; k.len() }
}, future f((1, Noisy("beside n")), [2, 3], vec![Noisy("in the list")], "k".into()));

shape!(
    tags_alone,
    "",
    {
        #[biz_tags(n)]
        fn f(n: u8, (a, _): (Noisy, Noisy)) -> Result<u8, String> {
            log("body");
            Err("not of this span".into())
        }
    },
    f(1, (Noisy("a"), Noisy("beside a")))
);

shape!(tags_alone_async, "", {
    #[biz_tags(n)]
    async fn f(n: u8, (a, _): (Noisy, Noisy)) -> Result<u8, String> { pause().await; Err("not of this span".into()) }
}, block f(1, (Noisy("a"), Noisy("beside a"))).await);
