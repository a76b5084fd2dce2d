//! The `baggage` header, by W3C Baggage.

use std::borrow::Cow;
use std::sync::Arc;

use opentelemetry::baggage::{Baggage, BaggageMetadata};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::{Key, KeyValue, StringValue, Value};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::trim;
use crate::context::data::BaggageEntry;
use crate::tags::set::report_unsent;
use crate::tags::value::TagValue as _;

const HEADER: &str = "baggage";
pub(super) const FIELDS: [&str; 1] = [HEADER];

/// The limits of the specification (section "Limits").
const MAX_MEMBERS: usize = 64;
const MAX_BYTES: usize = 8192;

/// Characters that are percent-encoded in a value: those that are not in `baggage-octet`, and the percent sign.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%');

/// Writes the members for which `sent` returns true, sorted by key, so that the result is deterministic. A member that
/// exceeds a limit, as encoding may make values longer, is omitted as a whole and reported.
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
            report_unsent(key.as_str());
        }
    }
    if !header.is_empty() {
        into.set(HEADER, header);
    }
}

/// The valid properties of a member, trimmed. Metadata comes from other processes, and from code that sets it without
/// validation: a property must not be able to terminate the member.
fn properties(metadata: &str) -> impl Iterator<Item = Cow<'_, str>> {
    metadata.split(';').filter_map(|property| match property.split_once('=') {
        None => Some(Cow::from(trim(property))).filter(|key| is_token(key)),
        Some((key, value)) => {
            let (key, value) = (trim(key), trim(value));
            (is_token(key) && is_value(value)).then(|| Cow::from(format!("{key}={value}")))
        }
    })
}

/// Reads the members for which `accepted` returns true, up to the limits. Invalid members and properties are ignored
/// individually.
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
    // Invalid UTF-8 is replaced by U+FFFD (section "Value").
    let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
    let metadata = properties(metadata).collect::<Vec<_>>().join(";");
    Some((Key::from(key.to_owned()), (StringValue::from(value), BaggageMetadata::from(metadata))))
}

/// `token` of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Zero or more `baggage-octet`.
fn is_value(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'!'..=b'~') && !b"\",;\\".contains(&byte))
}

/// The type of a tag that is received as text, in a baggage member or a header.
///
/// Values on the wire are text, so the receiver has to know the type. A value that is not in the canonical form of
/// its type remains text: `order_no=007` does not become `7`, nor is `abc` an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum TagType {
    /// Text, unchanged.
    #[default]
    Text,
    /// A signed 64-bit integer in decimal, without leading zeros and without `+`.
    Integer,
    /// A finite decimal number, optionally with a fraction or an exponent.
    Float,
    /// `true` or `false`.
    Bool,
}

impl TagType {
    /// Parses `text` as a value of this type, with the limits that apply to all tags. For integrations that turn
    /// headers into tags.
    pub fn convert(self, text: &str) -> Value {
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

/// The key of a baggage member that becomes a tag, and the type of the tag; text by default. See
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

/// Converts a member to a tag, with the limits that apply to all tags.
pub(super) fn as_tag(key: &Key, value: &StringValue, is: TagType) -> KeyValue {
    KeyValue::new(key.clone(), is.convert(value.as_str()))
}

/// Restricts the baggage that is sent with a single request, for calls to third parties.
///
/// Set it as an extension of an `http::Request` for the `ClientLayer` of `throughline-http`, or of a
/// `tonic::Request` for that of `throughline-grpc`. It can only narrow what is sent: members that the layer or the
/// process's [`Propagator`](super::Propagator::send_baggage) withhold are never sent. It also applies to tags that an
/// HTTP layer sends in headers of their own.
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
    /// Sends only the members with these keys.
    pub fn only<K: Into<String>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self(keys.into_iter().map(|key| key.into().into_boxed_str()).collect())
    }

    /// Sends no baggage.
    pub fn none() -> Self {
        Self(Arc::default())
    }

    /// Returns `true` if the member with this key may be sent.
    pub fn allows(&self, key: &str) -> bool {
        self.0.iter().any(|allowed| **allowed == *key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_parsed_as_the_type_that_the_receiver_declares() {
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
            assert_eq!(is.convert(given), expected, "{is:?} {given:?}");
        }
    }
}
