//! RabbitMQ.

use tokio::sync::watch;

use crate::Arguments;

pub(super) async fn play(role: &str, arguments: Arguments, stop: watch::Receiver<bool>) {
    let _ = (arguments, stop);
    panic!("no role `amqp-{role}`");
}
