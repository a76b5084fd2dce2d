// What the compiler gets for `for_clippy.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use throughline::{biz_tags, traced};
#[cfg(clippy)]
fn total(prices: &Vec<u64>) -> u64 {
    prices.iter().sum()
}
#[cfg(not(clippy))]
fn total(prices: &Vec<u64>) -> u64 {
    ::throughline::__private::enter_untagged(
            &const {
                ::throughline::__private::callsite(
                    "total",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::total"
                    ),
                )
            },
        )
        .__run(
            move || -> u64 { prices.iter().sum() },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
}
#[cfg(any(clippy, doc))]
async fn charge((order_no, _): (u64, String)) -> u64 {
    ::throughline::__private::compiled(|| ::throughline::__private::start(
        &const {
            ::throughline::__private::callsite(
                    "charge",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::charge"
                    ),
                )
                .with_scoped_tags()
        },
        |__tags| {
            __tags.scope_value("order_no", &order_no);
        },
    ));
    order_no
}
#[cfg(not(any(clippy, doc)))]
fn charge(__arg0: (u64, String)) -> impl ::throughline::__private::Future<Output = u64> {
    ::throughline::__private::future(
        move || {
            (
                ::throughline::__private::start(
                    &const {
                        ::throughline::__private::callsite(
                                "charge",
                                ::throughline::__private::concat!(
                                    ::throughline::__private::module_path!(), "::charge"
                                ),
                            )
                            .with_scoped_tags()
                    },
                    |__tags| {
                        let (order_no, _) = &__arg0;
                        let _ = &order_no;
                        __tags.scope_value("order_no", &order_no);
                    },
                ),
                ::throughline::__private::with_output(
                    || -> u64 { ::throughline::__private::returns() },
                    async move {
                        let __arg0 = __arg0;
                        let (order_no, _) = __arg0;
                        let _ = order_no;
                        if false {
                            let __returned: u64 = ::throughline::__private::returns();
                            return __returned;
                        }
                        match () {
                            () => order_no,
                        }
                    },
                ),
            )
        },
        move |__result| ::throughline::__private::inspect(__result).__display(),
    )
}
