//! Inside and around `#[async_trait]`.

#![deny(warnings)]

use async_trait::async_trait;
use throughline::{biz_tags, traced};

#[async_trait]
trait Orders: Sync {
    async fn place(&self, tenant_id: &str, order_no: u64) -> Result<u64, String>;

    #[traced]
    async fn cancel(&self, order_no: u64) -> u64 {
        order_no
    }
}

struct Shop;

#[async_trait]
impl Orders for Shop {
    #[traced(ret)]
    #[biz_tags(tenant_id, order_no)]
    async fn place(&self, tenant_id: &str, order_no: u64) -> Result<u64, String> {
        tokio::task::yield_now().await;
        u64::try_from(tenant_id.len()).map(|length| length + order_no).map_err(|error| error.to_string())
    }
}

struct Kiosk;

#[traced(kind = server)]
#[async_trait]
impl Orders for Kiosk {
    async fn place(&self, _tenant_id: &str, order_no: u64) -> Result<u64, String> {
        Ok(order_no)
    }
}

struct Stand;

#[async_trait]
#[traced]
impl Orders for Stand {
    async fn place(&self, _tenant_id: &str, order_no: u64) -> Result<u64, String> {
        Ok(order_no)
    }
}

struct Path<T>(T);

struct Request {
    no: u64,
    tenant: Option<String>,
}

/// The patterns of arguments are in the bodies when the attributes see them.
#[async_trait]
trait Handler: Sync {
    #[traced(tags(no, tenant = tenant.as_deref()))]
    async fn own(&self, Path(no): Path<u64>, Request { tenant, .. }: Request) -> u64 {
        no + u64::from(tenant.is_some())
    }

    #[traced]
    #[biz_tags(first, last = last + self.more())]
    async fn scoped(&self, [first, .., mut last]: [u64; 3], &(key, _): &(u64, u64)) -> Result<u64, String> {
        last += key;
        Ok(first + last)
    }

    #[biz_tags(no, tenant = tenant.as_deref(), hash(key))]
    async fn alone(&self, Request { no, tenant }: Request, (key, _): (String, u8)) -> usize {
        drop(tenant);
        key.len() + usize::try_from(no).unwrap_or_default()
    }

    fn more(&self) -> u64 {
        1
    }
}

impl Handler for Shop {}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let request = |no| Request { no, tenant: Some("acme".to_owned()) };
    assert_eq!(Shop.own(Path(1), request(2)).await, 2);
    assert_eq!(Shop.scoped([1, 2, 3], &(4, 5)).await, Ok(8));
    assert_eq!(Shop.alone(request(2), ("key".to_owned(), 1)).await, 5);
    let all: [Box<dyn Orders>; 3] = [Box::new(Shop), Box::new(Kiosk), Box::new(Stand)];
    for (orders, no) in all.iter().zip([5, 1, 1]) {
        assert_eq!(orders.place("acme", 1).await, Ok(no));
        assert_eq!(orders.cancel(2).await, 2);
    }
}
