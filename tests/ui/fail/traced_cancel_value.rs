use throughline::traced;

#[traced(cancel)]
async fn nothing() {}

#[traced(cancel = false)]
async fn boolean() {}

#[traced(cancel = off)]
fn plain() {}

#[tokio::main]
async fn main() {
    nothing().await;
    boolean().await;
    plain();
}
