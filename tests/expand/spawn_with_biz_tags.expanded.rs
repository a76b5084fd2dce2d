// What the compiler gets for `spawn_with_biz_tags.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use std::sync::Arc;
use throughline::{biz_tags, traced_spawn};
struct Orders {
    tenant_id: String,
}
impl Orders {
    #[track_caller]
    #[allow(
        clippy::must_use_candidate,
        clippy::async_yields_async,
        reason = "dropping the handle detaches the job, and its output may be a future"
    )]
    fn receipt(
        self: Arc<Self>,
        order_no: u64,
    ) -> ::throughline::__private::JoinHandle<u64> {
        ::throughline::__private::span(
                &const {
                    ::throughline::__private::callsite(
                            "receipt",
                            ::throughline::__private::concat!(
                                ::throughline::__private::module_path!(), "::receipt"
                            ),
                        )
                        .kind(::throughline::__private::SpanKind::Consumer)
                        .with_scoped_tags()
                },
            )
            .detached()
            .start_with(|__tags| {
                __tags
                    .collect(
                        "tenant_id",
                        true,
                        |__tags| ::throughline::__private::put(
                            __tags,
                            "tenant_id",
                            true,
                            &self.tenant_id,
                        ),
                    );
                __tags.scope_value("order_no", &order_no);
            })
            .spawn(
                async move {
                    #[allow(
                        clippy::shadow_reuse,
                        clippy::shadow_same,
                        reason = "arguments move into the body"
                    )]
                    let (_, order_no) = (&self, order_no);
                    let _ = &order_no;
                    if false {
                        return ::throughline::__private::returns::<u64>();
                    }
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
