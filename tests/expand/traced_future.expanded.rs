// What the compiler gets for `traced_future.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use std::pin::Pin;
use throughline::traced;
fn later(no: u64) -> impl Future<Output = u64> {
    ::throughline::__private::start_untagged(
            &const {
                ::throughline::__private::callsite(
                    "later",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::later"
                    ),
                )
            },
        )
        .run_async_with(
            move || -> _ {
                {
                    let no = no;
                    '__body: { async move { no } }
                }
            },
            move |__result: &u64| ::throughline::__private::inspect(__result).__display(),
        )
}
fn boxed<'a>(text: &'a str) -> Pin<Box<dyn Future<Output = usize> + Send + 'a>> {
    ::throughline::__private::Box::pin(
        ::throughline::__private::start_untagged(
                &const {
                    ::throughline::__private::callsite(
                        "boxed",
                        ::throughline::__private::concat!(
                            ::throughline::__private::module_path!(), "::boxed"
                        ),
                    )
                },
            )
            .run_async_with(
                move || -> Pin<Box<dyn Future<Output = usize> + Send + 'a>> {
                    Box::pin(async move { text.len() })
                },
                move |__result| ::throughline::__private::inspect(__result).__display(),
            ),
    )
}
struct Orders<T>(T);
impl<T: Send + 'static> Orders<T> {
    fn first(self) -> Pin<Box<dyn Future<Output = Option<T>> + Send>> {
        Box::pin(
            ::throughline::__private::start_untagged(
                    &const {
                        ::throughline::__private::callsite(
                            "first",
                            ::throughline::__private::concat!(
                                ::throughline::__private::module_path!(), "::first"
                            ),
                        )
                    },
                )
                .run_async_with(
                    move || {
                        let _ = &self;
                        match () {
                            () => {
                                let first = self.0;
                                async move { Some(first) }
                            }
                        }
                    },
                    move |__result: &Option<T>| {
                        ::throughline::__private::inspect(__result).__display()
                    },
                ),
        )
    }
}
