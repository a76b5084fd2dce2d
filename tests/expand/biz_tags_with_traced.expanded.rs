// What the compiler gets for `biz_tags_with_traced.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use throughline::{biz_tags, traced};
fn below(tenant_id: &str, attempt: u32) -> usize {
    ::throughline::__private::enter(
            &const {
                ::throughline::__private::callsite(
                        "below",
                        ::throughline::__private::concat!(
                            ::throughline::__private::module_path!(), "::below"
                        ),
                    )
                    .with_scoped_tags()
            },
            |__tags| {
                __tags.add_value("attempt", &attempt);
                __tags.scope_value("tenant_id", &tenant_id);
            },
        )
        .__run(
            move || -> usize {
                let attempt = attempt;
                let _ = &attempt;
                match () {
                    () => tenant_id.len() + attempt as usize,
                }
            },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
}
fn above(tenant_id: &str, attempt: u32) -> usize {
    ::throughline::__private::enter(
            &const {
                ::throughline::__private::callsite(
                        "above",
                        ::throughline::__private::concat!(
                            ::throughline::__private::module_path!(), "::above"
                        ),
                    )
                    .with_scoped_tags()
            },
            |__tags| {
                __tags.add_value("attempt", &attempt);
                __tags.scope_value("tenant_id", &tenant_id);
            },
        )
        .__run(
            move || -> usize {
                let attempt = attempt;
                let _ = &attempt;
                match () {
                    () => tenant_id.len() + attempt as usize,
                }
            },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
}
