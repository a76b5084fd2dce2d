//! What is current: the span's identity, the baggage, the tags, and how they go from one place to another.

pub(crate) mod carried;
pub(crate) mod current;
pub(crate) mod data;
pub(crate) mod last_error;
pub(crate) mod origin;
pub(crate) mod request_id;
pub(crate) mod snapshot;
