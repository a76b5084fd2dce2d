//! The export of finished spans: a bounded queue, and a thread that exports its content.

mod attributes;
mod control;
mod exporter;
mod metrics;
mod monitor;
pub(crate) mod otlp;
mod processor;
mod queue;
mod stats;
mod worker;

pub(crate) use self::control::wait_for_thread;
pub(crate) use self::exporter::SdkExporter;
pub(crate) use self::processor::{BatchProcessor, ExportHandle, Pipeline};
pub(crate) use self::queue::Queue;
pub use self::stats::ExportStats;
