//! Business tags: how they are collected for a call, and how the context stores them.

mod below;
mod limit;
mod needed;
mod report;
mod tag;

use std::collections::HashSet;
use std::sync::Arc;

use opentelemetry::{Key, KeyValue, StringValue, Value};

use crate::guard::panics::caught;
#[cfg(feature = "sdk")]
use crate::tags::draft::Draft;
use crate::tags::value::{TagValue, bound};

#[cfg(feature = "sdk")]
pub(super) use self::below::changed;
pub use self::below::current_tags;
#[cfg(feature = "sdk")]
pub(super) use self::limit::max_scoped;
#[cfg(feature = "otlp")]
pub(crate) use self::limit::set_max_scoped;
#[cfg(feature = "log")]
pub(crate) use self::needed::read_by_logs;
pub(crate) use self::needed::{NeededTags, is_read_by_logs};
#[cfg(feature = "sdk")]
pub(super) use self::report::report_dropped;
pub(crate) use self::report::report_missing;
#[cfg(feature = "propagation")]
pub(crate) use self::report::report_unsent;
pub use self::tag::{Tag, optional, put, value};

/// Collects the tags of one call.
#[derive(Debug, Default)]
pub struct Tags {
    /// Attributes of this span alone.
    pub(crate) own: Vec<KeyValue>,
    /// The number of leading attributes in `own` that describe the source code and are not tags.
    described: usize,
    /// Whether there may be a tag with a `code.*` key.
    has_code_tag: bool,
    /// Attributes of this span and of every span below it.
    pub(crate) scoped: Vec<KeyValue>,
    /// Effects of tags besides being attributes. Boxed, because most calls have none.
    effects: Option<Box<TagEffects>>,
    /// If the call is not recorded: the tags that are needed nevertheless.
    needed: Option<NeededTags>,
    /// Receives the tags instead of the lists, if the span is started by our own tracer.
    #[cfg(feature = "sdk")]
    pub(in crate::tags) draft: Option<Box<Draft>>,
}

/// Effects of tags besides being attributes.
#[derive(Debug, Default)]
struct TagEffects {
    /// Baggage members to send to other processes.
    baggage: Vec<(&'static str, String)>,
    /// Required tags without a value.
    missing: Vec<&'static str>,
}

impl Tags {
    /// Creates the tags of a function with the attributes that describe it.
    #[inline]
    pub(crate) fn of(described: Vec<KeyValue>) -> Self {
        // A struct literal: with `..Self::default()`, every traced function would contain a call to drop `own`.
        Self {
            described: described.len(),
            own: described,
            has_code_tag: false,
            scoped: Vec::new(),
            effects: None,
            needed: None,
            #[cfg(feature = "sdk")]
            draft: None,
        }
    }

    /// Inserts the attributes that describe the function before the tags.
    pub(crate) fn describe(&mut self, mut described: Vec<KeyValue>) {
        self.described = described.len();
        described.append(&mut self.own);
        self.own = described;
    }

    /// Ignores tags that are added from now on, unless they are needed although nothing is recorded.
    pub(crate) fn keep_only(&mut self, needed: NeededTags) {
        self.needed = Some(needed);
    }

    /// Takes the required tags without a value.
    #[inline]
    pub(crate) fn take_missing(&mut self) -> Vec<&'static str> {
        self.effects.as_mut().map(|effects| std::mem::take(&mut effects.missing)).unwrap_or_default()
    }

    /// Adds an attribute to this span only. `tag` is not called if nothing uses the attribute.
    #[inline]
    pub fn add(&mut self, key: &'static str, tag: impl FnOnce() -> Tag) {
        self.collect(key, false, |tags| tags.put(key, tag(), false));
    }

    /// Adds an attribute to this span and to every span below it. `tag` is not called if nothing uses the attribute.
    #[inline]
    pub fn scope(&mut self, key: &'static str, tag: impl FnOnce() -> Tag) {
        self.collect(key, true, |tags| tags.put(key, tag(), true));
    }

    /// Calls `fill`, which adds the tag `key`, unless nothing uses the tag. If it panics, the tag has no value.
    #[doc(hidden)]
    #[inline]
    pub fn collect(&mut self, key: &'static str, scoped: bool, fill: impl FnOnce(&mut Self)) {
        let is_used = self.needed.as_ref().is_none_or(|needed| scoped && needed.needs(key));
        self.has_code_tag |= describes_code(key);
        if is_used && caught(|| fill(self)).is_none() {
            self.panicked(key);
        }
    }

    /// Adds the value of an argument to this span only. Unlike [`add`](Self::add), it is compiled once.
    #[doc(hidden)]
    #[inline(never)]
    pub fn add_value(&mut self, key: &'static str, value: &dyn TagValue) {
        #[cfg(feature = "sdk")]
        if self.encode_scalar(key, value, false) {
            return;
        }
        self.add(key, || Tag::new(value.tag_value()));
    }

    /// Adds the value of an argument to this span and to every span below it.
    #[doc(hidden)]
    #[inline(never)]
    pub fn scope_value(&mut self, key: &'static str, value: &dyn TagValue) {
        #[cfg(feature = "sdk")]
        if self.encode_scalar(key, value, true) {
            return;
        }
        self.scope(key, || Tag::new(value.tag_value()));
    }

    /// Not inlined, so that the value is moved only once.
    #[inline(never)]
    fn put(&mut self, key: &'static str, mut tag: Tag, scoped: bool) {
        if let Some(value) = &mut tag.value {
            bound(value);
        }
        if tag.missing | tag.baggage {
            self.record_effects(key, &tag);
        }
        // In place: moving a value right after its parts were written is slow, because it defeats store forwarding.
        #[cfg(feature = "sdk")]
        if let (Some(draft), Some(value)) = (&mut self.draft, &tag.value) {
            return if scoped { draft.scope(key, value) } else { draft.fields.set(key, value) };
        }
        let Some(value) = tag.value else { return };
        if scoped {
            self.scoped.retain(|earlier| earlier.key.as_str() != key);
            self.scoped.push(KeyValue::new(key, shared(value)));
        } else {
            self.own.push(KeyValue::new(key, value));
        }
    }

    /// A tag whose expression panicked has no value and is reported as missing; a placeholder text would have a
    /// different type from the tag.
    #[cold]
    fn panicked(&mut self, key: &'static str) {
        self.effects.get_or_insert_default().missing.push(key);
    }

    /// Records the effects of a tag besides being an attribute.
    #[cold]
    fn record_effects(&mut self, key: &'static str, tag: &Tag) {
        let effects = self.effects.get_or_insert_default();
        if tag.missing {
            effects.missing.push(key);
        }
        if let (true, Some(value)) = (tag.baggage, &tag.value) {
            effects.baggage.push((key, value.as_str().into_owned()));
        }
    }

    /// Adds an attribute to this span only, from OpenTelemetry's types. The value is not truncated.
    #[cfg(feature = "integration")]
    pub fn attribute(&mut self, key: impl Into<Key>, value: impl Into<Value>) {
        self.push(KeyValue::new(key, value));
    }

    /// Adds attributes to this span only, unchanged.
    #[cfg(feature = "integration")]
    pub fn extend(&mut self, attributes: impl IntoIterator<Item = KeyValue>) {
        attributes.into_iter().for_each(|attribute| self.push(attribute));
    }

    pub(crate) fn push(&mut self, attribute: KeyValue) {
        #[cfg(feature = "sdk")]
        if let Some(draft) = &mut self.draft {
            return draft.fields.set(attribute.key.as_str(), &attribute.value);
        }
        self.own.push(attribute);
    }

    /// Drops the tags. Most own nothing by then, which saves a destructor call for each of the empty lists.
    #[cfg(feature = "sdk")]
    #[inline]
    pub(crate) fn discard(self) {
        let is_empty = self.own.capacity() == 0 && self.scoped.capacity() == 0 && self.effects.is_none();
        if is_empty && self.draft.is_none() && self.needed.is_none() {
            std::mem::forget(self);
        }
    }

    /// Whether the tags are encoded, and have no effects besides being attributes.
    #[cfg(feature = "sdk")]
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.effects.is_none() && self.draft.as_ref().is_some_and(|draft| draft.is_plain())
    }

    /// Whether no tag affects anything but this span.
    pub(crate) fn is_empty(&self) -> bool {
        self.scoped.is_empty() && self.effects.is_none()
    }

    /// Whether the call itself sets `key`.
    pub(crate) fn sets(&self, key: &Key) -> bool {
        #[cfg(feature = "sdk")]
        if let Some(draft) = &self.draft {
            return draft.sets(key.as_str());
        }
        has_key(&self.own, key) || has_key(&self.scoped, key)
    }

    /// The attributes of the span, without those that describe the function.
    #[inline]
    pub(crate) fn explicit(&self) -> &[KeyValue] {
        &self.own[self.described..]
    }

    /// Removes attributes that describe the function if a tag overrides them.
    #[inline]
    pub(crate) fn prefer_explicit(&mut self) {
        if self.has_code_tag {
            self.remove_overridden();
        }
    }

    #[cold]
    fn remove_overridden(&mut self) {
        let keys: Vec<_> = self.explicit().iter().chain(&self.scoped).map(|tag| tag.key.clone()).collect();
        let (mut at, described) = (0, self.described);
        self.own.retain(|attribute| {
            at += 1;
            let stays = at > described || !keys.contains(&attribute.key);
            self.described -= usize::from(!stays);
            stays
        });
    }
}

/// Makes a closure that fills tags callable through a `&mut` reference. Calls after the first have no effect.
#[inline]
pub(crate) fn once(fill: impl FnOnce(&mut Tags)) -> impl FnMut(&mut Tags) {
    let mut fill = Some(fill);
    move |tags| {
        if let Some(fill) = fill.take() {
            fill(tags);
        }
    }
}

/// Whether the key may be one that describes source code. Evaluated at compile time for generated code.
#[inline]
fn describes_code(key: &'static str) -> bool {
    key.starts_with("code.")
}

/// Up to this many comparisons of keys are cheaper than hashing them.
const FEW: usize = 512;

/// The `tags` whose keys are not in `set`.
pub(crate) fn without(tags: &[KeyValue], set: &[KeyValue]) -> Vec<KeyValue> {
    if tags.len() * set.len() <= FEW {
        return tags.iter().filter(|tag| !has_key(set, &tag.key)).cloned().collect();
    }
    let keys: HashSet<_> = set.iter().map(|tag| tag.key.as_str()).collect();
    tags.iter().filter(|tag| !keys.contains(tag.key.as_str())).cloned().collect()
}

pub(crate) fn has_key(attributes: &[KeyValue], key: &Key) -> bool {
    attributes.iter().any(|attribute| attribute.key == *key)
}

/// Makes the text of a value shareable, so that spans below can use it without copying.
pub(crate) fn shared(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(StringValue::from(Arc::<str>::from(String::from(text)))),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_override_attributes_that_describe_the_code() {
        let mut tags = Tags::of(vec![
            KeyValue::new("code.function.name", "place"),
            KeyValue::new("code.file.path", "src/orders.rs"),
            KeyValue::new("code.line.number", 300),
        ]);
        tags.add("order_no", || Tag::new(Some(1.into())));
        tags.add("code.function.name", || Tag::new(Some("mine".into())));
        tags.scope("code.line.number", || Tag::new(Some(7.into())));
        tags.prefer_explicit();
        let explicit = [KeyValue::new("order_no", 1), KeyValue::new("code.function.name", "mine")];
        assert_eq!(tags.explicit(), explicit);
        assert_eq!(tags.own, [&[KeyValue::new("code.file.path", "src/orders.rs")][..], &explicit].concat());
        let sets = ["order_no", "code.line.number", "tenant_id"].map(|key| tags.sets(&key.into()));
        assert_eq!(sets, [true, true, false]);
    }

    /// Long lists are compared by hashing.
    #[test]
    fn attributes_of_the_span_override_tags_however_many_there_are() {
        for count in [2, 60] {
            let keys: Vec<&'static str> = (0..count).map(|n| &*format!("key{n}").leak()).collect();
            let mut tags = Tags::default();
            for key in &keys[..count / 2] {
                tags.add(key, || Tag::new(Some("own".into())));
            }
            for key in &keys {
                tags.scope(key, || Tag::new(Some("scoped".into())));
            }
            let inherited: Vec<_> = keys.iter().chain(&["other"]).map(|key| KeyValue::new(*key, "inherited")).collect();
            tags.finish(&opentelemetry::Context::new(), &inherited);
            let own = keys[..count / 2].iter().map(|key| KeyValue::new(*key, "own"));
            let scoped = keys[count / 2..].iter().map(|key| KeyValue::new(*key, "scoped"));
            let expected: Vec<_> = own.chain(scoped).chain([KeyValue::new("other", "inherited")]).collect();
            assert_eq!(tags.own, expected, "{count}");
        }
    }
}
