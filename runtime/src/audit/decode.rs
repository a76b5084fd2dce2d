//! Decodes the parts of a span that an audit needs.
//!
//! Names and source locations recur, so they are interned: decoding a span usually does not allocate them.

use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, TraceId};

use super::judge::TAG_MISSING;
use super::model::{Event, Link, Place, Span};
use super::rules::Rules;
use super::tally::{Map, Set};
use crate::encoding::keys::KeySet;
use crate::encoding::reader::{Field, Reader, attribute, text};
use crate::encoding::wire::{self, any_value, event, link, span, status};
use crate::semconv;
use crate::tracer::decode;

/// Attributes that are always needed, whatever the rules.
const NEEDED: [&str; 9] = [
    semconv::THROUGHLINE_JOB_ROOT,
    semconv::THROUGHLINE_JOB_QUEUE_TIME_US,
    semconv::THROUGHLINE_UNFINISHED,
    semconv::THROUGHLINE_DETACHED,
    semconv::THROUGHLINE_PARENT_MISSING,
    semconv::THROUGHLINE_CANCELLED,
    semconv::MESSAGING_OPERATION_TYPE,
    semconv::MESSAGING_BATCH_MESSAGE_COUNT,
    semconv::MESSAGING_MESSAGE_ID,
];

const CODE: [&str; 3] = [semconv::CODE_FILE_PATH, semconv::CODE_LINE_NUMBER, semconv::CODE_FUNCTION_NAME];

#[derive(Debug)]
pub(super) struct Decoder {
    service: Arc<str>,
    names: Interned,
    /// Values of tags.
    values: Interned,
    places: Map<u64, Arc<Place>>,
    /// The keys of attributes that are kept.
    keys: Vec<Arc<str>>,
    /// `keys`, and those of places.
    any: KeySet,
    /// The hashes of all distinct keys, up to a limit.
    seen: Set<u64>,
    max_keys: usize,
}

/// A bounded table of interned strings.
#[derive(Debug, Default)]
struct Interned(Map<Box<[u8]>, Arc<str>>);

/// The maximum number of interned strings and source locations. A service with more has a high cardinality, which is
/// reported.
const MAX_INTERNED: usize = 1 << 12;

/// The maximum length of an interned string, in bytes.
const MAX_INTERNED_BYTES: usize = 256;

impl Interned {
    fn get(&mut self, bytes: &[u8]) -> Arc<str> {
        if let Some(known) = self.0.get(bytes) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text(bytes).into();
        if self.0.len() < MAX_INTERNED && bytes.len() <= MAX_INTERNED_BYTES {
            self.0.insert(bytes.into(), Arc::clone(&new));
        }
        new
    }
}

/// The attributes `code.*` of a span, encoded.
#[derive(Debug, Default, Clone, Copy)]
struct EncodedPlace<'a> {
    file: &'a [u8],
    line: u64,
    function: &'a [u8],
}

impl Decoder {
    pub(super) fn new(service: Arc<str>, rules: &Rules) -> Self {
        let tags = rules.required_tags.iter().chain(&rules.business_tags).cloned();
        let keys: Vec<Arc<str>> = NEEDED.into_iter().map(Arc::from).chain(tags).collect();
        let any = CODE.into_iter().chain(keys.iter().map(|key| &**key)).map(KeySet::of);
        let any = any.fold(KeySet::default(), KeySet::and);
        Self {
            service,
            names: Interned::default(),
            values: Interned::default(),
            places: Map::default(),
            keys,
            any,
            seen: Set::default(),
            max_keys: rules.max_keys,
        }
    }

    pub(super) fn service(&self) -> &Arc<str> {
        &self.service
    }

    /// Decodes a span. `see` is called with each attribute key that no earlier span had.
    pub(super) fn span(&mut self, trace_id: TraceId, message: &[u8], mut see: impl FnMut(&str)) -> Span {
        let mut span = Span::new(trace_id, SpanId::INVALID, Arc::<str>::default());
        let (mut place, mut flags) = (EncodedPlace::default(), 0);
        let mut reader = Reader::new(message);
        while let Some(field) = reader.field() {
            match u8::try_from(field.number_and_type).unwrap_or_default() {
                span::SPAN_ID => span.span_id = id(field.bytes),
                span::PARENT_SPAN_ID => span.parent_id = Some(id(field.bytes)),
                span::NAME => span.name = self.names.get(field.bytes),
                span::KIND => span.kind = decode::kind(field.value),
                span::START_TIME => span.start = field.value,
                span::END_TIME => span.end = Some(field.value),
                span::ATTRIBUTES => self.attribute(field.bytes, &mut span, &mut place, &mut see),
                span::EVENTS => span.events.extend(self.event(field.bytes)),
                span::LINKS => span.links.push(linked(field.bytes)),
                span::STATUS => span.is_error = is_error(field.bytes),
                _ if field.number_and_type == decode::FLAGS => flags = field.value,
                _ => {}
            }
        }
        span.service = Arc::clone(&self.service);
        span.is_sampled = Some(flags & 1 != 0);
        span.parent_is_remote = span.parent_id.map(|_| flags & decode::IS_REMOTE != 0);
        span.place = self.place(place);
        span
    }

    fn attribute<'a>(
        &mut self,
        encoded: &'a [u8],
        span: &mut Span,
        place: &mut EncodedPlace<'a>,
        see: &mut impl FnMut(&str),
    ) {
        let mut fields = Reader::new(encoded);
        let Some(key) = fields.field().and_then(|field| std::str::from_utf8(field.bytes).ok()) else { return };
        if self.seen.len() <= self.max_keys && self.seen.insert(self.seen.hasher().hash_one(key)) {
            see(key);
        }
        if !self.any.overlaps(KeySet::of(key)) {
            return;
        }
        let Some(value) = fields.field() else { return };
        match key {
            semconv::CODE_FILE_PATH => place.file = string(value.bytes),
            semconv::CODE_FUNCTION_NAME => place.function = string(value.bytes),
            semconv::CODE_LINE_NUMBER => place.line = number(value.bytes),
            _ => {
                let Some(key) = self.keys.iter().find(|wanted| ***wanted == *key) else { return };
                span.attributes.push(match string(value.bytes) {
                    // Not text, or empty.
                    [] => attribute(encoded),
                    text => KeyValue::new(Arc::clone(key), self.values.get(text)),
                });
            }
        }
    }

    /// Decodes an event, if the rules need it.
    fn event(&mut self, message: &[u8]) -> Option<Event> {
        let name = Reader::new(message).find(|(field, _)| *field == event::NAME)?.1.bytes;
        if name != TAG_MISSING.as_bytes() {
            return None;
        }
        let time = Reader::new(message).find(|(field, _)| *field == event::TIME).map_or(0, |(_, time)| time.value);
        let attributes = Reader::new(message).filter(|(field, _)| *field == event::ATTRIBUTES);
        let attributes = attributes.map(|(_, field)| attribute(field.bytes)).collect();
        Some(Event::new(self.names.get(name), time, attributes))
    }

    fn place(&mut self, encoded: EncodedPlace<'_>) -> Option<Arc<Place>> {
        if encoded.file.is_empty() && encoded.function.is_empty() {
            return None;
        }
        let mut hasher = self.places.hasher().build_hasher();
        hasher.write(encoded.file);
        hasher.write_u64(encoded.line);
        hasher.write(encoded.function);
        let hash = hasher.finish();
        if let Some(known) = self.places.get(&hash).filter(|known| encoded.is(known)) {
            return Some(Arc::clone(known));
        }
        let new = Arc::new(encoded.decode(&mut self.names));
        if self.places.len() < MAX_INTERNED {
            self.places.insert(hash, Arc::clone(&new));
        }
        Some(new)
    }
}

impl EncodedPlace<'_> {
    fn line(&self) -> Option<u32> {
        u32::try_from(self.line).ok().filter(|line| *line > 0)
    }

    fn is(&self, place: &Place) -> bool {
        place.file.as_bytes() == self.file
            && place.line == self.line()
            && place.function.as_deref().unwrap_or_default().as_bytes() == self.function
    }

    fn decode(&self, names: &mut Interned) -> Place {
        let function = (!self.function.is_empty()).then(|| names.get(self.function));
        Place::new(names.get(self.file), self.line(), function)
    }
}

fn id(bytes: &[u8]) -> SpanId {
    bytes.try_into().map_or(SpanId::INVALID, SpanId::from_bytes)
}

/// The text of a value; empty if it is not text.
fn string(value: &[u8]) -> &[u8] {
    any(value).filter(|(field, _)| *field == any_value::STRING).map_or(&[], |(_, field)| field.bytes)
}

/// The number in a value; zero if it is not an integer.
fn number(value: &[u8]) -> u64 {
    any(value).filter(|(field, _)| *field == any_value::INT).map_or(0, |(_, field)| field.value)
}

fn any(value: &[u8]) -> Option<(u8, Field<'_>)> {
    Reader::new(value).next()
}

fn linked(message: &[u8]) -> Link {
    let mut linked = Link::new(TraceId::INVALID, SpanId::INVALID);
    for (number, field) in Reader::new(message) {
        match number {
            link::TRACE_ID => linked.trace_id = field.bytes.try_into().map_or(TraceId::INVALID, TraceId::from_bytes),
            link::SPAN_ID => linked.span_id = id(field.bytes),
            _ => {}
        }
    }
    linked
}

fn is_error(message: &[u8]) -> bool {
    Reader::new(message).any(|(number, field)| number == status::CODE && field.value == u64::from(wire::status::ERROR))
}
