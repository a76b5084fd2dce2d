//! The code of the README's first screen, and the tree it prints.
//!
//! ```text
//! cargo run --example first_screen
//! ```

use std::time::Duration;

use throughline::console::Console;
use throughline::telemetry::TracerProvider;
use throughline::{biz_tags, jobs, traced, traced_spawn};
use tokio::time::sleep;

#[traced(kind = server)]
#[biz_tags(tenant_id, order_no)]
async fn create_order(tenant_id: String, order_no: u64) -> Result<(), String> {
    charge(order_no).await?;
    send_receipt(order_no); // starts at once, outlives the request
    Ok(())
}

#[traced(kind = client)]
async fn charge(order_no: u64) -> Result<(), String> {
    sleep(Duration::from_millis(30)).await;
    if order_no == 0 { Err("there is no order 0".to_owned()) } else { Ok(()) }
}

#[traced_spawn]
async fn send_receipt(order_no: u64) {
    sleep(Duration::from_millis(20 + order_no % 10)).await;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let provider = TracerProvider::builder().with_span_processor(Console::stdout()).build();
    throughline::install(&provider);

    create_order("acme".to_owned(), 1001).await?;

    jobs::wait(Duration::from_secs(5)).await?;
    provider.shutdown()?;
    Ok(())
}
