#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod call;
mod client;
mod metadata;
mod report;
mod server;
mod status;
mod target;
#[cfg(test)]
mod tests;

pub use call::{ResponseBody, ResponseFuture, ResponseObserver, StatusObserver};
pub use client::{ClientLayer, ClientService};
pub use metadata::{Grpc, inject, inject_context, intercept};
pub use server::{ServerLayer, ServerService};
