// What the compiler gets for `spawn_local.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use std::rc::Rc;
use throughline::traced_spawn;
#[track_caller]
#[allow(
    clippy::must_use_candidate,
    clippy::async_yields_async,
    reason = "dropping the handle detaches the job, and its output may be a future"
)]
fn render(page: Rc<str>) -> ::throughline::__private::JoinHandle<usize> {
    ::throughline::__private::span(
            &const {
                ::throughline::__private::callsite(
                    "render",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::render"
                    ),
                )
            },
        )
        .detached()
        .start_with(|_| {})
        .spawn_local(
            async move {
                #[allow(
                    clippy::shadow_reuse,
                    clippy::shadow_same,
                    reason = "arguments move into the body"
                )]
                let page = page;
                if false {
                    return ::throughline::__private::returns::<usize>();
                }
                match () {
                    () => page.len(),
                }
            },
            move |__result| {
                ::throughline::__private::inspect(__result)
                    .__display()
                    .with_error_chain(
                        ::throughline::__private::inspect(__result).__chain(),
                    )
            },
        )
}
