//! The current context (span context, baggage, tags), and how it is carried across boundaries.

pub(crate) mod carried;
pub(crate) mod current;
pub(crate) mod data;
pub(crate) mod last_error;
pub(crate) mod origin;
pub(crate) mod request_id;
pub(crate) mod snapshot;
