// What the compiler gets for `traced_impl.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use throughline::{traced, traced_spawn};
struct Orders {
    open: Vec<u64>,
}
impl Orders {
    const MAX: usize = 10;
    const fn new() -> Self {
        Self { open: Vec::new() }
    }
    fn add(&mut self, order_no: u64) -> Result<(), String> {
        ::throughline::__private::enter_untagged(
                &const {
                    ::throughline::__private::callsite(
                            "Orders::add",
                            ::throughline::__private::concat!(
                                ::throughline::__private::module_path!(), "::Orders::add"
                            ),
                        )
                        .kind(::throughline::__private::SpanKind::Server)
                },
            )
            .__run(
                move || -> Result<(), String> {
                    let order_no = order_no;
                    match () {
                        () => {
                            if self.open.len() == Self::MAX {
                                return Err("full".to_owned());
                            }
                            self.open.push(order_no);
                            Ok(())
                        }
                    }
                },
                move |__result| ::throughline::__private::inspect(__result).__debug(),
            )
    }
    fn close(self) -> impl ::throughline::__private::Future<Output = usize> {
        ::throughline::__private::future(
            move || {
                (
                    ::throughline::__private::start_untagged(
                        &const {
                            ::throughline::__private::callsite(
                                    "Orders::close",
                                    ::throughline::__private::concat!(
                                        ::throughline::__private::module_path!(), "::Orders::close"
                                    ),
                                )
                                .kind(::throughline::__private::SpanKind::Client)
                        },
                    ),
                    ::throughline::__private::with_output(
                        || -> usize { ::throughline::__private::returns() },
                        async move {
                            let _ = &self;
                            if false {
                                let __returned: usize = ::throughline::__private::returns();
                                return __returned;
                            }
                            match () {
                                () => self.open.len(),
                            }
                        },
                    ),
                )
            },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
    }
    #[track_caller]
    #[allow(
        clippy::must_use_candidate,
        clippy::async_yields_async,
        reason = "dropping the handle detaches the job, and its output may be a future"
    )]
    fn audit(order_no: u64) -> ::throughline::__private::JoinHandle<u64> {
        ::throughline::__private::span(
                &const {
                    ::throughline::__private::callsite(
                        "Orders::audit",
                        ::throughline::__private::concat!(
                            ::throughline::__private::module_path!(), "::Orders::audit"
                        ),
                    )
                },
            )
            .detached()
            .start_with(|_| {})
            .spawn_blocking(
                move || -> ::throughline::__private::Returned<u64> {
                    #[allow(
                        clippy::shadow_reuse,
                        clippy::shadow_same,
                        reason = "arguments move into the body"
                    )]
                    let order_no = order_no;
                    match () {
                        () => order_no,
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
}
