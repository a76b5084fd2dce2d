//! Redaction of error text and URLs, for integrations that record them.
//!
//! Applications configure it with [`set_error_text`](crate::set_error_text).

pub(crate) mod error_text;
#[cfg(any(feature = "integration", feature = "tokio"))]
pub(crate) mod error_types;
#[cfg(feature = "integration")]
mod integration;
pub(crate) mod url;

#[cfg(any(feature = "integration", feature = "tokio"))]
pub use error_types::{add_error_type, error, of_any as any_error};
#[cfg(feature = "integration")]
pub use integration::{add_redactor, text, url};
pub use url::UrlRules;
