// What the compiler gets for `crate_path.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use throughline as telemetry;
fn place(order_no: u64) -> u64 {
    throughline::__private::enter_untagged(
            &const {
                throughline::__private::callsite(
                    "place",
                    throughline::__private::concat!(
                        throughline::__private::module_path!(), "::place"
                    ),
                )
            },
        )
        .__run(
            move || -> u64 {
                let order_no = order_no;
                match () {
                    () => order_no,
                }
            },
            move |__result| throughline::__private::inspect(__result).__display(),
        )
}
