// What the compiler gets for `biz_tags_forms.rs`. Written by THROUGHLINE_BLESS=1; not for editing.

use std::net::IpAddr;
use throughline::biz_tags;
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
        .propagate(|tags| {
            tags.scope(
                ::throughline::__private::Tag::new(
                        "account",
                        ::throughline::__private::value(&account),
                    )
                    .hash()
                    .propagate(),
            );
            tags.scope(
                ::throughline::__private::Tag::new(
                        "shard",
                        ::throughline::__private::value(&shard),
                    )
                    .propagate(),
            );
        })
        .start(|tags| {
            tags.scope(
                ::throughline::__private::Tag::new(
                    "tenant_id",
                    ::throughline::__private::value(&tenant_id),
                ),
            );
            tags.scope(
                ::throughline::__private::Tag::new(
                    "order_no",
                    ::throughline::__private::value(&req.order_no),
                ),
            );
            tags.scope(
                ::throughline::__private::Tag::new(
                    "biz.next",
                    ::throughline::__private::value(&(req.order_no + 1)),
                ),
            );
            tags.scope(
                ::throughline::__private::Tag::new(
                    "address",
                    ::throughline::__private::display(&address),
                ),
            );
            tags.scope(
                ::throughline::__private::Tag::new(
                    "request",
                    ::throughline::__private::debug(&req),
                ),
            );
            tags.scope(
                ::throughline::__private::Tag::new(
                        "region",
                        ::throughline::__private::value(&region),
                    )
                    .or(|| ::throughline::__private::value(&"eu")),
            );
            tags.scope(
                ::throughline::__private::Tag::new(
                        "user_id",
                        ::throughline::__private::value(&user_id),
                    )
                    .required(),
            );
            tags.scope(
                ::throughline::__private::Tag::new(
                        "phone",
                        ::throughline::__private::value(&req.phone),
                    )
                    .mask(),
            );
        })
        .run(
            move || -> bool {
                #[allow(clippy::shadow_reuse, clippy::shadow_same)]
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
            move |result| ::throughline::__private::seen(result).display(),
        )
}
