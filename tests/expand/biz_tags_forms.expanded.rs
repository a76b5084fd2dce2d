// What the compiler gets for `biz_tags_forms.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use std::net::IpAddr;
use throughline::biz_tags;
const VERSION: u32 = 3;
#[derive(Debug)]
struct Request {
    order_no: u64,
    phone: String,
}
fn place(
    tenant_id: &str,
    req: &Request,
    address: IpAddr,
    region: Option<&str>,
    user_id: Option<u64>,
    account: &str,
    shard: u8,
) -> bool {
    ::throughline::__private::tags()
        .propagate(|__tags| {
            __tags
                .scope(
                    "account",
                    || {
                        ::throughline::__private::Tag::whole(|| ::throughline::__private::value(
                                &account,
                            ))
                            .hash()
                            .propagate()
                    },
                );
            __tags
                .scope(
                    "shard",
                    || {
                        ::throughline::__private::Tag::new(
                                ::throughline::__private::value(&shard),
                            )
                            .propagate()
                    },
                );
        })
        .start_with(|__tags| {
            __tags.scope_value("tenant_id", &tenant_id);
            __tags
                .collect(
                    "order_no",
                    true,
                    |__tags| ::throughline::__private::put(
                        __tags,
                        "order_no",
                        true,
                        &req.order_no,
                    ),
                );
            __tags
                .collect(
                    "biz.next",
                    true,
                    |__tags| ::throughline::__private::put(
                        __tags,
                        "biz.next",
                        true,
                        &(req.order_no + 1),
                    ),
                );
            __tags.scope_value("version", &VERSION);
            __tags
                .scope(
                    "address",
                    || ::throughline::__private::Tag::new(
                        ::throughline::__private::display(&address),
                    ),
                );
            __tags
                .scope(
                    "request",
                    || ::throughline::__private::Tag::new(
                        ::throughline::__private::debug(&req),
                    ),
                );
            __tags
                .scope(
                    "region",
                    || {
                        ::throughline::__private::Tag::new(
                                ::throughline::__private::optional(&region),
                            )
                            .or(|| ::throughline::__private::value(&"eu"))
                    },
                );
            __tags
                .scope(
                    "user_id",
                    || {
                        ::throughline::__private::Tag::new(
                                ::throughline::__private::value(&user_id),
                            )
                            .required()
                    },
                );
            __tags
                .scope(
                    "phone",
                    || {
                        ::throughline::__private::Tag::whole(|| ::throughline::__private::value(
                                &req.phone,
                            ))
                            .mask()
                    },
                );
        })
        .__run(
            move || -> bool {
                let (address, region, user_id, shard) = (
                    address,
                    region,
                    user_id,
                    shard,
                );
                let (_, _, _, _) = (&address, &region, &user_id, &shard);
                match () {
                    () => {
                        let _ = (tenant_id, req, account);
                        address.is_loopback() && region.is_some() && user_id.is_some()
                            && shard > 0
                    }
                }
            },
            move |__result| ::throughline::__private::inspect(__result).__display(),
        )
}
