//! Combinations that few functions have.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::harness::{Noisy, both, log, pause, shape};

both!(
    irrefutable_variant,
    "f",
    {},
    {
        fn f(Ok(n): Result<u8, Infallible>, last: Noisy) -> u8 {
            pause!();
            n
        }
    },
    f(Ok(1), Noisy("last"))
);

shape!(
    union_argument,
    "f",
    {
        union Bits {
            whole: u32,
            low: u16,
        }
        #[traced]
        fn f(bits: Bits) -> u16 {
            unsafe { bits.low.to_be() | u16::from(bits.whole == 0) }
        }
    },
    f(Bits { whole: 0 })
);

shape!(
    methods_of_a_trait_object,
    "├── f\n│   └── n\n└── g\n    └── n",
    {
        trait Number {
            fn n(&self) -> u8;
        }
        impl Number for fn(u8) -> u8 {
            #[traced]
            fn n(&self) -> u8 {
                self(1)
            }
        }
        impl dyn Number + '_ {
            #[traced]
            fn f(&self, a: Noisy) -> u8 {
                self.n()
            }
            #[traced]
            async fn g(&self, a: Noisy) -> u8 {
                pause().await;
                self.n()
            }
        }
    },
    block {
        let number: &dyn Number = &(u8::wrapping_neg as fn(u8) -> u8);
        number.f(Noisy("a")) ^ number.g(Noisy("b")).await
    }
);

shape!(nested_receivers, "├── f\n└── g", {
    struct S(u8, Noisy);
    impl S {
        #[traced(tags(n = self.0))]
        fn f(self: &Rc<Self>) -> u8 {
            self.0
        }
        #[traced(tags(n = self.0))]
        async fn g(self: Pin<Rc<Self>>, a: Noisy) -> u8 {
            pause().await;
            self.0
        }
    }
}, block Rc::new(S(1, Noisy("rc"))).f() + Rc::pin(S(2, Noisy("pinned"))).g(Noisy("a")).await);

shape!(lending_items, "├── next\n├── next\n└── next", {
    struct Words<'a>(&'a str);
    trait Lend {
        type Item<'x>
        where
            Self: 'x;
        async fn next<'x>(&'x mut self) -> Option<Self::Item<'x>>;
    }
    impl<'a> Lend for Words<'a> {
        type Item<'x> = &'x str where Self: 'x;
        #[traced(tags(left = self.0.len()))]
        async fn next<'x>(&'x mut self) -> Option<Self::Item<'x>> {
            pause().await;
            let (first, rest) = self.0.split_at_checked(1)?;
            self.0 = rest;
            Some(first)
        }
    }
}, block {
    let mut words = Words("ab");
    while let Some(word) = words.next().await {
        log(word);
    }
});

shape!(async_closures, "├── f\n└── g", {
    #[traced]
    async fn f<F: AsyncFnMut(&str) -> usize>(mut each: F, a: Noisy) -> usize {
        let first = each("a").await;
        pause().await;
        first + each("bc").await
    }
    #[traced]
    fn g() -> impl AsyncFn(usize) -> usize {
        async |n| {
            pause().await;
            n + 1
        }
    }
}, block {
    let mut seen = 0;
    let sum = f(async |text: &str| { seen += 1; pause().await; text.len() }, Noisy("a")).await;
    (g()(sum).await, seen)
});

shape!(
    future_by_hand,
    "├── poll\n└── poll",
    {
        struct Twice(u8, Noisy);
        impl Future for Twice {
            type Output = Result<u8, &'static str>;
            #[traced(tags(n = self.0))]
            fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
                self.0 += 1;
                if self.0 < 2 {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(Err("done"))
            }
        }
    },
    block Twice(0, Noisy("twice")).await
);

both!(
    constants_in_the_body,
    "f",
    {},
    {
        fn f<const N: usize>(numbers: [u8; N], a: Noisy) -> Option<usize> {
            const { assert!(N > 0) };
            pause!();
            let more = const {
                match N.checked_add(1) {
                    Some(more) => more,
                    None => 0,
                }
            };
            let first = (|| Some(numbers.first()? + 1))()?;
            Some(more + usize::from(first))
        }
    },
    f([1, 2], Noisy("a"))
);

both!(
    label_of_generated_code,
    "f",
    {},
    {
        fn f(early: bool, a: Noisy) -> impl std::fmt::Debug {
            '__body: {
                if early {
                    break '__body 1;
                }
                pause!();
                2
            }
        }
    },
    f(true, Noisy("a"))
);
