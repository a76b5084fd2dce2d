use opentelemetry::Context;
use throughline::traced;

struct Message {
    context: Context,
    body: String,
}

#[traced(
    "place order",
    kind = consumer,
    parent = message.context,
    links = others,
    tags(length = message.body.len(), attempt),
    err = debug,
    ret,
)]
fn receive(message: Message, others: &[Context], attempt: u32) -> Result<usize, String> {
    Ok(message.body.len() + others.len())
}

#[traced(root, link = before, err = off, ret = debug)]
async fn every_hour(before: &Context) -> Option<u64> {
    before.get::<u64>().copied()
}
