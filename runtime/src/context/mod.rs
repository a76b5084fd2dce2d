//! The current context (span context, baggage, tags), and how it is carried across boundaries.

pub(crate) mod current;
pub(crate) mod data;
#[cfg(feature = "sdk")]
pub(crate) mod encoder;
#[cfg(feature = "integration")]
pub(crate) mod extensions;
#[cfg(feature = "integration")]
pub(crate) mod last_error;
#[cfg(feature = "sdk")]
pub(crate) mod local;
pub(crate) mod origin;
#[cfg(feature = "sdk")]
pub(crate) mod place;
#[cfg(feature = "integration")]
pub(crate) mod request_id;
pub(crate) mod snapshot;
