//! `baggage`, by W3C Baggage.

use std::borrow::Cow;

use opentelemetry::baggage::{Baggage, BaggageMetadata};
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::{Key, KeyValue, StringValue};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::trim;
use crate::ambient::BaggageEntry;
use crate::value::TagValue as _;

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

/// A member as a tag, bounded as every tag is.
pub(super) fn as_tag(key: &Key, value: &StringValue) -> KeyValue {
    let bounded = std::sync::Arc::<str>::from(value.as_str()).tag_value();
    KeyValue::new(key.clone(), bounded.unwrap_or_else(|| value.clone().into()))
}
