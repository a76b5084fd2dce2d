//! Exports finished spans: a bounded queue, and the thread that exports its content.

mod control;
mod exporter;
mod metrics;
mod monitor;
pub(crate) mod otlp;
mod pipeline;
mod queue;
mod stats;
mod worker;

pub(crate) use self::control::wait_for_thread;
pub(crate) use self::exporter::{Discard, SdkExporter};
pub(crate) use self::pipeline::{BatchExport, ExportHandle, Pipeline};
pub(crate) use self::queue::{Queue, QueueLimits};
pub use self::stats::ExportStats;
