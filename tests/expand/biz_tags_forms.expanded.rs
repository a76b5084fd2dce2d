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
                "account",
                || {
                    ::throughline::__private::Tag::new(
                            ::throughline::__private::value(&account),
                        )
                        .hash()
                        .propagate()
                },
            );
            tags.scope(
                "shard",
                || {
                    ::throughline::__private::Tag::new(
                            ::throughline::__private::value(&shard),
                        )
                        .propagate()
                },
            );
        })
        .start(|tags| {
            tags.scope(
                "tenant_id",
                || ::throughline::__private::Tag::new(
                    ::throughline::__private::value(&tenant_id),
                ),
            );
            tags.scope(
                "order_no",
                || ::throughline::__private::Tag::new(
                    ::throughline::__private::value(&req.order_no),
                ),
            );
            tags.scope(
                "biz.next",
                || ::throughline::__private::Tag::new(
                    ::throughline::__private::value(&(req.order_no + 1)),
                ),
            );
            tags.scope(
                "address",
                || ::throughline::__private::Tag::new(
                    ::throughline::__private::display(&address),
                ),
            );
            tags.scope(
                "request",
                || ::throughline::__private::Tag::new(
                    ::throughline::__private::debug(&req),
                ),
            );
            tags.scope(
                "region",
                || {
                    ::throughline::__private::Tag::new(
                            ::throughline::__private::value(&region),
                        )
                        .or(|| ::throughline::__private::value(&"eu"))
                },
            );
            tags.scope(
                "user_id",
                || {
                    ::throughline::__private::Tag::new(
                            ::throughline::__private::value(&user_id),
                        )
                        .required()
                },
            );
            tags.scope(
                "phone",
                || {
                    ::throughline::__private::Tag::new(
                            ::throughline::__private::value(&req.phone),
                        )
                        .mask()
                },
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
