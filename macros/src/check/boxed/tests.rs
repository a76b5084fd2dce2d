use quote::quote;

use super::*;
use crate::item_fn::Returns;

fn of(function: proc_macro2::TokenStream, of_impl: Option<&[&str]>) -> bool {
    let item = ItemFn::parse(function).unwrap();
    let Returns::Value(ty) = item.returns() else { panic!("the function returns nothing") };
    let of_impl: Option<Vec<Ident>> =
        of_impl.map(|names| names.iter().map(|name| Ident::new(name, proc_macro2::Span::call_site())).collect());
    can_be_boxed_again(&item, ty, of_impl.as_deref())
}

#[test]
fn a_future_is_boxed_again_if_all_its_types_outlive_the_box() {
    assert!(of(
        quote!(
            fn f() -> Pin<Box<dyn Future<Output = Result<Vec<u8>, Error>> + Send>> {}
        ),
        None
    ));
    assert!(of(
        quote!(
            fn f<T: 'static>() -> Pin<Box<dyn Future<Output = T>>> {}
        ),
        None
    ));
    assert!(of(
        quote!(
            fn f<'a, T>(t: &'a [T]) -> Pin<Box<dyn Future<Output = T> + 'a>> {}
        ),
        None
    ));
    assert!(of(
        quote!(
            fn f<'a, T>() -> BoxFuture<'a, T>
            where
                T: 'a,
            {
            }
        ),
        None
    ));
    assert!(of(
        quote!(
            fn f(&self) -> BoxFuture<'_, T> {}
        ),
        None
    ));
    assert!(of(
        quote!(
            fn f<'a>(&'a mut self) -> BoxFuture<'a, Result<Self::Row, &'a str>> {}
        ),
        None
    ));
    assert!(of(
        quote!(
            fn f(self: &Arc<Self>) -> BoxFuture<'_, T> {}
        ),
        None
    ));
    assert!(of(
        quote!(
            fn f<'a>(self: Pin<&'a mut Self>) -> BoxFuture<'a, Self::Row> {}
        ),
        None
    ));
    assert!(of(
        quote!(
            fn f<'a, 'b: 'a>() -> BoxFuture<'a, &'b str> {}
        ),
        None
    ));
    assert!(of(
        quote!(
            fn f() -> BoxFuture<'static, Result<Self::Row, Req>> {}
        ),
        Some(&[])
    ));
}

#[test]
fn a_future_is_not_boxed_again_if_a_type_may_not_outlive_the_box() {
    assert!(!of(
        quote!(
            fn f<U>(b: Pin<Box<dyn Future<Output = U>>>) -> Pin<Box<dyn Future<Output = U>>> {}
        ),
        None
    ));
    assert!(!of(
        quote!(
            fn f(&self) -> Pin<Box<dyn Future<Output = Result<T, E>>>> {}
        ),
        None
    ));
    assert!(!of(
        quote!(
            fn f(self: Arc<Self>) -> BoxFuture<'static, T> {}
        ),
        None
    ));
    assert!(!of(
        quote!(
            fn f(&self) -> BoxFuture<'static, Self::Row> {}
        ),
        None
    ));
    assert!(!of(
        quote!(
            fn f(&self) -> BoxFuture<'static, <S as Service<R>>::Response> {}
        ),
        None
    ));
    assert!(!of(
        quote!(
            fn f(&self) -> BoxFuture<'static, Option<Req>> {}
        ),
        Some(&["Req"])
    ));
    assert!(!of(
        quote!(
            fn f<'a, 'b>() -> BoxFuture<'a, &'b str> {}
        ),
        None
    ));
    assert!(!of(
        quote!(
            fn f(text: &str) -> Pin<Box<dyn Future<Output = &str>>> {}
        ),
        None
    ));
    assert!(!of(
        quote!(
            fn f() -> Pin<Box<dyn Future<Output = u8> + UnwindSafe>> {}
        ),
        None
    ));
}

#[test]
fn parameters_of_a_block_without_a_static_bound_may_borrow() {
    let block: syn::ItemImpl = syn::parse_quote!(
        impl<'a, A, B: 'static, C: Copy, const N: usize> X for Y<A, B, C> where C: 'static {}
    );
    let names: Vec<_> = may_borrow(&block).iter().map(ToString::to_string).collect();
    assert_eq!(names, ["A"]);
}

#[test]
fn a_type_with_a_lifetime_may_borrow() {
    for (header, expected) in [
        ("impl<'a> A<'a> {}", true),
        ("impl A<'_> {}", true),
        ("impl<'a> Clone for &'a A {}", true),
        ("impl Clone for &A {}", true),
        ("impl A<'static> {}", false),
        ("impl<'a> From<&'a str> for A {}", false),
    ] {
        let names = may_borrow(&syn::parse_str(header).unwrap());
        assert_eq!(names.iter().any(|name| name == "Self"), expected, "{header}");
    }
    // Without an argument, the box is `'static`, but the `Self` in it borrows for the block's lifetime.
    for (function, expected) in [
        (
            quote!(
                fn f() -> BoxFuture<'static, Self> {}
            ),
            false,
        ),
        (
            quote!(
                fn f() -> Pin<Box<dyn Future<Output = Result<Self, Error>>>> {}
            ),
            false,
        ),
        (
            quote!(
                fn f(self) -> BoxFuture<'a, Self> {}
            ),
            true,
        ),
        (
            quote!(
                fn f(&self) -> BoxFuture<'_, Self> {}
            ),
            true,
        ),
        (
            quote!(
                fn f(&self) -> BoxFuture<'static, Self::Response> {}
            ),
            true,
        ),
        (
            quote!(
                fn f(self) -> BoxFuture<'static, u8> {}
            ),
            true,
        ),
    ] {
        assert_eq!(of(function.clone(), Some(&["Self"])), expected, "{function}");
        assert!(of(function, Some(&[])));
    }
}
