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

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let all: [Box<dyn Orders>; 3] = [Box::new(Shop), Box::new(Kiosk), Box::new(Stand)];
    for (orders, no) in all.iter().zip([5, 1, 1]) {
        assert_eq!(orders.place("acme", 1).await, Ok(no));
        assert_eq!(orders.cancel(2).await, 2);
    }
}
