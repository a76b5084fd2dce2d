// What the compiler gets for `biz_tags_alone_sync.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use throughline::biz_tags;
fn place(tenant_id: &str, order_no: u64) -> u64 {
    ::throughline::__private::tags()
        .start_with(|__tags| {
            __tags.scope_value("tenant_id", &tenant_id);
            __tags.scope_value("order_no", &order_no);
        })
        .__run(
            move || -> u64 {
                let order_no = order_no;
                let _ = &order_no;
                match () {
                    () => order_no + tenant_id.len() as u64,
                }
            },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
}
