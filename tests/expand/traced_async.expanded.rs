// What the compiler gets for `traced_async.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use throughline::traced;
fn place(
    tenant_id: String,
    order_no: u64,
) -> impl ::throughline::__private::Future<
    Output = Result<u64, std::num::ParseIntError>,
> {
    ::throughline::__private::future(
        move || {
            let _ = (&tenant_id, &order_no);
            (
                ::throughline::__private::start_untagged(
                    &const {
                        ::throughline::__private::callsite(
                            "place",
                            ::throughline::__private::concat!(
                                ::throughline::__private::module_path!(), "::place"
                            ),
                        )
                    },
                ),
                ::throughline::__private::with_output(
                    || -> Result<u64, std::num::ParseIntError> {
                        ::throughline::__private::returns()
                    },
                    async move {
                        let (tenant_id, order_no) = (tenant_id, order_no);
                        if false {
                            let __returned: Result<u64, std::num::ParseIntError> = ::throughline::__private::returns();
                            return __returned;
                        }
                        match () {
                            () => {
                                let shard: u64 = tenant_id.parse()?;
                                Ok(shard + order_no)
                            }
                        }
                    },
                ),
            )
        },
        move |__result| ::throughline::__private::inspect(__result).__display(),
    )
}
fn ping() -> impl ::throughline::__private::Future<Output = ()> {
    ::throughline::__private::future(
        move || {
            (
                ::throughline::__private::start_untagged(
                    &const {
                        ::throughline::__private::callsite(
                            "ping",
                            ::throughline::__private::concat!(
                                ::throughline::__private::module_path!(), "::ping"
                            ),
                        )
                    },
                ),
                async move {
                    if false {
                        return ::throughline::__private::returns::<()>();
                    }
                    match () {
                        () => {}
                    }
                },
            )
        },
        move |__result| ::throughline::__private::inspect(__result).__display(),
    )
}
