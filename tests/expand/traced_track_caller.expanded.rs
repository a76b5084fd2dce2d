// What the compiler gets for `traced_track_caller.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use std::panic::Location;
use throughline::traced;
#[track_caller]
fn caller() -> u32 {
    let __span = ::throughline::__private::start_untagged(
            &const {
                ::throughline::__private::callsite(
                    "caller",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::caller"
                    ),
                )
            },
        )
        .enter();
    __span
        .exit(
            match () {
                () if true => Location::caller().line(),
                () => ::throughline::__private::returns(),
            },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
}
