#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod attributes;
mod consumer;
mod headers;
mod producer;

pub use consumer::{Amqp, Delivery};
pub use headers::{inject, inject_context};
pub use producer::ChannelExt;

const SYSTEM: &str = "rabbitmq";

#[cfg(test)]
mod tests;
