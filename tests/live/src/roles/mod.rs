//! The roles of the second process, one file per transport.

mod amqp;
mod grpc;
mod http;
#[cfg(feature = "kafka")]
mod kafka;
mod redis;
#[cfg(feature = "rocketmq")]
pub mod rocketmq;
mod sql;
#[cfg(all(feature = "kafka", feature = "rocketmq"))]
mod way;

use tokio::sync::watch;

use crate::Arguments;

/// Plays `role`: the part before the first dash is the file, the rest the role. A server ends when `stop` becomes true.
///
/// # Panics
///
/// If there is no such role, and when the role itself fails: the test then sees the exit status.
pub async fn play(role: &str, arguments: Arguments, stop: watch::Receiver<bool>) {
    match role.split_once('-') {
        Some(("amqp", role)) => amqp::play(role, arguments, stop).await,
        Some(("grpc", role)) => grpc::play(role, arguments, stop).await,
        Some(("http", role)) => http::play(role, arguments, stop).await,
        #[cfg(feature = "kafka")]
        Some(("kafka", role)) => kafka::play(role, arguments, stop).await,
        Some(("redis", role)) => redis::play(role, arguments, stop).await,
        #[cfg(feature = "rocketmq")]
        Some(("rocketmq", role)) => rocketmq::play(role, arguments, stop).await,
        Some(("sql", role)) => sql::play(role, arguments, stop).await,
        #[cfg(all(feature = "kafka", feature = "rocketmq"))]
        Some(("way", role)) => way::play(role, arguments, stop).await,
        _ => panic!("no role `{role}`"),
    }
}
