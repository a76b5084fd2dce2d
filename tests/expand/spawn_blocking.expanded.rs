// What the compiler gets for `spawn_blocking.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use throughline::traced_spawn;
use tokio::runtime::Handle;
#[track_caller]
#[allow(
    clippy::must_use_candidate,
    clippy::async_yields_async,
    reason = "dropping the handle detaches the job, and its output may be a future"
)]
fn thumbnail(image: Vec<u8>) -> ::throughline::__private::JoinHandle<usize> {
    {
        ::throughline::__private::takes::<Vec<u8>>();
    }
    ::throughline::__private::span(
            &const {
                ::throughline::__private::callsite(
                    "thumbnail",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::thumbnail"
                    ),
                )
            },
        )
        .detached()
        .start_with(|_| {})
        .spawn_blocking(
            move || -> ::throughline::__private::Returned<usize> {
                #[allow(
                    clippy::shadow_reuse,
                    clippy::shadow_same,
                    reason = "arguments move into the body"
                )]
                let image = image;
                match () {
                    () => image.len(),
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
#[track_caller]
#[allow(
    clippy::must_use_candidate,
    clippy::async_yields_async,
    reason = "dropping the handle detaches the job, and its output may be a future"
)]
fn elsewhere(
    handle: Handle,
    image: Vec<u8>,
) -> ::throughline::__private::JoinHandle<usize> {
    {
        ::throughline::__private::takes::<Handle>();
        ::throughline::__private::takes::<Vec<u8>>();
    }
    ::throughline::__private::span(
            &const {
                ::throughline::__private::callsite(
                    "elsewhere",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::elsewhere"
                    ),
                )
            },
        )
        .detached()
        .start_with(|_| {})
        .spawn_blocking_on(
            &{
                <::throughline::__private::Handle as ::throughline::__private::Clone>::clone(
                    &handle,
                )
            },
            move || -> ::throughline::__private::Returned<usize> {
                #[allow(
                    clippy::shadow_reuse,
                    clippy::shadow_same,
                    reason = "arguments move into the body"
                )]
                let (handle, image) = (handle, image);
                let _ = &handle;
                match () {
                    () => {
                        drop(handle);
                        image.len()
                    }
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
