// What the compiler gets for `traced_never.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use throughline::traced;
fn stop(code: i32) -> ! {
    ::throughline::__private::enter_untagged(
            &const {
                ::throughline::__private::callsite(
                    "stop",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::stop"
                    ),
                )
            },
        )
        .__run(
            move || -> ! {
                let code = code;
                match () {
                    () => std::process::exit(code),
                }
            },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
}
async fn serve(port: u16) -> ! {
    match ::throughline::__private::start_untagged(
            &const {
                ::throughline::__private::callsite(
                    "serve",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::serve"
                    ),
                )
            },
        )
        .run_async(
            async move {
                let port = port;
                if false {
                    return ::throughline::__private::returns::<
                        ::throughline::__private::Infallible,
                    >();
                }
                match () {
                    () => {
                        loop {
                            let _ = port;
                            tokio::task::yield_now().await;
                        }
                    }
                }
            },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
        .await
    {}
}
