//! `#[async_trait]`, with the attribute on the method, above and below.

use async_trait::async_trait;

use super::harness::{Noisy, log, pause, shape};

shape!(on_the_method, "f", {
    #[async_trait]
    trait T { async fn f(&self, a: Noisy, b: Noisy) -> u8; }
    struct S;
    #[async_trait]
    impl T for S {
        #[traced]
        async fn f(&self, a: Noisy, b: Noisy) -> u8 { pause().await; log(b.0); 1 }
    }
}, block S.f(Noisy("a"), Noisy("b")).await);

shape!(on_a_default_body, "f", {
    #[async_trait]
    trait T: Sync {
        fn n(&self) -> u8;
        #[traced]
        async fn f(&self, a: Noisy) -> u8 { pause().await; self.n() }
    }
    struct S;
    impl T for S { fn n(&self) -> u8 { 4 } }
}, block S.f(Noisy("a")).await);

shape!(above_the_block, "S::f", {
    #[async_trait]
    trait T { async fn f(&self, a: Noisy, b: Noisy) -> u8; }
    struct S;
    #[traced]
    #[async_trait]
    impl T for S {
        async fn f(&self, a: Noisy, b: Noisy) -> u8 { pause().await; log(b.0); 1 }
    }
}, block S.f(Noisy("a"), Noisy("b")).await);

shape!(below_the_block, "S::f", {
    #[async_trait]
    trait T { async fn f(&self, a: Noisy, b: Noisy) -> u8; }
    struct S;
    #[async_trait]
    #[traced]
    impl T for S {
        async fn f(&self, a: Noisy, b: Noisy) -> u8 { pause().await; log(b.0); 1 }
    }
}, block S.f(Noisy("a"), Noisy("b")).await);

shape!(through_an_object, "f", {
    #[async_trait]
    trait T: Send { async fn f(&mut self, text: &str, a: Noisy) -> Result<usize, String>; }
    struct S(usize);
    #[async_trait]
    impl T for S {
        #[traced]
        async fn f(&mut self, text: &str, a: Noisy) -> Result<usize, String> {
            self.0 += text.len();
            pause().await;
            Ok(self.0)
        }
    }
}, block {
    let mut object: Box<dyn T> = Box::new(S(1));
    object.f("text", Noisy("a")).await
});

shape!(an_error, "f !error: bad", {
    #[async_trait]
    trait T { async fn f(&self) -> Result<u8, String>; }
    struct S;
    #[async_trait]
    impl T for S {
        #[traced]
        async fn f(&self) -> Result<u8, String> {
            pause().await;
            Err("bad")?;
            Ok(1)
        }
    }
}, block S.f().await);

shape!(by_value, "f", {
    #[async_trait]
    trait T { async fn f(mut self, (a, _): (Noisy, Noisy)) -> Noisy; }
    struct S(Noisy);
    #[async_trait]
    impl T for S {
        #[traced]
        async fn f(mut self, (a, _): (Noisy, Noisy)) -> Noisy { pause().await; self.0 }
    }
}, started S(Noisy("self")).f((Noisy("a"), Noisy("beside a"))));

shape!(not_send, "f", {
    #[async_trait(?Send)]
    trait T { async fn f(self, a: std::rc::Rc<Noisy>) -> usize; }
    struct S;
    #[async_trait(?Send)]
    impl T for S {
        #[traced]
        async fn f(self, a: std::rc::Rc<Noisy>) -> usize { pause().await; a.0.len() }
    }
}, started S.f(std::rc::Rc::new(Noisy("a"))));

shape!(generic, "f", {
    #[async_trait]
    trait T<A: Send + 'static> { async fn f<B>(&self, a: A, b: B) -> (A, B) where B: Send + 'static; }
    struct S;
    #[async_trait]
    impl<A: Send + 'static> T<A> for S {
        #[traced]
        async fn f<B>(&self, a: A, b: B) -> (A, B) where B: Send + 'static { pause().await; (a, b) }
    }
}, block S.f(1, "b").await);

// A macro cannot tell whether `T` outlives the box.
shape!(generic_result, "└── f\n    └── inside", {
    #[async_trait]
    trait T<A> { async fn f(&self, at: usize, a: Noisy) -> Option<A>; }
    struct S<A>(Vec<A>);
    #[async_trait]
    impl<A: Clone + Send + Sync> T<A> for S<A> {
        #[traced]
        async fn f(&self, at: usize, a: Noisy) -> Option<A> {
            pause().await;
            throughline::in_span("inside", || ());
            self.0.get(at).cloned()
        }
    }
}, block S(vec![1]).f(0, Noisy("a")).await);

shape!(generic_result_of_a_block, "└── S::f !error: bad\n    └── inside", {
    #[async_trait]
    trait T<A> { async fn f(self, a: Noisy) -> Result<A, String>; }
    struct S<A>(A);
    #[traced]
    #[async_trait]
    impl<A: Send> T<A> for S<A> {
        async fn f(self, a: Noisy) -> Result<A, String> {
            throughline::in_span("inside", || ());
            pause().await;
            Err("bad")?;
            Ok(self.0)
        }
    }
}, block S(1).f(Noisy("a")).await);

shape!(generic_result_of_a_default_body, "└── twice\n    └── inside", {
    #[async_trait]
    trait T<A: Send>: Sync {
        async fn once(&self) -> A;
        #[traced]
        async fn twice(&self, a: Noisy) -> (A, A) {
            throughline::in_span("inside", || ());
            (self.once().await, self.once().await)
        }
    }
    struct S;
    #[async_trait]
    impl T<u8> for S { async fn once(&self) -> u8 { pause().await; 1 } }
}, block S.twice(Noisy("a")).await);

shape!(borrowed_result, "└── f\n    └── inside", {
    #[async_trait]
    trait T { async fn f(&self, key: &str) -> Option<&str>; }
    struct S(String);
    #[async_trait]
    impl T for S {
        #[traced(tags(key))]
        async fn f(&self, key: &str) -> Option<&str> {
            pause().await;
            throughline::in_span("inside", || ());
            self.0.strip_prefix(key)
        }
    }
}, block S("text".into()).f("t").await.map(str::to_owned));
