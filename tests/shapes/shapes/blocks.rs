//! Functions with spans above and below.

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;

use super::harness::{Noisy, both, pause, shape};

both!(
    children,
    "└── f\n    ├── g\n    └── g",
    {
        #[traced]
        fn g(n: u8) -> u8 {
            n
        }
    },
    {
        fn f(n: u8) -> u8 {
            let n = g(n);
            pause!();
            g(n)
        }
    },
    f(1)
);

shape!(children_async, "└── f\n    ├── g\n    │   └── h\n    └── h", {
    #[traced] async fn f(a: Noisy) -> u8 { g(1, Noisy("of g")).await + h(2).await }
    #[traced] async fn g(n: u8, a: Noisy) -> u8 { pause().await; h(n).await }
    #[traced] async fn h(n: u8) -> u8 { pause().await; n }
}, future f(Noisy("a")));

// A context that the body attaches is detached at the end of the body.
shape!(
    a_guard_of_the_body,
    "f",
    {
        #[traced]
        fn f(a: Noisy) -> u8 {
            let guard = Context::current_with_value(1u8).attach();
            1
        }
    },
    f(Noisy("a"))
);

shape!(
    a_returned_guard,
    "f",
    {
        #[traced]
        fn f(a: Noisy) -> bool {
            let inside = Context::current();
            inside.has_active_span()
        }
    },
    f(Noisy("a")),
    |_inside| ()
);

// The destructors of the arguments run in the span.
both!(
    spans_of_destructors,
    "└── f\n    ├── first\n    └── second",
    {
        struct Second;
        impl Drop for Second {
            fn drop(&mut self) {
                second()
            }
        }
        struct First;
        impl Drop for First {
            fn drop(&mut self) {
                first()
            }
        }
        #[traced]
        fn first() {}
        #[traced]
        fn second() {}
    },
    {
        fn f(a: Second, (_, b): (First, u8)) -> u8 {
            pause!();
            b
        }
    },
    f(Second, (First, 1))
);
