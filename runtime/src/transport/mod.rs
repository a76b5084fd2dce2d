//! One file or folder for each way out of a process and back in, each behind its feature.

#[cfg(feature = "amqp")]
pub mod amqp;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "rocketmq")]
pub mod rocketmq;
#[cfg(all(test, any(feature = "amqp", feature = "kafka")))]
mod samples;
