//! What edition 2021 takes, and edition 2024 does not take or takes otherwise.

use std::future::Future;

use crate::shapes::harness::{Noisy, pause, shape};

shape!(
    unsafe_body,
    "f",
    {
        #[traced]
        unsafe fn f(pointer: *const u8) -> u8 {
            *pointer
        }
    },
    unsafe { f(&1) }
);

shape!(unsafe_body_async, "f", {
    #[traced]
    async unsafe fn f(pointer: *const u8) -> u8 { pause().await; *pointer }
}, future unsafe { f(&1) });

// The future does not borrow, which was the default before edition 2024.
shape!(future_that_does_not_borrow, "f", {
    #[traced]
    fn f<'a>(text: &'a str, a: Noisy) -> impl Future<Output = usize> where 'a: 'a { let n = text.len(); async move { pause().await; n + a.0.len() } }
}, started { let text = String::from("text"); f(&text, Noisy("a")) });

shape!(
    words_of_later_editions,
    "f",
    {
        #[traced]
        #[allow(keyword_idents_2024, reason = "a name like any other here")]
        fn f(gen: u8) -> u8 {
            gen
        }
    },
    f(1)
);
