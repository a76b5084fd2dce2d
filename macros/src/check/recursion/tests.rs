use quote::quote;

use super::*;

fn of(function: proc_macro2::TokenStream) -> bool {
    recurses(&ItemFn::parse(function).unwrap())
}

#[test]
fn every_path_calls_the_function_itself() {
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
fn calls_are_found_in_every_expression() {
    for body in [
        "f() as u8;",
        "f().0;",
        "f().await;",
        "f().g();",
        "f()();",
        "g(1, f());",
        "g.h(f());",
        "f() && g();",
        "g() + f();",
        "g += f();",
        "g = f();",
        "f().g = 1;",
        "-f();",
        "&f();",
        "&raw const f();",
        "(f());",
        "(1, f());",
        "[1, f()];",
        "f()[0];",
        "g[f()];",
        "f()..1;",
        "0..f();",
        "G { g: f() };",
        "G { g: 1, ..f() };",
        "unsafe { f() }",
        "{ f() }",
        "if f() {}",
        "if let 1 = f() {}",
        "if g { f() } else if h { f() } else { panic!() }",
        "match f() {}",
        "match g { 1 => f(), _ => unreachable!() }",
        "for _ in f() {}",
        "while f() {}",
        "loop { f() }",
        "return f();",
        "f()?;",
        "let g = f();",
        "let Some(g) = f() else { return };",
        "let Some(g) = h else { f() }; f()",
        "fn g() {} f()",
    ] {
        let body: proc_macro2::TokenStream = body.parse().unwrap();
        assert!(of(quote!(fn f() { #body })), "{body}");
    }
}

#[test]
fn operators_call_their_methods() {
    let symbols = "+ - * / % & | ^ << >> == != < <= > >= ! - += -= *= /= %= &= |= ^= <<= >>=";
    assert_eq!(symbols.split(' ').count(), OPERATORS.len());
    for (symbol, method) in symbols.split(' ').zip(OPERATORS) {
        let (left, right) = if ["not", "neg"].contains(method) { ("", "self") } else { ("*self", "other") };
        for (name, expected) in [(*method, true), ("other", false)] {
            let function = format!("fn {name}(self, other: Self) {{ {left} {symbol} {right}; }}");
            assert_eq!(of(function.parse().unwrap()), expected, "{function}");
        }
    }
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

#[test]
fn ways_out_precede_a_call() {
    for body in [
        "loop { g() } f()",
        "loop { break } f()",
        "while g() {} f()",
        "while g() { f() }",
        "g()?; f()",
        "if g() { return } f()",
        "let Some(g) = h else { return }; f()",
        "match g { 1 => return, _ => f() }",
        "match g { 1 => f(), _ => 2 };",
        "if g { f() }",
        "g || f();",
        "async { f() };",
        "self.f();",
        "Other::f();",
        "a::Self::f();",
    ] {
        let body: proc_macro2::TokenStream = body.parse().unwrap();
        assert!(!of(quote!(fn f() { #body })), "{body}");
    }
}
