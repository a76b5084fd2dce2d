// What the compiler gets for `patterns.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use throughline::{biz_tags, traced};
struct Path<T>(T);
struct Order {
    no: u64,
    lines: Vec<u64>,
}
fn count(total: u64, more: u64) -> u64 {
    ::throughline::__private::enter_untagged(
            &const {
                ::throughline::__private::callsite(
                    "count",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::count"
                    ),
                )
            },
        )
        .__run(
            move || -> u64 {
                let (mut total, more) = (total, more);
                match () {
                    () => {
                        total += more;
                        total
                    }
                }
            },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
}
fn whole(Path(tenant_id): Path<String>, (a, b): (u64, u64)) -> u64 {
    ::throughline::__private::tags()
        .start_with(|__tags| {
            __tags.scope_value("tenant_id", &tenant_id);
        })
        .__run(
            move || -> u64 {
                let (tenant_id, a, b) = (tenant_id, a, b);
                let _ = &tenant_id;
                match () {
                    () => a + b + tenant_id.len() as u64,
                }
            },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
}
fn part(__arg0: Order, __arg1: String, __arg2: (u64, String)) -> u64 {
    ::throughline::__private::enter(
            &const {
                ::throughline::__private::callsite(
                    "part",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::part"
                    ),
                )
            },
            |__tags| {
                let Order { no, lines } = &__arg0;
                let _ = &no;
                let _ = &lines;
                __tags.add_value("no", &no);
            },
        )
        .__run(
            move || -> u64 {
                let __arg0 = __arg0;
                let Order { no, mut lines } = __arg0;
                let _ = no;
                let __arg1 = __arg1;
                let __arg2 = __arg2;
                let (first, _) = __arg2;
                match () {
                    () => {
                        lines.push(first);
                        no + lines.len() as u64
                    }
                }
            },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
}
impl Order {
    fn close(self, note: String) -> usize {
        ::throughline::__private::enter_untagged(
                &const {
                    ::throughline::__private::callsite(
                        "close",
                        ::throughline::__private::concat!(
                            ::throughline::__private::module_path!(), "::close"
                        ),
                    )
                },
            )
            .__run(
                move || -> usize {
                    let (_, note) = (&self, note);
                    match () {
                        () => {
                            drop(note);
                            self.lines.len()
                        }
                    }
                },
                move |__result| ::throughline::__private::inspect(__result).__display(),
            )
    }
}
