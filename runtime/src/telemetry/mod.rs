//! Setup of telemetry in one line, and extensions for the OpenTelemetry SDK.
#![cfg_attr(feature = "otlp", doc = include_str!("../../doc/telemetry.md"))]

#[cfg(feature = "otlp")]
mod audit;
#[cfg(feature = "otlp")]
mod builder;
#[cfg(feature = "otlp")]
mod config;
#[cfg(feature = "otlp")]
mod container;
#[cfg(feature = "otlp")]
mod diagnostics;
#[cfg(feature = "otlp")]
mod error;
#[cfg(feature = "otlp")]
mod export;
#[cfg(feature = "otlp")]
mod handle;
#[cfg(feature = "otlp")]
mod init;
#[cfg(feature = "otlp")]
mod open_spans;
#[cfg(feature = "otlp")]
mod resource;
#[cfg(feature = "otlp")]
mod sampler;
#[cfg(feature = "otlp")]
mod shutdown;
#[cfg(feature = "otlp")]
mod signal;
mod tag_processor;
#[cfg(feature = "otlp")]
mod text;

#[cfg(feature = "otlp")]
pub use self::{
    builder::{Builder, builder, init},
    config::{ConfigError, Protocol},
    error::InitError,
    export::ExportStats,
    handle::Telemetry,
    open_spans::OpenSpan,
    shutdown::{Shutdown, ShutdownReport},
    signal::signal,
};
pub use crate::tracer::{RequestIdGenerator, Span, Tracer, TracerProvider, TracerProviderBuilder};
pub use tag_processor::TagProcessor;
