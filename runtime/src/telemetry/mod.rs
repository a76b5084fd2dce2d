//! Setting up: one line in `main`, and what Throughline adds to the OpenTelemetry SDK.
#![cfg_attr(feature = "otlp", doc = include_str!("../../doc/telemetry.md"))]

#[cfg(feature = "otlp")]
mod env;
#[cfg(feature = "otlp")]
mod exit;
mod ids;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "otlp")]
mod pipeline;
#[cfg(feature = "otlp")]
mod queue;
#[cfg(feature = "otlp")]
mod resource;
#[cfg(feature = "otlp")]
mod sampler;
#[cfg(feature = "otlp")]
mod setup;
mod tags;

#[cfg(feature = "otlp")]
pub use self::{
    env::{Protocol, VariableError},
    exit::{OpenSpan, Report, Shutdown, signal},
    pipeline::Counts,
    setup::{Builder, InitError, Telemetry, builder, init},
};
pub use ids::RequestIdGenerator;
pub use tags::TagProcessor;
