//! Spans: what is said of one, how it starts, and how it ends.

pub(crate) mod builder;
pub(crate) mod callsite;
pub(crate) mod failure;
pub(crate) mod handle;
pub(crate) mod instrumented;
pub(crate) mod outcome;
pub(crate) mod record;
#[cfg(feature = "otlp")]
pub(crate) mod registry;
pub(crate) mod scope;
pub(crate) mod tracer;
