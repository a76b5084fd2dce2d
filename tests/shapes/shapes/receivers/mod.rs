//! Methods, by their receiver.

/// A method that takes its receiver from a value of the call.
macro_rules! method {
    ($name:ident, { $($function:tt)* }, |$this:ident| $call:expr) => {
        shape!($name, "f", {
            #[derive(Debug)]
            struct S { name: Noisy, n: u8 }
            impl S {
                #[traced]
                $($function)*
            }
        }, { let $this = S { name: Noisy("name"), n: 1 }; $call });
    };
}

/// An asynchronous method that takes its receiver from a value of the call.
macro_rules! async_method {
    ($name:ident, $how:ident, { $($function:tt)* }, |$this:ident| $call:expr) => {
        shape!($name, "f", {
            #[derive(Debug)]
            struct S { name: Noisy, n: u8 }
            impl S {
                #[traced]
                $($function)*
            }
        }, $how { let $this = S { name: Noisy("name"), n: 1 }; $call });
    };
}

mod asynchronous;
mod sync;
