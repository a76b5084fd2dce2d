//! `baggage`, by W3C Baggage.

use std::borrow::Cow;
use std::sync::Arc;

use opentelemetry::baggage::{Baggage, BaggageMetadata};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::{Key, KeyValue, StringValue, Value};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::trim;
use crate::context::data::BaggageEntry;
use crate::tags::value::TagValue as _;

const HEADER: &str = "baggage";
pub(super) const FIELDS: [&str; 1] = [HEADER];

/// The limits of the specification (section "Limits").
const MAX_MEMBERS: usize = 64;
const MAX_BYTES: usize = 8192;

/// What a value may not hold as it is (`baggage-octet`), and the percent sign.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%');

/// Writes the members for which `sent` holds. One that does not fit any more is left out as a whole;
/// they are in the order of their keys, so that it is the same one every time.
pub(super) fn inject(baggage: &Baggage, sent: &dyn Fn(&str) -> bool, into: &mut dyn Injector) {
    if baggage.is_empty() {
        return;
    }
    let mut members: Vec<_> = baggage.iter().filter(|(key, _)| sent(key.as_str())).collect();
    members.sort_unstable_by_key(|(key, _)| key.as_str());
    let mut header = String::new();
    let mut count = 0;
    for (key, (value, metadata)) in members {
        let before = header.len();
        if before > 0 {
            header.push(',');
        }
        header.push_str(key.as_str());
        header.push('=');
        header.extend(utf8_percent_encode(value.as_str(), ENCODED));
        for property in properties(metadata.as_str()) {
            header.push(';');
            header.push_str(&property);
        }
        count += 1;
        if header.len() > MAX_BYTES || count > MAX_MEMBERS {
            header.truncate(before);
            count -= 1;
        }
    }
    if !header.is_empty() {
        into.set(HEADER, header);
    }
}

/// The valid ones among the properties of a member, without blanks around their parts. They come from
/// other processes, and from code that sets metadata as it likes: none may break out of the member.
fn properties(metadata: &str) -> impl Iterator<Item = Cow<'_, str>> {
    metadata.split(';').filter_map(|property| match property.split_once('=') {
        None => Some(Cow::from(trim(property))).filter(|key| is_token(key)),
        Some((key, value)) => {
            let (key, value) = (trim(key), trim(value));
            (is_token(key) && is_value(value)).then(|| Cow::from(format!("{key}={value}")))
        }
    })
}

/// Reads the members for which `accepted` holds, up to the limits. A member that is not valid is
/// left out, the others stand; so it is with the properties of a member.
pub(super) fn extract(from: &dyn Extractor, accepted: &dyn Fn(&str) -> bool) -> Vec<BaggageEntry> {
    let Some(headers) = from.get_all(HEADER) else { return Vec::new() };
    let mut members: Vec<BaggageEntry> = Vec::new();
    let mut left = MAX_BYTES;
    for member in headers.iter().flat_map(|header| header.split(',')) {
        if member.len() > left || members.len() == MAX_MEMBERS {
            break;
        }
        left = (left - member.len()).saturating_sub(1);
        let Some(entry) = parse(member) else { continue };
        if accepted(entry.0.as_str()) {
            members.retain(|(key, _)| *key != entry.0);
            members.push(entry);
        }
    }
    members
}

fn parse(member: &str) -> Option<BaggageEntry> {
    let (pair, metadata) = member.split_once(';').unwrap_or((member, ""));
    let (key, value) = pair.split_once('=')?;
    let (key, value) = (trim(key), trim(value));
    if !is_token(key) || !is_value(value) {
        return None;
    }
    // Bytes that are no text become the replacement character (section "Value").
    let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
    let metadata = properties(metadata).collect::<Vec<_>>().join(";");
    Some((Key::from(key.to_owned()), (StringValue::from(value), BaggageMetadata::from(metadata))))
}

/// `token` of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Any number of `baggage-octet`.
fn is_value(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'!'..=b'~') && !b"\",;\\".contains(&byte))
}

/// What a tag is that comes in as text: a member of the baggage, a header.
///
/// On the wire all is text, so the receiver has to say it. A value that is not written as one of its type
/// would be stays the text that it is: `order_no=007` is not `7`, and of `abc` there is no integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum TagType {
    /// Text, as it came.
    #[default]
    Text,
    /// A decimal integer of 64 bits with a sign, without leading zeros and without `+`.
    Integer,
    /// A decimal number with a fraction or an exponent, or without; not infinite, and not `NaN`.
    Float,
    /// `true` or `false`.
    Bool,
}

impl TagType {
    /// The value that `text` stands for, bounded as every tag is. For integrations that make tags of headers.
    pub fn read(self, text: &str) -> Value {
        let typed = match self {
            Self::Text => None,
            Self::Integer => text.parse::<i64>().ok().filter(|number| number.to_string() == text).map(Value::I64),
            Self::Float => {
                let is_number = text.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
                text.parse::<f64>().ok().filter(|number| is_number && number.is_finite()).map(Value::F64)
            }
            Self::Bool => text.parse().ok().map(Value::Bool),
        };
        typed.or_else(|| Arc::<str>::from(text).tag_value()).unwrap_or_else(|| text.to_owned().into())
    }
}

/// A member of the baggage that becomes a tag: its key, and its type if it is not text. See
/// [`Propagator::baggage_as_tags`](super::Propagator::baggage_as_tags).
#[derive(Debug, Clone)]
pub struct BaggageTag {
    pub(super) key: Box<str>,
    pub(super) is: TagType,
}

impl<K: Into<String>> From<(K, TagType)> for BaggageTag {
    fn from((key, is): (K, TagType)) -> Self {
        Self { key: key.into().into_boxed_str(), is }
    }
}

macro_rules! keys {
    ($($key:ty),*) => {$(
        impl From<$key> for BaggageTag {
            fn from(key: $key) -> Self {
                Self::from((key, TagType::Text))
            }
        }
    )*};
}

keys!(&str, &mut str, String, &String, Box<str>, Cow<'_, str>, char);

/// A member as a tag, bounded as every tag is.
pub(super) fn as_tag(key: &Key, value: &StringValue, is: TagType) -> KeyValue {
    KeyValue::new(key.clone(), is.read(value.as_str()))
}

/// The baggage that is sent with one request, out of what may be sent at all: for calls to parties who are to
/// know less than your own services.
///
/// Put it into the extensions of an `http::Request` for the `ClientLayer` of `throughline-http`, or of a
/// `tonic::Request` for that of `throughline-grpc`. It only narrows: what the layer and the
/// [`Propagator`](super::Propagator::send_baggage) of the process keep back is not sent in any case. The tags that
/// a layer for HTTP sends in headers of their own go by it too.
///
/// ```
/// use throughline::propagation::SendBaggage;
///
/// let request = http::Request::post("https://partner.example/orders")
///     .extension(SendBaggage::only(["order_no"]))
///     .body(())
///     .unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendBaggage(Arc<[Box<str>]>);

impl SendBaggage {
    /// Sends the members with these keys, and no others.
    pub fn only<K: Into<String>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self(keys.into_iter().map(|key| key.into().into_boxed_str()).collect())
    }

    /// Sends no baggage.
    pub fn none() -> Self {
        Self(Arc::default())
    }

    /// Whether the member with this key may be sent.
    pub fn has(&self, key: &str) -> bool {
        self.0.iter().any(|allowed| **allowed == *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_type_that_the_receiver_names() {
        let text = |text: &str| Value::String(text.to_owned().into());
        for (is, given, expected) in [
            (TagType::Integer, "1001", Value::I64(1001)),
            (TagType::Integer, "-9223372036854775808", Value::I64(i64::MIN)),
            (TagType::Integer, "9223372036854775808", text("9223372036854775808")),
            (TagType::Integer, "007", text("007")),
            (TagType::Integer, "+7", text("+7")),
            (TagType::Integer, "-0", text("-0")),
            (TagType::Integer, "1e3", text("1e3")),
            (TagType::Integer, " 1", text(" 1")),
            (TagType::Integer, "", text("")),
            (TagType::Float, "0.5", Value::F64(0.5)),
            (TagType::Float, "-2", Value::F64(-2.0)),
            (TagType::Float, "1e3", Value::F64(1000.0)),
            (TagType::Float, "1e999", text("1e999")),
            (TagType::Float, "NaN", text("NaN")),
            (TagType::Float, "-inf", text("-inf")),
            (TagType::Float, "+1.5", text("+1.5")),
            (TagType::Bool, "true", Value::Bool(true)),
            (TagType::Bool, "false", Value::Bool(false)),
            (TagType::Bool, "True", text("True")),
            (TagType::Bool, "1", text("1")),
            (TagType::Text, "1001", text("1001")),
        ] {
            assert_eq!(is.read(given), expected, "{is:?} {given:?}");
        }
    }
}
