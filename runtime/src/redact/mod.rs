//! Redaction of error text and URLs, for integrations that record them.
//!
//! Applications configure it with [`set_error_text`](crate::set_error_text).

pub(crate) mod error_text;
pub(crate) mod url;

pub use error_text::{add_error_type, add_redactor, error, of_any as any_error, text, url};
pub use url::UrlRules;
