//! Spans: building, starting and ending them.

#[cfg(feature = "propagation")]
mod batch;
pub(crate) mod builder;
pub(crate) mod callsite;
#[cfg(feature = "propagation")]
pub(crate) mod carried;
#[cfg(feature = "sdk")]
mod encoded;
pub(crate) mod failure;
pub(crate) mod function;
pub(crate) mod handle;
pub(crate) mod inspect;
pub(crate) mod instrumented;
#[cfg(feature = "integration")]
pub(crate) mod integration;
pub(crate) mod no_provider;
pub(crate) mod outcome;
pub(crate) mod record;
#[cfg(feature = "otlp")]
pub(crate) mod registry;
#[cfg(feature = "integration")]
pub(crate) mod requested_id;
pub(crate) mod scope;
mod settings;
pub(crate) mod start;
pub(crate) mod tracer;
#[cfg(feature = "sdk")]
pub(crate) mod unrecorded;
#[cfg(feature = "tracing")]
pub(crate) mod unstarted;
