//! HTTP headers as a carrier.

use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector};

/// More values than this of one header are of no use to any format.
const MAX_VALUES: usize = 64;

/// Stands for a value that is not text, which no format accepts: it is there, and it is wrong.
const NOT_TEXT: &str = "\u{fffd}";

/// Headers that are read.
pub(crate) struct Headers<'a>(pub(crate) &'a HeaderMap);

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or(NOT_TEXT)
}

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(text)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let values: Vec<_> = self.0.get_all(key).iter().take(MAX_VALUES).map(text).collect();
        (!values.is_empty()).then_some(values)
    }
}

/// Headers that are written. One that is there already is replaced.
pub(crate) struct HeadersMut<'a>(pub(crate) &'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(key.as_bytes()), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}
