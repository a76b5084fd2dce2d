//! `#[traced(stream)]`: the span ends with the stream.

use std::pin::Pin;

use futures::StreamExt as _;
use futures::stream::{BoxStream, LocalBoxStream, Stream, iter, once, unfold};

use super::harness::{Noisy, log, pause, shape};

shape!(opaque, "f", {
    #[traced(stream)]
    fn f(n: u8, a: Noisy) -> impl Stream<Item = u8> { log("called"); iter(0..n).map(move |n| n + a.0.len() as u8) }
}, block f(3, Noisy("a")).collect::<Vec<_>>().await);

shape!(opaque_that_waits, "f", {
    #[traced(stream)]
    fn f(n: u8, a: Noisy) -> impl Stream<Item = u8> { iter(0..n).then(|n| async move { pause().await; n }) }
}, block f(3, Noisy("a")).collect::<Vec<_>>().await);

shape!(opaque_that_borrows, "f", {
    #[traced(stream)]
    fn f<'a>(list: &'a mut Vec<u8>, _: &str) -> impl Stream<Item = u8> + use<'a> { iter(list.drain(..)) }
}, block { let mut list = vec![1, 2]; (f(&mut list, "").collect::<Vec<_>>().await, list) });

shape!(boxed, "f", {
    #[traced(stream)]
    fn f<'a>(list: &'a [u8]) -> Pin<Box<dyn Stream<Item = &'a u8> + Send + 'a>> { Box::pin(iter(list)) }
}, block f(&[1, 2]).collect::<Vec<&u8>>().await);

shape!(box_stream, "f", {
    #[traced(stream)]
    fn f(n: u8) -> BoxStream<'static, u8> { iter(0..n).boxed() }
}, block f(2).collect::<Vec<_>>().await);

shape!(local_box_stream, "f", {
    #[traced(stream)]
    fn f(a: std::rc::Rc<Noisy>) -> LocalBoxStream<'static, usize> { once(async move { pause().await; a.0.len() }).boxed_local() }
}, block f(std::rc::Rc::new(Noisy("a"))).collect::<Vec<_>>().await);

shape!(opaque_that_tells_its_end, "", {
    #[biz_tags(n)]
    fn f(n: u8) -> impl Stream<Item = u8> + futures::stream::FusedStream + Unpin { iter(0..n).fuse() }
}, block {
    let mut stream = f(1);
    let before = futures::stream::FusedStream::is_terminated(&stream);
    let items = (stream.next().await, stream.next().await);
    (before, items, futures::stream::FusedStream::is_terminated(&stream))
});

shape!(by_async_stream, "f", {
    #[traced(stream)]
    fn f(n: u8, a: Noisy) -> impl Stream<Item = u8> {
        async_stream::stream! {
            let b = a;
            for n in 0..n { pause().await; yield n; }
            log("end");
        }
    }
}, block std::pin::pin!(f(2, Noisy("a"))).collect::<Vec<_>>().await);

shape!(asynchronous, "f", {
    #[traced(stream)]
    async fn f(n: u8, a: Noisy) -> impl Stream<Item = u8> { pause().await; log("called"); iter(0..n) }
}, block f(2, Noisy("a")).await.collect::<Vec<_>>().await);

shape!(of_a_method, "S::f", {
    struct S(Vec<u8>);
    #[traced]
    impl S {
        #[traced(stream)]
        fn f(&self) -> impl Stream<Item = u8> + '_ { iter(self.0.iter().copied()) }
    }
}, block S(vec![1, 2]).f().collect::<Vec<_>>().await);

shape!(dropped_early, "f !cancelled", {
    #[traced(stream)]
    fn f(a: Noisy) -> impl Stream<Item = u8> { unfold((0, a), |(n, a)| async move { pause().await; Some((n, (n + 1, a))) }) }
}, block { let mut stream = Box::pin(f(Noisy("a"))); (stream.next().await, stream.next().await) });

shape!(dropped_unpolled, "f !cancelled", {
    #[traced(stream)]
    fn f(a: Noisy) -> impl Stream<Item = u8> { once(async move { a.0.len() as u8 }) }
}, block { drop(f(Noisy("a"))); });

shape!(asynchronous_dropped_early, "f !cancelled", {
    #[traced(stream)]
    async fn f(a: Noisy) -> impl Stream<Item = u8> { pause().await; iter(0..9) }
}, block { let mut stream = f(Noisy("a")).await; stream.next().await });

shape!(errors_of_items, "f !error: bad", {
    #[traced(stream)]
    fn f() -> impl Stream<Item = Result<u8, String>> { iter([Ok(1), Err("bad".into()), Ok(2)]) }
}, block f().collect::<Vec<_>>().await);

shape!(panicking, "f !panicked: ouch", {
    #[traced(stream)]
    fn f(a: Noisy) -> impl Stream<Item = u8> { iter(0..3).map(move |n| { assert!(n < 2, "ouch"); n + a.0.len() as u8 }) }
}, block f(Noisy("a")).collect::<Vec<_>>().await);

shape!(panicking_before_the_stream, "f !panicked: ouch", {
    #[traced(stream)]
    fn f(a: Noisy) -> impl Stream<Item = u8> { if a.0 == "a" { panic!("ouch") } iter(0..3) }
}, block f(Noisy("a")).collect::<Vec<_>>().await);

shape!(
    size_hint,
    "f !cancelled",
    {
        #[traced(stream)]
        fn f() -> impl Stream<Item = u8> {
            iter(0..3)
        }
    },
    f().size_hint()
);

shape!(children, "└── f\n    ├── called\n    ├── item\n    └── item", {
    #[traced(stream)]
    fn f() -> impl Stream<Item = u8> {
        throughline::in_span("called", || ());
        iter(0..2).map(|n| throughline::in_span("item", || n))
    }
}, block f().collect::<Vec<_>>().await);

// Without the option, a stream is an ordinary value: the span ends with the call.
shape!(without_the_option, "f", {
    #[traced]
    fn f(n: u8) -> impl Stream<Item = u8> { iter(0..n) }
}, block { let stream = f(2); stream.collect::<Vec<_>>().await });
