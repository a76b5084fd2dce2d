use opentelemetry::Context;
use throughline::traced;

#[traced(root, parent = message)]
fn consume(message: Context) {}

#[traced(parent = message, root)]
async fn consume_later(message: Context) {}

fn main() {
    consume(Context::new());
    drop(consume_later(Context::new()));
}
