//! What is kept out of records: secrets in URLs, values in the messages of servers, the texts of errors.

pub(crate) mod error_text;
#[cfg(any(feature = "redis", feature = "sql"))]
pub(crate) mod server_text;
#[cfg_attr(
    not(feature = "http"),
    allow(dead_code, reason = "texts of errors have URLs in them, and so have transports")
)]
pub(crate) mod url;
