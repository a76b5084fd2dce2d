//! Recursion, and futures that are awaited together.

use crate::shapes::harness::{Noisy, pause, shape};

shape!(
    recursive,
    "└── factorial\n    └── factorial\n        └── factorial",
    {
        #[traced]
        fn factorial(n: u64) -> u64 {
            if n < 2 {
                return 1;
            }
            n * factorial(n - 1)
        }
    },
    factorial(3)
);

shape!(
    mutually_recursive,
    "└── even\n    └── odd\n        └── even",
    {
        #[traced]
        fn even(n: u8, a: Noisy) -> bool {
            n == 0 || odd(n - 1, Noisy("odd"))
        }
        #[traced]
        fn odd(n: u8, a: Noisy) -> bool {
            n != 0 && even(n - 1, Noisy("even"))
        }
    },
    even(2, Noisy("first"))
);

shape!(recursive_async, "└── depth\n    └── depth\n        └── depth", {
    #[traced]
    async fn depth(n: u8, a: Noisy) -> u8 {
        if n == 0 { return 0; }
        pause().await;
        1 + Box::pin(depth(n - 1, Noisy("below"))).await
    }
}, future depth(2, Noisy("top")));

shape!(recursive_boxed, "└── depth\n    └── depth", {
    #[traced]
    fn depth(n: u8) -> std::pin::Pin<Box<dyn Future<Output = u8> + Send>> {
        Box::pin(async move {
            pause().await;
            if n == 0 { 0 } else { 1 + depth(n - 1).await }
        })
    }
}, started depth(1));

shape!(async_blocks, "f", {
    #[traced]
    async fn f(n: u8, a: Noisy, text: String) -> usize {
        let first = async { pause().await; n };
        let second = async move { pause().await; let a = a; text.len() };
        usize::from(first.await) + second.await
    }
}, future f(1, Noisy("a"), "text".into()));

shape!(joined, "└── f\n    ├── left\n    └── right", {
    #[traced]
    async fn left(n: u8) -> u8 { pause().await; n }
    #[traced]
    async fn right(n: u8) -> Result<u8, ()> { pause().await; pause().await; Ok(n) }
    #[traced]
    async fn f(a: Noisy) -> Result<u8, ()> { let (a, b) = ::futures::join!(left(1), right(2)); Ok(a + b?) }
}, future f(Noisy("a")));

shape!(selected, "└── f\n    ├── quick\n    └── slow !cancelled", {
    #[traced]
    async fn quick(a: Noisy) -> u8 { pause().await; 1 }
    #[traced]
    async fn slow(a: Noisy) -> u8 { pause().await; pause().await; 2 }
    #[traced]
    async fn f() -> u8 {
        let (quick, slow) = (std::pin::pin!(quick(Noisy("quick"))), std::pin::pin!(slow(Noisy("slow"))));
        ::futures::future::select(quick, slow).await.factor_first().0
    }
}, future f());

shape!(async_closures, "f", {
    #[traced]
    async fn f(n: u8, a: Noisy) -> u8 {
        let add = async |m: u8| { pause().await; n + m };
        add(1).await + add(2).await
    }
}, future f(1, Noisy("a")));

shape!(awaited_temporary_in_the_tail, "f", {
    async fn look(of: &Noisy) -> usize { pause().await; of.0.len() }
    #[traced]
    async fn f(a: Noisy) -> usize { let local = Noisy("local"); look(&Noisy("temporary")).await }
}, future f(Noisy("a")));
