// What the compiler gets for `biz_tags_alone_async.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use throughline::biz_tags;
fn place(
    tenant_id: String,
    order_no: u64,
) -> impl ::throughline::__private::Future<Output = Result<u64, String>> {
    ::throughline::__private::future(
        move || {
            let _ = (&tenant_id, &order_no);
            (
                ::throughline::__private::tags()
                    .start_with(|__tags| {
                        __tags.scope_value("tenant_id", &tenant_id);
                        __tags.scope_value("order_no", &order_no);
                    }),
                ::throughline::__private::with_output(
                    || -> Result<u64, String> { ::throughline::__private::returns() },
                    async move {
                        let (tenant_id, order_no) = (tenant_id, order_no);
                        let (_, _) = (&tenant_id, &order_no);
                        if false {
                            let __returned: Result<u64, String> = ::throughline::__private::returns();
                            return __returned;
                        }
                        match () {
                            () => Ok(order_no + tenant_id.len() as u64),
                        }
                    },
                ),
            )
        },
        move |__result| ::throughline::__private::inspect(__result).__display(),
    )
}
