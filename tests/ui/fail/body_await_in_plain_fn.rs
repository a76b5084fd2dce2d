use throughline::traced;

#[traced]
fn plain() {
    tokio::task::yield_now().await;
}

fn main() {
    plain();
}
