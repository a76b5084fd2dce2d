//! Properties that a function gets from its caller or its declaration, and must preserve.

use std::future::{Future, ready};
use std::ops::{Index, IndexMut};
use std::panic::Location;
use std::pin::Pin;

use futures::future::{BoxFuture, FutureExt, LocalBoxFuture};

use super::harness::{Noisy, log, pause, shape};

// A box from the caller, with an unbounded type parameter.
shape!(
    a_box_of_any_output,
    "f",
    {
        #[traced]
        fn f<U>(future: Pin<Box<dyn Future<Output = U> + Send>>) -> Pin<Box<dyn Future<Output = U> + Send>> {
            log("body");
            future
        }

        pub(crate) fn lent<U: Send>(value: &U) -> Pin<Box<dyn Future<Output = U> + Send + '_>>
        where
            U: Clone,
        {
            Box::pin(ready(value.clone()))
        }
    },
    f(Box::pin(ready(7))).now_or_never()
);

shape!(
    a_box_of_an_output_with_a_lifetime,
    "f",
    {
        struct Row<'q>(&'q str);
        #[traced]
        fn f<'q, T>(future: BoxFuture<'static, Result<Row<'q>, T>>) -> BoxFuture<'static, Result<Row<'q>, T>> {
            future
        }
    },
    f::<u8>(Box::pin(ready(Ok(Row("row"))))).now_or_never().map(|row| row.map(|row| row.0.to_owned()))
);

shape!(
    a_box_of_what_a_type_is_made_of,
    "call",
    {
        trait Service<R> {
            type Response;
            fn call(&mut self, request: R) -> Pin<Box<dyn Future<Output = Option<Self::Response>> + Send>>;
        }
        struct Passed<T>(Option<Pin<Box<dyn Future<Output = Option<T>> + Send>>>);
        impl<T, R> Service<R> for Passed<T> {
            type Response = T;
            #[traced]
            fn call(&mut self, _: R) -> Pin<Box<dyn Future<Output = Option<Self::Response>> + Send>> {
                self.0.take().expect("called once")
            }
        }
    },
    Passed(Some(Box::pin(ready(Some(1))))).call("request").now_or_never()
);

shape!(
    a_box_in_an_annotated_impl,
    "├── Held::plain\n└── Held::passed",
    {
        struct Held<Res>(Option<Pin<Box<dyn Future<Output = Res>>>>);
        #[traced]
        impl<Res> Held<Res> {
            fn passed(&mut self) -> Option<Pin<Box<dyn Future<Output = Res>>>> {
                self.0.take()
            }
            fn plain(&self) -> LocalBoxFuture<'_, bool> {
                Box::pin(ready(self.0.is_some()))
            }
        }
    },
    {
        let mut held = Held(Some(Box::pin(ready(7_u8)) as Pin<Box<dyn Future<Output = u8>>>));
        (held.plain().now_or_never(), held.passed().and_then(FutureExt::now_or_never))
    }
);

// The box outlives what `Self` borrows.
shape!(
    a_box_of_a_type_with_a_lifetime,
    "├── Row::passed\n└── Row::shared",
    {
        struct Row<'q>(&'q str);
        #[traced]
        impl<'q> Row<'q> {
            fn passed(future: BoxFuture<'static, Option<Self>>) -> BoxFuture<'static, Option<Self>> {
                future
            }
            fn shared(self) -> BoxFuture<'q, Self> {
                Box::pin(ready(self))
            }
        }
    },
    {
        let row = Row::passed(Box::pin(ready(Some(Row("row"))))).now_or_never().flatten();
        row.and_then(|row| row.shared().now_or_never()).map(|row| row.0)
    }
);

// The span covers the boxed future if everything in the box lives long enough.
shape!(
    a_box_in_a_block_that_promises,
    "Held::wait",
    {
        struct Held<Res>(Res);
        #[traced]
        impl<Res: Copy + 'static> Held<Res> {
            fn wait(&self) -> Pin<Box<dyn Future<Output = Res>>> {
                let value = self.0;
                Box::pin(async move {
                    pause().await;
                    value
                })
            }
        }
    },
    started Held(1).wait()
);

// `Index::index` is declared with `#[track_caller]`, which its implementations inherit.
shape!(
    index_has_its_callers_place,
    "├── index\n└── index_mut",
    {
        struct Lines(Vec<u8>);
        impl Index<usize> for Lines {
            type Output = u8;
            #[traced]
            fn index(&self, at: usize) -> &u8 {
                log(format!("{}", Location::caller()));
                &self.0[at]
            }
        }
        impl IndexMut<usize> for Lines {
            #[traced]
            fn index_mut(&mut self, at: usize) -> &mut u8 {
                log(format!("{}", Location::caller()));
                &mut self.0[at]
            }
        }
    },
    {
        let mut lines = Lines(vec![1, 2]);
        let first = lines[0];
        lines[1] = first;
        lines.0
    }
);

shape!(
    index_of_an_annotated_impl,
    "Lines::index",
    {
        struct Lines(Vec<u8>);
        #[traced]
        impl Index<&str> for Lines {
            type Output = u8;
            fn index(&self, at: &str) -> &Self::Output {
                log(format!("{}", Location::caller()));
                &self.0[at.len()]
            }
        }
    },
    Lines(vec![1, 2])["a"]
);

// The first argument is a variable of the function: its final value is dropped last.
shape!(
    mutable_self_is_dropped_last,
    "├── S::emptied\n├── S::taken_apart\n├── S::returned\n└── S::replaced",
    {
        #[derive(Debug)]
        struct S(Noisy, Noisy);
        #[traced]
        impl S {
            fn emptied(mut self, a: Noisy, text: &str) -> usize {
                self.0 = Noisy("emptied");
                log(text);
                text.len()
            }
            fn taken_apart(mut self, a: Noisy) -> Noisy {
                self.1 = Noisy("new");
                drop(a);
                self.0
            }
            fn returned<'a>(mut self, a: Noisy, text: &'a mut String) -> (Self, &'a mut String) {
                self.0 = a;
                text.push('!');
                (self, text)
            }
            fn replaced(mut self, (a, _): (Noisy, Noisy)) {
                if a.0.is_empty() {
                    return;
                }
                self = S(a, Noisy("second"));
                log("body");
            }
        }
        fn s() -> S {
            S(Noisy("0"), Noisy("1"))
        }
    },
    {
        let emptied = s().emptied(Noisy("a"), "text");
        let first = s().taken_apart(Noisy("a"));
        let returned = format!("{:?}", s().returned(Noisy("a"), &mut String::new()));
        s().replaced((Noisy("a"), Noisy("beside a")));
        (emptied, first, returned)
    }
);

shape!(mutable_self_later, "S::emptied", {
    struct S(Noisy, u8);
    #[traced]
    impl S {
        async fn emptied<'a>(mut self, a: Noisy, text: &'a str) -> Result<&'a str, u8> {
            self.0 = Noisy("new");
            pause().await;
            self.1 = 0;
            log(text);
            Ok(text)
        }
    }
}, future S(Noisy("0"), 1).emptied(Noisy("a"), "text"));

// A body that visibly calls itself stays in place.
shape!(
    named_like_what_it_calls,
    "├── load !error: a\n└── load !error: b",
    {
        struct S(Noisy);
        impl S {
            fn load(&self, a: Noisy) -> Result<u8, String> {
                Err(a.0.to_owned())
            }
        }
        trait Load {
            fn load(&self, a: Noisy) -> Result<u8, String>;
        }
        impl Load for S {
            #[traced]
            fn load(&self, a: Noisy) -> Result<u8, String> {
                let kept = Noisy("kept");
                self.load(a)
            }
        }
        impl Load for u8 {
            #[traced]
            fn load(&self, a: Noisy) -> Result<u8, String> {
                return Err(a.0.to_owned());
            }
        }
    },
    (Load::load(&S(Noisy("s")), Noisy("a")).is_err(), Load::load(&1, Noisy("b")).is_err())
);
