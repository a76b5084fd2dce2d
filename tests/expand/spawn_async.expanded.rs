// What the compiler gets for `spawn_async.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use throughline::traced_spawn;
#[track_caller]
#[allow(
    clippy::must_use_candidate,
    clippy::async_yields_async,
    reason = "dropping the handle detaches the job, and its output may be a future"
)]
fn receipt(order_no: u64) -> ::throughline::__private::JoinHandle<Result<u64, String>> {
    ::throughline::__private::span(
            &const {
                ::throughline::__private::callsite(
                    "receipt",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::receipt"
                    ),
                )
            },
        )
        .detached()
        .start_with(|_| {})
        .spawn_giving(
            async move {
                #[allow(
                    clippy::shadow_reuse,
                    clippy::shadow_same,
                    reason = "arguments move into the body"
                )]
                let order_no = order_no;
                if false {
                    return ::throughline::__private::returns::<Result<u64, String>>();
                }
                match () {
                    () => Ok(order_no),
                }
            },
            move |__result| {
                ::throughline::__private::inspect(__result)
                    .__display()
                    .with_error_chain(
                        ::throughline::__private::inspect(__result).__chain(),
                    )
            },
            ::throughline::__private::gives::<Result<u64, String>>(),
        )
}
#[track_caller]
#[allow(
    clippy::must_use_candidate,
    clippy::async_yields_async,
    reason = "dropping the handle detaches the job, and its output may be a future"
)]
fn poll() -> ::throughline::__private::JoinHandle<()> {
    ::throughline::__private::span(
            &const {
                ::throughline::__private::callsite(
                    "poll prices",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::poll"
                    ),
                )
            },
        )
        .detached_link()
        .start_with(|_| {})
        .spawn(
            async move {
                if false {
                    return ::throughline::__private::returns::<()>();
                }
                match () {
                    () => {
                        tokio::task::yield_now().await;
                    }
                }
            },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
}
