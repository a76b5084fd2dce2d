use throughline::traced;

#[traced(enter_on_poll = true, short_name = true)]
async fn flags() {}

#[traced(name = "place", properties = { "order_no": "{order_no}", "a.b": "{sku:?}", "by": "us", "both": "{order_no}/{sku}" })]
fn properties(order_no: u64, sku: String) {}

#[traced(properties = {})]
fn empty() {}

#[traced(async = true)]
async fn asynchronous() {}

#[tokio::main]
async fn main() {
    flags().await;
    properties(1, String::new());
    empty();
    asynchronous().await;
}
