//! Functions that return a future instead of being `async`.

use std::future::{Future, IntoFuture, Ready, ready};
use std::marker::PhantomData;
use std::pin::Pin;

use futures::future::{BoxFuture, FutureExt as _, LocalBoxFuture};

use super::harness::{Noisy, log, pause, shape};

shape!(opaque, "f", {
    #[traced]
    fn f(a: Noisy, b: Noisy) -> impl Future<Output = usize> {
        log("called");
        async move { pause().await; a.0.len() }
    }
}, started f(Noisy("a"), Noisy("b")));

shape!(opaque_with_bounds, "f", {
    #[traced]
    fn f<'a>(text: &'a str) -> impl Future<Output = &'a str> + Send + Unpin + 'a { ready(&text[1..]) }
}, started f("text"));

shape!(opaque_that_owns_nothing_of_its_arguments, "f", {
    #[traced]
    fn f<A>(text: &str, a: A) -> impl Future<Output = usize> + use<A> { let n = text.len(); async move { pause().await; n } }
}, started { let text = String::from("text"); f(&text, 1) });

// A span cannot be cloned.
shape!(
    opaque_that_is_cloned,
    "f",
    {
        #[traced]
        fn f(n: u8) -> impl Future<Output = u8> + Clone {
            ready(n)
        }
    },
    f(1),
    |future| (future.clone().now_or_never(), future.now_or_never())
);

shape!(opaque_that_tells_its_end, "f", {
    #[traced]
    fn f(n: u8) -> impl futures::future::FusedFuture<Output = u8> + Future<Output = u8> + Unpin { futures::future::ready(n) }
}, block {
    let mut future = f(1);
    let before = futures::future::FusedFuture::is_terminated(&future);
    (before, (&mut future).await, futures::future::FusedFuture::is_terminated(&future))
});

shape!(opaque_by_a_path, "f", {
    #[traced]
    fn f(n: u8) -> impl core::future::Future<Output = u8> { async move { pause().await; n } }
}, started f(1));

shape!(opaque_elided, "f", {
    #[traced]
    fn f(text: &str) -> impl Future<Output = Result<&str, &str>> { async move { pause().await; Ok(&text[1..]) } }
}, started f("text"));

shape!(opaque_in_an_opaque, "f", {
    #[traced]
    fn f(n: u8) -> impl Future<Output = Result<impl Iterator<Item = u8> + std::fmt::Debug, ()>> { async move { pause().await; Ok(0..n) } }
}, started f(2));

shape!(boxed, "f", {
    #[traced]
    fn f<'a>(text: &'a str, a: Noisy) -> Pin<Box<dyn Future<Output = usize> + Send + 'a>> {
        Box::pin(async move { pause().await; text.len() + a.0.len() })
    }
}, started f("text", Noisy("a")));

shape!(boxed_elided, "f", {
    #[traced]
    fn f(text: &str) -> Pin<Box<dyn Future<Output = &str> + '_>> { Box::pin(async move { pause().await; &text[1..] }) }
}, started f("text"));

shape!(boxed_opaque, "f !error: bad", {
    #[traced]
    fn f<T: AsRef<str>>(text: T, a: &Noisy) -> Pin<Box<impl Future<Output = Result<u8, String>>>> {
        Box::pin(async move { pause().await; if text.as_ref() == a.0 { Err("bad")? } Ok(1) })
    }
}, block f("a", &Noisy("a")).await);

shape!(boxed_by_paths, "f", {
    #[traced]
    fn f(n: u8) -> ::std::pin::Pin<::std::boxed::Box<dyn (::core::future::Future<Output = u8>) + ::core::marker::Send>> {
        async move { pause().await; n }.boxed()
    }
}, started f(1));

shape!(box_future, "f", {
    #[traced]
    fn f(text: &str, a: Noisy) -> BoxFuture<'_, usize> { async move { pause().await; text.len() + a.0.len() }.boxed() }
}, started f("text", Noisy("a")));

shape!(local_box_future, "f", {
    #[traced]
    fn f(a: std::rc::Rc<Noisy>) -> LocalBoxFuture<'static, usize> { async move { pause().await; a.0.len() }.boxed_local() }
}, started f(std::rc::Rc::new(Noisy("a"))));

shape!(of_a_method, "f", {
    struct S(Vec<u8>);
    impl S {
        #[traced]
        fn f(&mut self, n: u8) -> impl Future<Output = usize> + '_ {
            self.0.push(n);
            async move { pause().await; self.0.len() }
        }
    }
}, block S(vec![]).f(1).await);

shape!(an_error_of_the_future, "f !error: bad", {
    #[traced]
    fn f() -> impl Future<Output = Result<u8, String>> { async { pause().await; Err("bad".to_owned()) } }
}, started f());

shape!(an_error_that_is_told_by_the_signature, "f !error: bad", {
    #[traced]
    fn f() -> impl Future<Output = Result<u8, Box<dyn std::error::Error>>> {
        async {
            pause().await;
            Err("bad")?;
            Ok(1)
        }
    }
}, block f().await.map_err(|error| error.to_string()));

shape!(an_error_without_display, "f !error: shapes::shapes::futures::an_error_without_display::traced::Bad", {
    #[derive(Debug)] struct Bad;
    #[traced]
    fn f(fail: bool) -> impl Future<Output = Result<u8, Bad>> {
        async move {
            pause().await;
            if fail { return Err(Bad); }
            Ok(1)
        }
    }
}, started f(true));

shape!(only_the_signature_tells_the_error, "f", {
    #[derive(Debug)] struct Bad;
    #[traced]
    fn f() -> impl Future<Output = Result<u8, Bad>> { async { pause().await; Ok(1) } }
}, started f());

shape!(a_panic_of_the_future, "f !panicked: ouch", {
    #[traced]
    fn f(a: Noisy) -> impl Future<Output = u8> { async move { pause().await; let b = &a; panic!("ouch") } }
}, started f(Noisy("a")));

shape!(a_panic_before_the_future, "f !panicked: ouch", {
    #[traced]
    fn f(a: Noisy) -> impl Future<Output = u8> {
        assert!(a.0.is_empty(), "ouch");
        ready(1)
    }
}, block f(Noisy("a")).await);

shape!(an_early_return, "f", {
    #[traced]
    fn f(early: bool) -> Pin<Box<dyn Future<Output = u8>>> {
        if early { return Box::pin(ready(1)); }
        Box::pin(async { pause().await; 2 })
    }
}, started f(true));

shape!(of_a_generic, "f", {
    #[traced]
    fn f<G, F>(g: G) -> impl Future<Output = F::Output> where G: FnOnce() -> F, F: IntoFuture { g().into_future() }
}, started f(|| async { pause().await; 5 }));

// A future of a named type is an ordinary value: the span ends with the call.
shape!(named, "f", {
    #[traced]
    fn f(n: u8) -> Ready<u8> { ready(n) }
}, block f(1).await);

shape!(children_of_the_future, "└── f\n    ├── called\n    └── polled", {
    #[traced]
    fn f() -> impl Future<Output = ()> {
        throughline::in_span("called", || ());
        async { pause().await; throughline::in_span("polled", || ()) }
    }
}, started f());

shape!(asynchronous_that_gives_a_future, "f", {
    #[traced]
    async fn f(n: u8) -> impl Future<Output = u8> { pause().await; async move { n } }
}, block f(1).await.await);

// The attribute does not see that `T` outlives the box, so the block is wrapped inside of it.
shape!(boxed_generic, "└── f !error: bad\n    └── inside", {
    struct S<T>(PhantomData<T>);
    impl<T: Send + 'static> S<T> {
        #[traced]
        fn f(a: Noisy, t: T, (b, _): (Noisy, Noisy), mut c: Noisy) -> BoxFuture<'static, Result<(T, usize), String>> {
            let d = Noisy("d");
            if d.0.is_empty() { log("empty"); }
            Box::pin(async move {
                pause().await;
                throughline::in_span("inside", || ());
                let e = Noisy("e");
                c = Noisy("another c");
                if b.0.len() + d.0.len() == 2 { Err("bad")?; }
                Ok((t, e.0.len()))
            })
        }
    }
}, started S::f(Noisy("a"), 1, (Noisy("b"), Noisy("beside b")), Noisy("c")));

shape!(boxed_generic_by_a_method, "└── f\n    └── inside", {
    struct S<T>(PhantomData<T>);
    impl<T: 'static> S<T> {
        #[traced]
        fn f(t: T, a: Noisy, b: Noisy) -> LocalBoxFuture<'static, Option<T>> {
            let length = b.0.len();
            async move { pause().await; throughline::in_span("inside", || ()); if a.0.len() > length { None?; } Some(t) }.boxed_local()
        }
    }
}, started S::f(std::rc::Rc::new(1), Noisy("a"), Noisy("b")));

shape!(boxed_generic_with_a_panic, "f !panicked: ouch", {
    struct S<T>(PhantomData<T>);
    impl<T: Send + 'static> S<T> {
        #[traced]
        fn f(t: Option<T>, a: Noisy) -> BoxFuture<'static, T> {
            Box::pin(async move { pause().await; let b = a; t.expect("ouch") })
        }
    }
}, started S::f(None::<u8>, Noisy("a")));

shape!(boxed_generic_with_a_panic_before, "f !panicked: ouch", {
    struct S<T>(PhantomData<T>);
    impl<T: Send + 'static> S<T> {
        #[traced]
        fn f(t: Option<T>, a: Noisy) -> BoxFuture<'static, T> {
            let t = t.expect("ouch");
            Box::pin(async move { t })
        }
    }
}, block S::f(None::<u8>, Noisy("a")).await);

shape!(boxed_by_a_name, "└── call !error: bad\n    └── inside", {
    trait Service<R> {
        type Future;
        fn call(&mut self, request: R) -> Self::Future;
    }
    #[derive(Clone)]
    struct S<I>(I, u8);
    impl<I: Fn(R) -> R + Clone + 'static, R: 'static> Service<R> for S<I> {
        type Future = Pin<Box<dyn Future<Output = Result<R, Box<dyn std::error::Error>>>>>;
        #[traced(tags(n = self.1))]
        fn call(&mut self, request: R) -> Self::Future {
            let ready = std::mem::replace(self, self.clone());
            Box::pin(async move {
                pause().await;
                throughline::in_span("inside", || ());
                if ready.1 == 1 { Err("bad")?; }
                Ok((ready.0)(request))
            })
        }
    }
}, block S(|n: u8| n + 1, 1).call(1).await.map_err(|error| error.to_string()));

shape!(boxed_by_an_alias, "f", {
    type ItemFut<'a, T> = Pin<Box<dyn Future<Output = Option<&'a T>> + 'a>>;
    struct S<T>(Vec<T>);
    impl<T> S<T> {
        #[traced]
        fn f(&self, at: usize, a: Noisy) -> ItemFut<'_, T> { Box::pin(async move { pause().await; self.0.get(at) }) }
    }
}, block S(vec![1]).f(0, Noisy("a")).await.copied());

// An alias of the application with the name of one in `futures`.
shape!(boxed_by_an_alias_with_an_error, "f !error: Bad", {
    #[derive(Debug)] struct Bad;
    type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Bad>> + Send + 'a>>;
    struct S<T>(T);
    impl<T: Send + 'static> S<T> {
        #[traced(err = debug)]
        fn f(self, fail: bool, a: Noisy) -> BoxFuture<'static, T> {
            Box::pin(async move { pause().await; if fail { return Err(Bad); } Ok(self.0) })
        }
    }
}, block S(1).f(true, Noisy("a")).await);

shape!(boxed_by_an_alias_of_an_opaque_output, "f", {
    type BytesFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;
    #[traced]
    fn f(upto: u8, a: &Noisy) -> BytesFuture<'_, impl Iterator<Item = u8>> {
        Box::pin(async move { pause().await; 0..upto })
    }
}, block f(2, &Noisy("a")).await.sum::<u8>());

shape!(boxed_generic_tags_alone, "", {
    struct S<T>(PhantomData<T>);
    impl<T: Send + 'static> S<T> {
        #[biz_tags(n)]
        fn f(n: u8, t: T, a: Noisy) -> BoxFuture<'static, Result<T, String>> {
            Box::pin(async move { pause().await; if n > 1 { Err("bad")?; } Ok(t) })
        }
    }
}, block S::f(1, 2, Noisy("a")).await);
