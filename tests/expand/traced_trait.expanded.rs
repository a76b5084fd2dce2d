// What the compiler gets for `traced_trait.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use throughline::traced;
trait Describe {
    fn text(&self) -> String;
    fn length(&self) -> usize {
        ::throughline::__private::enter_untagged(
                &const {
                    ::throughline::__private::callsite(
                        "length",
                        ::throughline::__private::concat!(
                            ::throughline::__private::module_path!(), "::length"
                        ),
                    )
                },
            )
            .__run(
                move || -> usize { self.text().len() },
                move |__result| ::throughline::__private::inspect(__result).__display(),
            )
    }
}
