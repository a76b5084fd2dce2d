// What the compiler gets for `traced_sync.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use throughline::traced;
struct Order {
    lines: Vec<u64>,
}
fn total(order: Order, discount: u64) -> u64 {
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
            move || -> u64 {
                let (order, discount) = (order, discount);
                match () {
                    () => {
                        let sum: u64 = order.lines.iter().sum();
                        sum - discount
                    }
                }
            },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
}
fn lines(order: &Order) -> usize {
    ::throughline::__private::enter_untagged(
            &const {
                ::throughline::__private::callsite(
                    "lines",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::lines"
                    ),
                )
            },
        )
        .__run(
            move || -> usize { order.lines.len() },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
}
