//! RocketMQ, with `rocketmq-client-rust`.
