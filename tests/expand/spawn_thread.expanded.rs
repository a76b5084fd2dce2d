// What the compiler gets for `spawn_thread.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use throughline::traced_spawn;
#[track_caller]
#[allow(
    clippy::must_use_candidate,
    clippy::async_yields_async,
    reason = "dropping the handle detaches the job, and its output may be a future"
)]
fn watch(path: String) -> ::throughline::__private::ThreadHandle<usize> {
    ::throughline::__private::span(
            &const {
                ::throughline::__private::callsite(
                    "watch",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::watch"
                    ),
                )
            },
        )
        .detached_root()
        .start_with(|_| {})
        .spawn_thread(
            "watch",
            move || -> ::throughline::__private::Returned<usize> {
                #[allow(
                    clippy::shadow_reuse,
                    clippy::shadow_same,
                    reason = "arguments move into the body"
                )]
                let path = path;
                match () {
                    () => path.len(),
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
