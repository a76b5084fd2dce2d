// What the compiler gets for `traced_async.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use throughline::traced;
async fn place(
    tenant_id: String,
    order_no: u64,
) -> Result<u64, std::num::ParseIntError> {
    ::throughline::__private::span(
            &const {
                ::throughline::__private::callsite(
                    "place",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::place"
                    ),
                )
            },
        )
        .start_with(|_| {})
        .run_async(
            async move {
                let (tenant_id, order_no) = (tenant_id, order_no);
                if false {
                    return ::throughline::__private::returns::<
                        Result<u64, std::num::ParseIntError>,
                    >();
                }
                match () {
                    () => {
                        let shard: u64 = tenant_id.parse()?;
                        Ok(shard + order_no)
                    }
                }
            },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
        .await
}
async fn ping() {
    ::throughline::__private::span(
            &const {
                ::throughline::__private::callsite(
                    "ping",
                    ::throughline::__private::concat!(
                        ::throughline::__private::module_path!(), "::ping"
                    ),
                )
            },
        )
        .start_with(|_| {})
        .run_async(
            async move {
                if false {
                    return ::throughline::__private::returns::<()>();
                }
                match () {
                    () => {}
                }
            },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
        .await
}
