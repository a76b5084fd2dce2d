use throughline::traced_spawn;

#[traced_spawn]
async fn receipt(order_no: u64) -> Result<u64, String> {
    Ok(order_no)
}

#[traced_spawn(link, name = "poll prices")]
async fn poll() {
    tokio::task::yield_now().await;
}
