use quote::quote;

use super::*;

fn of(function: proc_macro2::TokenStream) -> bool {
    recurses(&ItemFn::parse(function).unwrap())
}

#[test]
fn every_way_through_calls_itself() {
    assert!(of(quote!(
        fn f() {
            f()
        }
    )));
    assert!(of(quote!(
        fn f(n: u8) -> u8 {
            if n == 0 { f(1) } else { 1 + f(0) }
        }
    )));
    assert!(of(quote!(
        fn f(n: u8) -> u8 {
            match n {
                0 => f(1),
                _ => {
                    let n = f(0);
                    return n;
                }
            }
        }
    )));
    assert!(of(quote!(
        fn f(n: u8) -> u8 {
            if n == 0 { panic!() } else { f(0) }
        }
    )));
    assert!(of(quote!(
        fn f(&self) {
            self.f()
        }
    )));
    assert!(of(quote!(
        fn f(&self) {
            Self::f(self)
        }
    )));
    assert!(of(quote!(
        fn f() -> Result<(), ()> {
            f()?;
            Ok(())
        }
    )));
    assert!(of(quote!(
        fn eq(&self, other: &Self) -> bool {
            *self == *other
        }
    )));
    assert!(of(quote!(
        fn neg(self) -> Self {
            -self
        }
    )));
}

#[test]
fn there_is_a_way_out() {
    assert!(!of(quote!(
        fn f() {}
    )));
    assert!(!of(quote!(
        fn f(n: u8) -> u8 {
            if n == 0 { 0 } else { f(n - 1) }
        }
    )));
    assert!(!of(quote!(
        fn f(n: u8) -> u8 {
            if n == 0 {
                return 0;
            }
            f(n - 1)
        }
    )));
    assert!(!of(quote!(
        fn f(n: Option<u8>) -> Option<u8> {
            f(Some(n?))
        }
    )));
    assert!(!of(quote!(
        fn f(n: bool) -> bool {
            n && f(n)
        }
    )));
    assert!(!of(quote!(
        fn f(n: u8) {
            for _ in 0..n {
                f(0)
            }
        }
    )));
    assert!(!of(quote!(
        fn f() {
            let later = || f();
        }
    )));
    assert!(!of(quote!(
        fn f(&self) {
            self.0.f()
        }
    )));
    assert!(!of(quote!(
        fn f(&self) {
            f(self)
        }
    )));
    assert!(!of(quote!(
        fn new() -> Self {
            Self(Inner::new())
        }
    )));
    assert!(!of(quote!(
        fn abort() -> ! {
            std::process::abort();
            panic!()
        }
    )));
}
