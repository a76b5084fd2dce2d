//! Asynchronous methods.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use crate::shapes::harness::{Noisy, log, pause, shape};

async_method!(
    async_by_reference,
    block,
    {
        async fn f(&self, a: Noisy) -> u8 {
            pause().await;
            self.n
        }
    },
    |this| this.f(Noisy("a")).await
);

async_method!(
    async_by_mutable_reference,
    block,
    {
        async fn f(&mut self, a: Noisy) {
            pause().await;
            self.n += 1;
        }
    },
    |this| {
        let mut this = this;
        this.f(Noisy("a")).await;
        this
    }
);

async_method!(
    async_by_value,
    future,
    {
        async fn f(self, a: Noisy) -> u8 {
            pause().await;
            log(self.name.0);
            self.n
        }
    },
    |this| this.f(Noisy("a"))
);

async_method!(
    async_by_value_unused,
    future,
    {
        async fn f(self, a: Noisy) {
            pause().await;
        }
    },
    |this| this.f(Noisy("a"))
);

async_method!(
    async_by_value_partly_moved,
    future,
    {
        async fn f(self, a: Noisy) {
            drop(self.name);
            pause().await;
        }
    },
    |this| this.f(Noisy("a"))
);

async_method!(
    async_by_mutable_value,
    future,
    {
        async fn f(mut self, a: Noisy) -> Self {
            self.n += 1;
            pause().await;
            self
        }
    },
    |this| this.f(Noisy("a"))
);

shape!(async_by_mutable_value_that_borrows, "├── first\n└── rest", {
    #[derive(Debug)]
    struct S<'a>(&'a mut [u8]);
    impl<'a> S<'a> {
        #[traced]
        async fn first(mut self) -> &'a mut u8 { self.0[0] += 1; pause().await; &mut self.0[0] }
        #[traced]
        async fn rest(mut self, a: Noisy) -> Self { self.0[1] += 1; pause().await; Self(&mut self.0[1..]) }
    }
}, block { let mut list = [1, 2]; *S(&mut list).first().await += 1; S(&mut list).rest(Noisy("a")).await.0[0] += 1; list });

async_method!(
    async_by_box,
    future,
    {
        async fn f(self: Box<Self>, a: Noisy) -> u8 {
            pause().await;
            self.n
        }
    },
    |this| Box::new(this).f(Noisy("a"))
);

async_method!(
    async_by_rc,
    future,
    {
        async fn f(self: Rc<Self>, a: Noisy) -> u8 {
            pause().await;
            self.n
        }
    },
    |this| Rc::new(this).f(Noisy("a"))
);

async_method!(
    async_by_arc,
    future,
    {
        async fn f(self: Arc<Self>, a: Noisy) -> u8 {
            pause().await;
            self.n
        }
    },
    |this| Arc::new(this).f(Noisy("a"))
);

async_method!(
    async_by_arc_reference,
    block,
    {
        async fn f(self: &Arc<Self>) -> usize {
            pause().await;
            Arc::strong_count(self)
        }
    },
    |this| Arc::new(this).f().await
);

async_method!(
    async_by_pinned_reference,
    block,
    {
        async fn f(self: Pin<&mut Self>, a: Noisy) -> u8 {
            pause().await;
            self.n
        }
    },
    |this| {
        let mut this = Box::pin(this);
        this.as_mut().f(Noisy("a")).await
    }
);

async_method!(
    async_by_pinned_box,
    future,
    {
        async fn f(mut self: Pin<Box<Self>>, a: Noisy) -> u8 {
            self.n += 1;
            pause().await;
            self.n
        }
    },
    |this| Box::pin(this).f(Noisy("a"))
);

async_method!(
    async_lifetimes,
    block,
    {
        async fn f<'a>(&'a mut self, _: &str) -> &'a mut u8 {
            pause().await;
            &mut self.n
        }
    },
    |this| {
        let mut this = this;
        *this.f("x").await += 1;
        this
    }
);

async_method!(
    async_without_self,
    future,
    {
        async fn f(n: u8, a: Noisy) -> Self {
            pause().await;
            Self { name: a, n }
        }
    },
    |this| S::f(this.n, Noisy("a"))
);

shape!(
    boxed_for_typed_receivers,
    "├── f\n└── g",
    {
        struct S<T>(T);
        impl<T: Copy + Send + Sync + 'static> S<T> {
            #[traced]
            fn f(self: &Arc<Self>) -> Pin<Box<dyn Future<Output = Option<T>> + Send + '_>> {
                Box::pin(async move {
                    pause().await;
                    Some(self.0)
                })
            }
            #[traced]
            fn g<'a>(
                self: Pin<&'a mut Self>,
                a: Noisy,
            ) -> Pin<Box<dyn Future<Output = (T, &'static str)> + Send + 'a>> {
                Box::pin(async move {
                    pause().await;
                    (self.0, a.0)
                })
            }
        }
    },
    block(Arc::new(S(1)).f().await, Pin::new(&mut S(2)).g(Noisy("a")).await)
);
