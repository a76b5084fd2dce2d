//! Business tags: how they are written down, and how the context holds them.

use std::sync::Arc;

use opentelemetry::baggage::{Baggage, BaggageExt as _};
use opentelemetry::{Context, Key, KeyValue, StringValue, Value};

use crate::ambient::{self, Ambient};
use crate::current;
use crate::secret;
use crate::value::TagValue;

/// One tag on its way to a span.
#[derive(Debug)]
pub struct Tag {
    key: &'static str,
    value: Option<Value>,
    missing: bool,
    baggage: bool,
}

impl Tag {
    /// A tag whose value is known, or is absent.
    #[inline]
    pub fn new(key: &'static str, value: Option<Value>) -> Self {
        Self { key, value, missing: false, baggage: false }
    }

    /// Reports the tag as missing when there is no value.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.missing = self.value.is_none();
        self
    }

    /// Stands in for an absent value.
    #[must_use]
    pub fn or(mut self, fallback: impl FnOnce() -> Option<Value>) -> Self {
        self.value = self.value.or_else(fallback);
        self
    }

    /// Replaces the value by its keyed hash. See [`crate::set_hash_key`].
    #[must_use]
    pub fn hash(mut self) -> Self {
        self.value = self.value.map(|value| secret::hash(&value.as_str()).into());
        self
    }

    /// Replaces all but the last four characters.
    #[must_use]
    pub fn mask(mut self) -> Self {
        self.value = self.value.map(|value| secret::mask(&value.as_str()).into());
        self
    }

    /// Writes the tag to the W3C baggage too, so that it leaves the process.
    #[must_use]
    pub fn propagate(mut self) -> Self {
        self.baggage = true;
        self
    }
}

/// Where generated code puts the tags of one call.
#[derive(Debug, Default)]
pub struct Tags {
    /// Attributes of this span alone.
    pub(crate) own: Vec<KeyValue>,
    /// Attributes of this span and of every span below it.
    pub(crate) scoped: Vec<KeyValue>,
    /// What most calls do not ask for.
    notes: Option<Box<Notes>>,
}

/// What tags ask for besides being attributes.
#[derive(Debug, Default)]
struct Notes {
    /// What is to leave the process as W3C baggage.
    baggage: Vec<(&'static str, String)>,
    /// Required tags without a value.
    missing: Vec<&'static str>,
}

impl Tags {
    #[inline]
    pub(crate) fn new(own: Vec<KeyValue>) -> Self {
        Self { own, ..Self::default() }
    }

    /// Required tags without a value.
    #[inline]
    pub(crate) fn missing(&self) -> &[&'static str] {
        self.notes.as_ref().map_or(&[], |notes| &notes.missing)
    }

    /// An attribute of this span alone.
    #[inline]
    pub fn add(&mut self, tag: Tag) {
        if tag.missing | tag.baggage {
            self.note(&tag);
        }
        if let Some(value) = tag.value {
            self.own.push(KeyValue::new(tag.key, value));
        }
    }

    /// An attribute of this span and of every span below it.
    #[inline]
    pub fn scope(&mut self, tag: Tag) {
        if tag.missing | tag.baggage {
            self.note(&tag);
        }
        if let Some(value) = tag.value {
            self.scoped.push(KeyValue::new(tag.key, shared(value)));
        }
    }

    /// What a tag asks for besides being an attribute.
    #[cold]
    fn note(&mut self, tag: &Tag) {
        let notes = self.notes.get_or_insert_default();
        if tag.missing {
            notes.missing.push(tag.key);
        }
        if let (true, Some(value)) = (tag.baggage, &tag.value) {
            notes.baggage.push((tag.key, value.as_str().into_owned()));
        }
    }

    /// An attribute of this span alone, as it is.
    #[cfg(any(feature = "propagation", feature = "sql"))]
    #[cfg_attr(not(feature = "full"), allow(dead_code, reason = "each transport uses some of it"))]
    pub(crate) fn attribute(&mut self, key: &'static str, value: impl Into<Value>) {
        self.own.push(KeyValue::new(key, value));
    }

    /// Whether the call itself gives a value for `key`.
    pub(crate) fn sets(&self, key: &Key) -> bool {
        has_key(&self.own, key) || has_key(&self.scoped, key)
    }

    /// Completes `own` to the attributes of a span that starts below `context`: what was set for
    /// it, then what it inherits, without the keys that were set. Gives the context of the call, if
    /// that is another one.
    pub(crate) fn finish(&mut self, context: &Context, inherited: &[KeyValue]) -> Option<Context> {
        for tag in self.scoped.iter().chain(inherited) {
            if !has_key(&self.own, &tag.key) {
                self.own.push(tag.clone());
            }
        }
        self.enrich(context)
    }

    /// `context` with the scoped tags and the baggage of this call; `None` if there are none.
    #[inline]
    pub(crate) fn enrich(&mut self, context: &Context) -> Option<Context> {
        let baggage =
            self.notes.as_mut().map(|notes| std::mem::take(&mut notes.baggage)).filter(|baggage| !baggage.is_empty());
        if baggage.is_none() && self.scoped.is_empty() {
            return None;
        }
        Some(self.enriched(context, baggage))
    }

    fn enriched(&mut self, context: &Context, propagated: Option<Vec<(&'static str, String)>>) -> Context {
        let mut ambient = Ambient::of(context).map_or_else(Ambient::default, |ambient| Ambient::clone(ambient));
        if !self.scoped.is_empty() {
            let mut tags = std::mem::take(&mut self.scoped);
            let set = tags.len();
            for tag in ambient.tags.iter() {
                if !has_key(&tags[..set], &tag.key) {
                    tags.push(tag.clone());
                }
            }
            ambient.tags = tags.into();
        }
        let Some(propagated) = propagated else { return ambient.put(context) };
        let mut baggage: Baggage = ambient::entries(context.baggage()).collect();
        let expected = propagated.iter().filter(|(key, _)| baggage.get(key).is_none()).count() + baggage.len();
        for (key, value) in propagated {
            baggage.insert(key, value);
        }
        if baggage.len() < expected {
            tracing::warn!(
                "baggage is full: a propagated tag stays in this process (W3C Baggage allows 64 members and 8192 bytes)"
            );
        }
        ambient.baggage = Some(ambient::entries(&baggage).collect());
        ambient.put(&context.with_baggage(baggage))
    }
}

/// The tags that hold here: what `#[biz_tags]` of this function and of those above it have set.
///
/// Log formatters and client libraries read them. Costs one look-up in the current context; empty
/// where no tag is set, and in a trace that is not sampled.
///
/// ```
/// use throughline::biz_tags;
///
/// #[biz_tags(tenant_id)]
/// fn checkout(tenant_id: &str) -> usize {
///     throughline::current_tags().len()
/// }
/// assert_eq!(checkout("acme"), 1);
/// ```
pub fn current_tags() -> Arc<[KeyValue]> {
    current::with(|context| Ambient::of(context).map_or_else(Arc::default, |ambient| Arc::clone(&ambient.tags)))
}

pub(crate) fn has_key(attributes: &[KeyValue], key: &Key) -> bool {
    attributes.iter().any(|attribute| attribute.key == *key)
}

/// Makes the text of a value shareable, so that spans below take it without a copy.
pub(crate) fn shared(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(StringValue::from(Arc::<str>::from(String::from(text)))),
        other => other,
    }
}

/// The value of a plain tag. Bounded by [`TagValue`]'s conversions.
#[inline]
pub fn value(of: &(impl TagValue + ?Sized)) -> Option<Value> {
    of.tag_value()
}
