use throughline::{biz_tags, traced};

#[traced]
fn total(prices: &Vec<u64>) -> u64 {
    prices.iter().sum()
}

#[traced]
#[biz_tags(order_no)]
async fn charge((order_no, _): (u64, String)) -> u64 {
    order_no
}
