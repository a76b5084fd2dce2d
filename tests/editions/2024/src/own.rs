//! What only edition 2024 takes.

use crate::shapes::harness::{Noisy, pause, shape};

shape!(a_future_in_a_future, "f", {
    #[traced]
    async fn f(a: Noisy) -> impl Future<Output = usize> { pause().await; async move { a.0.len() } }
}, block f(Noisy("a")).await.await);

shape!(future_that_borrows_by_itself, "f", {
    #[traced]
    fn f(text: &str, a: Noisy) -> impl Future<Output = usize> { async move { pause().await; text.len() + a.0.len() } }
}, block { let text = String::from("text"); f(&text, Noisy("a")).await });

shape!(async_closures, "f", {
    #[traced]
    async fn f(g: impl AsyncFn(&str) -> usize, a: Noisy) -> usize { g(a.0).await }
}, future f(async |text: &str| { pause().await; text.len() }, Noisy("a")));

shape!(precise_capturing, "f", {
    #[traced]
    fn f<T>(text: &str, t: T) -> impl Future<Output = T> + use<T> { let n = text.len(); async move { pause().await; drop(n.to_string()); t } }
}, started { let text = String::from("text"); f(&text, 1) });
