//! Setting up: one line in `main`, and what Throughline adds to the OpenTelemetry SDK.
#![cfg_attr(feature = "otlp", doc = include_str!("../../doc/telemetry.md"))]

#[cfg(feature = "otlp")]
mod counts;
#[cfg(feature = "otlp")]
mod env;
#[cfg(feature = "otlp")]
mod error;
#[cfg(feature = "otlp")]
mod exit;
#[cfg(feature = "otlp")]
mod housekeeping;
mod ids;
#[cfg(feature = "otlp")]
mod notice;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "otlp")]
mod overdue;
#[cfg(feature = "otlp")]
mod pipeline;
#[cfg(feature = "otlp")]
mod prepare;
#[cfg(feature = "otlp")]
mod queue;
#[cfg(feature = "otlp")]
mod resource;
#[cfg(feature = "otlp")]
mod sampler;
#[cfg(feature = "otlp")]
mod sender;
#[cfg(feature = "otlp")]
mod setup;
#[cfg(feature = "otlp")]
mod shared;
mod tags;
#[cfg(feature = "otlp")]
mod text;
#[cfg(feature = "otlp-tls")]
mod tls;
#[cfg(feature = "otlp")]
mod work;

#[cfg(feature = "otlp")]
pub use self::{
    counts::Counts,
    env::{Protocol, VariableError},
    error::InitError,
    exit::{OpenSpan, Report, Shutdown, signal},
    setup::{Builder, Telemetry, builder, init},
};
pub use ids::RequestIdGenerator;
pub use tags::TagProcessor;
