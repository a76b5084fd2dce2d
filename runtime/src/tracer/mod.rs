//! Our own implementation of OpenTelemetry's tracer: a span is encoded while it is recorded, and the finished spans of a
//! trace go to the exporter together, as bytes.

pub(crate) mod buffer;
mod builder;
#[cfg(all(test, feature = "otlp"))]
mod conversion_tests;
pub(crate) mod decode;
pub(crate) mod encoded;
mod exporting;
#[cfg(fuzzing)]
pub mod fuzzing;
mod guarded;
mod id_generator;
#[cfg(any(test, fuzzing))]
pub(crate) mod kept;
mod observer;
#[cfg(feature = "otlp")]
pub(crate) mod over_limit;
mod provider;
mod recent;
#[cfg(all(test, feature = "otlp"))]
mod recipe;
mod shared;
mod span;
#[cfg(test)]
mod tests;

pub use self::builder::TracerProviderBuilder;
#[cfg(feature = "otlp")]
pub(crate) use self::builder::{not_of_the_sdk, telemetry_sdk};
#[cfg(feature = "otlp")]
pub(crate) use self::exporting::{record_nothing, records_nothing};
#[cfg(feature = "otlp")]
pub(crate) use self::guarded::Guarded;
#[cfg(feature = "otlp")]
pub(crate) use self::id_generator::ProcessIdGenerator;
pub use self::id_generator::RequestIdGenerator;
#[cfg(any(feature = "console", feature = "testing"))]
pub(crate) use self::observer::{Additions, SpanObserver};
pub use self::provider::{Tracer, TracerProvider};
#[cfg(feature = "otlp")]
pub(crate) use self::shared::Shared;
pub use self::span::Span;
