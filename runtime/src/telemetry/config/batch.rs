//! `OTEL_BSP_*`: the queue of finished spans, and the batches in which they are exported.
//!
//! "Batch Span Processor" in the specification of environment variables.

use std::time::Duration;

use super::{ConfigError, Env, Setting};

/// Roughly forty megabytes of spans with ten attributes.
pub(crate) const DEFAULT_MAX_QUEUE_SIZE: usize = 1 << 17;

/// The default byte limit per span of the span limit, several times the usual size of a span. With the default span
/// limit, this is 128 MiB.
const BYTES_PER_SPAN: usize = 1 << 10;

/// The minimum of the default byte limit: a short queue may be meant for a few large spans.
const MIN_DEFAULT_BYTES: usize = 1 << 25;

const MAX_QUEUE_SIZE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
const MAX_QUEUE_BYTES: &str = "THROUGHLINE_MAX_QUEUE_BYTES";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchConfig {
    /// The maximum number of spans queued or in flight.
    pub(crate) max_queue_size: Setting<usize>,
    /// The maximum encoded size of these spans in bytes. `None` for the default, which depends on the span limit.
    pub(crate) max_queue_bytes: Option<Setting<usize>>,
    /// The maximum number of spans in one batch.
    pub(crate) max_export_batch_size: usize,
    /// The maximum time that a span of a finished trace waits for its batch to fill up.
    pub(crate) schedule_delay: Duration,
    /// How long `force_flush` waits. An export itself is retried for as long as the process runs.
    pub(crate) export_timeout: Duration,
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            max_queue_size: Setting { value: DEFAULT_MAX_QUEUE_SIZE, name: MAX_QUEUE_SIZE },
            max_queue_bytes: None,
            max_export_batch_size: 512,
            schedule_delay: Duration::from_secs(5),
            export_timeout: Duration::from_secs(30),
        }
    }
}

impl BatchConfig {
    pub(super) fn from_env(env: &Env<'_>) -> Result<Self, ConfigError> {
        const MAX_BATCH_SIZE: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
        let default = Self::default();
        let queue = env.positive(MAX_QUEUE_SIZE)?.unwrap_or(default.max_queue_size.value);
        let batch = env.positive(MAX_BATCH_SIZE)?;
        if let Some(batch) = batch.filter(|&batch| batch > queue) {
            let expected = format!("at most the queue limit, {queue} (`{MAX_QUEUE_SIZE}`)");
            return Err(ConfigError::new(MAX_BATCH_SIZE, &batch.to_string(), expected));
        }
        Ok(Self {
            max_queue_size: Setting { value: queue, name: MAX_QUEUE_SIZE },
            max_queue_bytes: env.positive(MAX_QUEUE_BYTES)?.map(|value| Setting { value, name: MAX_QUEUE_BYTES }),
            max_export_batch_size: batch.unwrap_or(default.max_export_batch_size).min(queue),
            schedule_delay: env.milliseconds("OTEL_BSP_SCHEDULE_DELAY")?.unwrap_or(default.schedule_delay),
            export_timeout: env.timeout("OTEL_BSP_EXPORT_TIMEOUT")?.unwrap_or(default.export_timeout),
        })
    }

    /// Overrides the queue limit; batches shrink with it.
    pub(crate) fn set_max_queue_size(&mut self, queue: Setting<usize>) {
        self.max_export_batch_size = self.max_export_batch_size.min(queue.value);
        self.max_queue_size = queue;
    }

    /// The byte limit, and the setting that determines it.
    pub(crate) fn queue_bytes(&self) -> Setting<usize> {
        let default = self.max_queue_size.value.saturating_mul(BYTES_PER_SPAN).max(MIN_DEFAULT_BYTES);
        self.max_queue_bytes.unwrap_or(Setting { value: default, name: MAX_QUEUE_BYTES })
    }

    /// The number of ready spans that are exported without waiting for the schedule delay: a batch, but at most a
    /// quarter of the queue.
    pub(crate) fn export_threshold(&self) -> usize {
        self.max_export_batch_size.min(self.max_queue_size.value / 4).max(1)
    }

    /// The maximum number of spans in one batch. Spans in flight count towards the queue limit, so half of the queue is
    /// reserved for spans that end in the meantime.
    pub(crate) fn largest_batch(&self) -> usize {
        self.max_export_batch_size.min(self.max_queue_size.value / 2).max(1)
    }
}
