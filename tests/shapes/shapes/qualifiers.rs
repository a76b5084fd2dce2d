//! `unsafe`, `extern`, visibilities and names.

use super::harness::{Noisy, both, pause, shape};

shape!(
    unsafe_function,
    "f",
    {
        #[traced]
        unsafe fn f(pointer: *const u8, a: Noisy) -> u8 {
            unsafe { *pointer }
        }
    },
    unsafe { f(&1, Noisy("a")) }
);

shape!(unsafe_async, "f", {
    #[traced]
    async unsafe fn f(pointer: *const u8, a: Noisy) -> u8 { pause().await; unsafe { *pointer } }
}, future unsafe { f(&1, Noisy("a")) });

shape!(
    unsafe_method,
    "f",
    {
        struct S(u8);
        impl S {
            #[traced]
            unsafe fn f(&self) -> u8 {
                unsafe { *(&raw const self.0) }
            }
        }
    },
    unsafe { S(1).f() }
);

shape!(
    extern_c,
    "f",
    {
        #[traced]
        extern "C" fn f(n: u8) -> u8 {
            n + 1
        }
    },
    {
        let pointer: extern "C" fn(u8) -> u8 = f;
        pointer(1)
    }
);

shape!(
    extern_without_abi,
    "f",
    {
        #[traced]
        #[rustfmt::skip]
        pub(crate) extern fn f(n: u8) -> u8 {
            n + 1
        }
    },
    f(1)
);

shape!(
    unsafe_extern_c,
    "f",
    {
        #[traced]
        unsafe extern "C" fn f(n: *const u8) -> u8 {
            unsafe { *n }
        }
    },
    {
        let pointer: unsafe extern "C" fn(*const u8) -> u8 = f;
        unsafe { pointer(&4) }
    }
);

shape!(
    extern_c_unwind,
    "f !panicked: through C",
    {
        #[traced]
        extern "C-unwind" fn f(a: u8) -> u8 {
            panic!("through C")
        }
    },
    f(1)
);

shape!(
    visibilities,
    "├── a\n├── b\n├── c\n├── d\n└── e",
    {
        mod inner {
            use super::traced;
            #[traced]
            pub fn a(n: u8) -> u8 {
                n
            }
            #[traced]
            pub(crate) fn b(n: u8) -> u8 {
                n
            }
            #[traced]
            pub(super) fn c(n: u8) -> u8 {
                n
            }
            #[traced]
            pub(in crate::shapes) fn d(n: u8) -> u8 {
                n
            }
            #[traced]
            pub(self) fn e(n: u8) -> u8 {
                n
            }
            pub(super) fn all() -> u8 {
                a(1) + b(2) + c(3) + d(4) + e(5)
            }
        }
    },
    inner::all()
);

shape!(visibilities_async, "├── a\n└── b", {
    mod inner {
        use super::{pause, traced};
        #[traced] pub async fn a(n: u8) -> u8 { pause().await; n }
        #[traced] pub(in super::super) async fn b(n: u8) -> u8 { n }
    }
}, block inner::a(1).await + inner::b(2).await);

shape!(
    raw_names,
    "├── type\n└── match",
    {
        #[traced]
        fn r#type(n: u8) -> u8 {
            n
        }
        #[traced]
        fn r#match(r#mod: u8) -> u8 {
            r#mod
        }
    },
    r#type(1) + r#match(2)
);

shape!(raw_name_async, "async", {
    #[traced] async fn r#async(r#await: u8) -> u8 { pause().await; r#await }
}, future r#async(1));

shape!(
    other_scripts,
    "größe",
    {
        #[traced]
        fn größe(zähler: u8) -> u8 {
            zähler
        }
    },
    größe(1)
);

shape!(
    inside_a_function,
    "└── outer_function\n    └── inner_function",
    {
        #[traced]
        fn outer_function(n: u8) -> u8 {
            #[traced]
            fn inner_function(n: u8) -> u8 {
                n + 1
            }
            inner_function(n)
        }
    },
    outer_function(1)
);

shape!(
    inside_a_block,
    "f",
    {
        fn plain() -> u8 {
            let n = 1;
            {
                #[traced]
                fn f(n: u8) -> u8 {
                    n + 1
                }
                f(n)
            }
        }
    },
    plain()
);

shape!(
    inside_a_constant,
    "f",
    {
        const F: fn(u8) -> u8 = {
            #[traced]
            fn f(n: u8) -> u8 {
                n + 1
            }
            f
        };
    },
    F(1)
);

both!(
    name_of_an_item,
    "span",
    {
        fn callsite() {}
        mod __private {}
        const CALLSITE: u8 = 1;
    },
    {
        fn span(n: u8) -> u8 {
            pause!();
            callsite();
            n + CALLSITE
        }
    },
    span(1)
);

// A forgotten argument is not dropped by generated code either.
both!(
    forgotten,
    "f",
    {},
    {
        fn f(a: Noisy, b: Noisy) {
            pause!();
            std::mem::forget(a);
        }
    },
    f(Noisy("a"), Noisy("b"))
);
