//! Setting up: what Throughline adds to the OpenTelemetry SDK.

mod ids;
mod tags;

pub use ids::RequestIdGenerator;
pub use tags::TagProcessor;
