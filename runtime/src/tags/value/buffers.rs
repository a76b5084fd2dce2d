//! The buffers of `bytes`.

use opentelemetry::Value;

use super::TagValue;

impl TagValue for bytes::Bytes {
    fn tag_value(&self) -> Option<Value> {
        self.as_ref().tag_value()
    }
}

impl TagValue for bytes::BytesMut {
    fn tag_value(&self) -> Option<Value> {
        self.as_ref().tag_value()
    }
}
