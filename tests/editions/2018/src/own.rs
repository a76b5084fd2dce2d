//! What only edition 2018 takes.

use std::future::Future;

use crate::shapes::harness::{Noisy, pause, shape};

shape!(
    objects_without_dyn,
    "f",
    {
        #[traced]
        #[allow(bare_trait_objects, unused_variables, reason = "this is how it was written")]
        fn f(show: Box<std::fmt::Display>, a: Noisy) -> Box<std::fmt::Debug> {
            Box::new(show.to_string())
        }
    },
    f(Box::new(7), Noisy("a"))
);

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

shape!(
    words_of_later_editions,
    "try",
    {
        #[traced]
        #[allow(keyword_idents_2024, reason = "a name like any other here")]
        fn r#try(gen: u8) -> u8 {
            gen
        }
    },
    r#try(1)
);
