//! Setting up: what Throughline adds to the OpenTelemetry SDK.

mod tags;

pub use tags::TagProcessor;
