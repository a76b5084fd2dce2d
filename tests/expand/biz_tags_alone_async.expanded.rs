// What the compiler gets for `biz_tags_alone_async.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use throughline::biz_tags;
async fn place(tenant_id: String, order_no: u64) -> Result<u64, String> {
    ::throughline::__private::tags()
        .start_with(|__tags| {
            __tags
                .scope(
                    "tenant_id",
                    || ::throughline::__private::Tag::new(
                        ::throughline::__private::value(&tenant_id),
                    ),
                );
            __tags
                .scope(
                    "order_no",
                    || ::throughline::__private::Tag::new(
                        ::throughline::__private::value(&order_no),
                    ),
                );
        })
        .run_async(
            async move {
                let (tenant_id, order_no) = (tenant_id, order_no);
                let (_, _) = (&tenant_id, &order_no);
                if false {
                    return ::throughline::__private::returns::<Result<u64, String>>();
                }
                match () {
                    () => Ok(order_no + tenant_id.len() as u64),
                }
            },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
        .await
}
