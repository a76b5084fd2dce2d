//! The tags of a scope, as contexts and spans hold them.

use std::borrow::Cow;
use std::sync::Arc;
#[cfg(feature = "sdk")]
use std::sync::OnceLock;

#[cfg(feature = "sdk")]
use opentelemetry::trace::SpanId;
use opentelemetry::{Context, KeyValue};

use crate::context::data::Data;
#[cfg(feature = "sdk")]
use crate::context::local;
#[cfg(feature = "sdk")]
use crate::encoding::{
    fields::{Fields, Limits},
    keys::KeySet,
    reader::{Reader, attribute, key},
    recycled::{recycle, recycled},
};
#[cfg(feature = "sdk")]
use crate::tags::set::is_read_by_logs;

/// The tags of a scope. Cloning does not allocate.
#[derive(Debug, Clone, Default)]
pub(crate) enum ScopedTags {
    #[default]
    None,
    List(Arc<[KeyValue]>),
    #[cfg(feature = "sdk")]
    Encoded(EncodedTags),
}

/// Tags encoded as attributes, that is, as fields of the OTLP message `Span`. There is at least one, and keys are
/// unique.
#[cfg(feature = "sdk")]
#[derive(Debug, Clone)]
pub(crate) struct EncodedTags {
    /// The number of tags, the set of their keys, and the fields: one allocation, because every span below clones it.
    encoded: Arc<[u8]>,
    /// The tags in OpenTelemetry's type, decoded once for all log lines. `None` if log lines have no tags.
    decoded: Option<Arc<OnceLock<Arc<[KeyValue]>>>>,
}

/// The length of the header, which precedes the fields.
#[cfg(feature = "sdk")]
const HEADER: usize = COUNT + KeySet::BYTES;
#[cfg(feature = "sdk")]
const COUNT: usize = 4;

#[cfg(feature = "sdk")]
impl EncodedTags {
    /// Merges `own` with the tags of `inherited` whose keys are not in `own`.
    pub(crate) fn new(own: &Fields, inherited: Option<&Self>) -> Self {
        let (mut keys, mut count) = (own.keys(), own.attributes.kept);
        // Nested calls often set the same tags: share the allocation.
        if let Some(inherited) = inherited.filter(|inherited| inherited.bytes() == own.bytes()) {
            return inherited.clone();
        }
        let mut encoded = recycled();
        encoded.extend_from_slice(&[0; HEADER]);
        encoded.extend_from_slice(own.bytes());
        if let Some(inherited) = inherited {
            if inherited.keys().overlaps(keys) {
                count += inherited.put_without(&mut encoded, |key| own.has(key));
            } else {
                encoded.extend_from_slice(inherited.bytes());
                count += inherited.count();
            }
            keys.add(inherited.keys());
        }
        encoded[..COUNT].copy_from_slice(&count.to_le_bytes());
        encoded[COUNT..HEADER].copy_from_slice(&keys.to_bytes());
        let all = Self { encoded: encoded.as_slice().into(), decoded: is_read_by_logs().then(Arc::default) };
        recycle(encoded);
        all
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.encoded[HEADER..]
    }

    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.encoded.first_chunk().map_or(0, |count| u32::from_le_bytes(*count))
    }

    #[inline]
    pub(crate) fn keys(&self) -> KeySet {
        self.encoded[COUNT..].first_chunk().map_or_else(KeySet::default, KeySet::from_bytes)
    }

    /// Whether both share the same allocation, rather than just being equal.
    #[inline]
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.encoded, &other.encoded)
    }

    /// Writes the tags whose keys are not set, and returns their number.
    pub(crate) fn put_without(&self, out: &mut Vec<u8>, is_set: impl Fn(&str) -> bool) -> u32 {
        let mut count = 0;
        let bytes = self.bytes();
        let mut reader = Reader::new(bytes);
        let mut start = 0;
        while let Some(field) = reader.field() {
            let end = bytes.len() - reader.left();
            if !std::str::from_utf8(key(field.bytes)).is_ok_and(&is_set) {
                out.extend_from_slice(&bytes[start..end]);
                count += 1;
            }
            start = end;
        }
        count
    }

    /// Adds the tags whose keys are not set, within the limits.
    #[cold]
    pub(crate) fn add_to(&self, fields: &mut Fields) {
        for tag in self.each().map(attribute) {
            if !fields.has(tag.key.as_str()) {
                fields.set(tag.key.as_str(), &tag.value);
            }
        }
    }

    /// Whether there is a tag with this key.
    pub(crate) fn has(&self, wanted: &str) -> bool {
        self.keys().overlaps(KeySet::of(wanted)) && self.each().any(|message| key(message) == wanted.as_bytes())
    }

    fn decoded(&self) -> Arc<[KeyValue]> {
        let decode = || self.each().map(attribute).collect();
        self.decoded.as_ref().map_or_else(decode, |decoded| Arc::clone(decoded.get_or_init(decode)))
    }

    fn each(&self) -> impl Iterator<Item = &[u8]> {
        Reader::new(self.bytes()).map(|(_, field)| field.bytes)
    }
}

impl ScopedTags {
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::None => true,
            Self::List(list) => list.is_empty(),
            #[cfg(feature = "sdk")]
            Self::Encoded(_) => false,
        }
    }

    /// Returns the number of tags.
    #[cfg(feature = "sdk")]
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::List(list) => list.len(),
            #[cfg(feature = "sdk")]
            Self::Encoded(tags) => tags.count() as usize,
        }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        match self {
            Self::None => false,
            Self::List(list) => list.iter().any(|tag| tag.key.as_str() == key),
            #[cfg(feature = "sdk")]
            Self::Encoded(tags) => tags.has(key),
        }
    }

    /// The tags in OpenTelemetry's type. Encoded ones are decoded.
    pub(crate) fn list(&self) -> Cow<'_, [KeyValue]> {
        match self {
            Self::None => Cow::Borrowed(&[]),
            Self::List(list) => Cow::Borrowed(list),
            #[cfg(feature = "sdk")]
            Self::Encoded(tags) => Cow::Owned(tags.each().map(attribute).collect()),
        }
    }

    pub(crate) fn into_shared(self) -> Arc<[KeyValue]> {
        match self {
            Self::List(list) => list,
            #[cfg(feature = "sdk")]
            Self::Encoded(tags) => tags.decoded(),
            Self::None => Arc::default(),
        }
    }

    /// The tags in OTLP's encoding, if there are any.
    #[cfg(feature = "sdk")]
    #[inline]
    pub(crate) fn into_encoded(self) -> Option<EncodedTags> {
        match self {
            Self::Encoded(tags) => Some(tags),
            _ if self.is_empty() => None,
            _ => {
                let mut fields = Fields::new(Limits::unlimited());
                self.list().iter().for_each(|tag| fields.set(tag.key.as_str(), &tag.value));
                Some(EncodedTags::new(&fields, None))
            }
        }
    }
}

impl From<Vec<KeyValue>> for ScopedTags {
    fn from(tags: Vec<KeyValue>) -> Self {
        if tags.is_empty() { Self::None } else { Self::List(tags.into()) }
    }
}

/// The tags in scope in `context`: those of its span, if it is a span of our own tracer, or those of the context,
/// whichever were set later.
pub(crate) fn of(context: &Context) -> ScopedTags {
    let data = Data::of(context);
    #[cfg(feature = "sdk")]
    if let Some((span_id, tags)) = local::inherited(context) {
        return resolve(data, span_id, tags);
    }
    data.map(|data| data.tags.clone()).unwrap_or_default()
}

/// The tags of the span of `context`, if it is a span of our own tracer and they are newer than those in `data`.
pub(crate) fn of_span(context: &Context, data: Option<&Arc<Data>>) -> ScopedTags {
    #[cfg(feature = "sdk")]
    if let Some((span_id, tags)) = local::inherited(context) {
        if tags.is_some() && data.is_none_or(|data| data.tags_below != Some(span_id) || data.tags.is_empty()) {
            return resolve(data, span_id, tags);
        }
    }
    let _ = (context, data);
    ScopedTags::None
}

/// The tags in scope below a span that passes on `of_span`, in a context with `data`.
#[cfg(feature = "sdk")]
#[inline]
pub(crate) fn resolve(data: Option<&Arc<Data>>, span_id: SpanId, of_span: Option<EncodedTags>) -> ScopedTags {
    let of_span = of_span.map_or(ScopedTags::None, ScopedTags::Encoded);
    match data {
        // The tags of the context were set below the span, so they are newer.
        Some(data) if !data.tags.is_empty() && (of_span.is_empty() || data.tags_below == Some(span_id)) => {
            data.tags.clone()
        }
        _ => of_span,
    }
}
