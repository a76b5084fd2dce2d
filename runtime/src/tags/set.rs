//! Business tags: how they are collected for a call, and how the context stores them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use opentelemetry::baggage::{Baggage, BaggageExt as _};
use opentelemetry::{Context, Key, KeyValue, StringValue, Value, global};

use crate::context::current;
use crate::context::data::{self, Data};
use crate::guard::panics::caught;
#[cfg(feature = "sdk")]
use crate::tags::draft::Draft;
use crate::tags::scoped::{self, ScopedTags};
use crate::tags::secret;
use crate::tags::value::{TagValue, bound, whole};

/// The value of a tag, with its modifiers.
#[derive(Debug)]
pub struct Tag {
    value: Option<Value>,
    whole: bool,
    missing: bool,
    baggage: bool,
}

impl Tag {
    /// Creates a tag. `None` means that there is no value.
    #[inline]
    pub fn new(value: Option<Value>) -> Self {
        Self { value, whole: false, missing: false, baggage: false }
    }

    /// Creates a tag from the complete value, without truncation, so that a hash or mask of it does not depend on the
    /// limits.
    pub fn whole(value: impl FnOnce() -> Option<Value>) -> Self {
        Self { value: whole(value), whole: true, missing: false, baggage: false }
    }

    /// Reports the tag as missing if it has no value.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.missing = self.value.is_none();
        self
    }

    /// Sets a fallback for a missing value.
    #[must_use]
    pub fn or(mut self, fallback: impl FnOnce() -> Option<Value>) -> Self {
        self.value = self.value.or_else(|| if self.whole { whole(fallback) } else { fallback() });
        self
    }

    /// Replaces the value by its keyed hash. See [`crate::set_hash_key`].
    #[must_use]
    pub fn hash(mut self) -> Self {
        self.value = self.value.map(|value| secret::hidden(&value, secret::hash));
        self
    }

    /// Masks all but the last four characters, or all of a short text.
    #[must_use]
    pub fn mask(mut self) -> Self {
        self.value = self.value.map(|value| secret::hidden(&value, secret::mask));
        self
    }

    /// Also adds the tag to the W3C baggage, so that it is sent to other processes.
    #[must_use]
    pub fn propagate(mut self) -> Self {
        self.baggage = true;
        self
    }
}

/// Collects the tags of one call.
#[derive(Debug, Default)]
pub struct Tags {
    /// Attributes of this span alone.
    pub(crate) own: Vec<KeyValue>,
    /// How many of them, counted from the first, describe the source code and are not tags.
    described: usize,
    /// Whether there may be a tag whose key describes source code.
    says_code: bool,
    /// Attributes of this span and of every span below it.
    pub(crate) scoped: Vec<KeyValue>,
    /// Effects of tags besides being attributes. Boxed, because most calls have none.
    effects: Option<Box<TagEffects>>,
    /// If nothing is recorded: which tags are needed nevertheless.
    needed: Option<NeededTags>,
    /// Where tags go, in place of the lists, if the span is one of our own tracer's.
    #[cfg(feature = "sdk")]
    pub(super) draft: Option<Box<Draft>>,
}

/// Effects of tags besides being attributes.
#[derive(Debug, Default)]
struct TagEffects {
    /// Baggage members to send to other processes.
    baggage: Vec<(&'static str, String)>,
    /// Required tags without a value.
    missing: Vec<&'static str>,
}

/// Which tags are needed although nothing is recorded.
#[derive(Debug)]
pub(crate) enum NeededTags {
    /// All tags in scope, for log lines.
    ForLogs,
    /// Tags that override a tag or a baggage member of this context.
    Overriding(Context),
}

impl NeededTags {
    /// `None` if no tags are needed: there is nothing that they could override, and no log formatter uses them.
    #[inline]
    pub(crate) fn below(context: &Context) -> Option<Self> {
        if is_read_by_logs() {
            return Some(Self::ForLogs);
        }
        // A span of our own tracer would not be off.
        let needed = Data::of(context).is_some_and(|data| !data.tags.is_empty());
        (needed || !context.baggage().is_empty()).then(|| Self::Overriding(context.clone()))
    }

    /// Whether the scoped tag `key` is needed: log lines include all tags, and an outdated value in the context has
    /// to be overridden.
    fn needs(&self, key: &'static str) -> bool {
        let Self::Overriding(context) = self else { return true };
        context.baggage().get(key).is_some() || Data::of(context).is_some_and(|data| data.tags.has(key))
    }
}

/// Whether log lines include tags, in traces that are not sampled too.
static READ_BY_LOGS: AtomicBool = AtomicBool::new(false);

#[inline]
pub(crate) fn is_read_by_logs() -> bool {
    READ_BY_LOGS.load(Ordering::Relaxed)
}

/// Enables the evaluation of scoped tags in traces that are not sampled. Cannot be undone.
#[cfg(feature = "log")]
pub(crate) fn read_by_logs() {
    READ_BY_LOGS.store(true, Ordering::Relaxed);
}

impl Tags {
    /// Creates the tags of a function with the attributes that describe it.
    #[inline]
    pub(crate) fn of(described: Vec<KeyValue>) -> Self {
        // A struct literal: with `..Self::default()`, every traced function would contain a call to drop `own`.
        Self {
            described: described.len(),
            own: described,
            says_code: false,
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

    /// Creates the tags of a call that is not recorded.
    #[cold]
    pub(crate) fn unrecorded(needed: NeededTags) -> Self {
        Self { needed: Some(needed), ..Self::default() }
    }

    /// Ignores tags that are added from now on, unless they are needed although nothing is recorded.
    pub(crate) fn keep_only(&mut self, needed: NeededTags) {
        self.needed = Some(needed);
    }

    /// Required tags without a value.
    #[inline]
    pub(crate) fn missing(&self) -> &[&'static str] {
        self.effects.as_ref().map_or(&[], |effects| &effects.missing)
    }

    /// Takes the required tags without a value.
    #[inline]
    pub(crate) fn take_missing(&mut self) -> Vec<&'static str> {
        self.effects.as_mut().map(|effects| std::mem::take(&mut effects.missing)).unwrap_or_default()
    }

    /// Adds an attribute to this span only. `tag` is not called if nothing uses the attribute.
    #[inline]
    pub fn add(&mut self, key: &'static str, tag: impl FnOnce() -> Tag) {
        if self.needed.is_some() {
            return;
        }
        self.says_code |= describes_code(key);
        if caught(|| self.put_own(key, tag())).is_none() {
            self.panicked(key);
        }
    }

    /// Adds an attribute to this span and to every span below it. `tag` is not called if nothing uses the attribute.
    #[inline]
    pub fn scope(&mut self, key: &'static str, tag: impl FnOnce() -> Tag) {
        if self.needed.as_ref().is_some_and(|needed| !needed.needs(key)) {
            return;
        }
        self.says_code |= describes_code(key);
        if caught(|| self.put_scoped(key, tag())).is_none() {
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

    /// Adds the tag. Not inlined, so that the value is moved only once.
    #[inline(never)]
    fn put_own(&mut self, key: &'static str, mut tag: Tag) {
        self.look_at(key, &mut tag);
        if let Some(value) = tag.value {
            #[cfg(feature = "sdk")]
            if let Some(draft) = &mut self.draft {
                return draft.fields.set(key, &value);
            }
            self.own.push(KeyValue::new(key, value));
        }
    }

    #[inline(never)]
    fn put_scoped(&mut self, key: &'static str, mut tag: Tag) {
        self.look_at(key, &mut tag);
        if let Some(value) = tag.value {
            #[cfg(feature = "sdk")]
            if let Some(draft) = &mut self.draft {
                return draft.scope(key, &value);
            }
            self.scoped.push(KeyValue::new(key, shared(value)));
        }
    }

    #[inline]
    fn look_at(&mut self, key: &'static str, tag: &mut Tag) {
        if let Some(value) = &mut tag.value {
            bound(value);
        }
        if tag.missing | tag.baggage {
            self.record_effects(key, tag);
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
    pub fn attribute(&mut self, key: impl Into<Key>, value: impl Into<Value>) {
        self.push(KeyValue::new(key, value));
    }

    /// Adds attributes to this span only, unchanged.
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

    /// Whether there is nothing to drop.
    #[cfg(feature = "sdk")]
    #[inline]
    pub(crate) fn owns_nothing(&self) -> bool {
        self.own.capacity() == 0
            && self.scoped.capacity() == 0
            && self.effects.is_none()
            && self.needed.is_none()
            && self.draft.is_none()
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
        if self.says_code {
            self.take_out();
        }
    }

    #[cold]
    fn take_out(&mut self) {
        let keys: Vec<_> = self.explicit().iter().chain(&self.scoped).map(|tag| tag.key.clone()).collect();
        let (mut at, described) = (0, self.described);
        self.own.retain(|attribute| {
            at += 1;
            let stays = at > described || !keys.contains(&attribute.key);
            self.described -= usize::from(!stays);
            stays
        });
    }

    /// Completes `own` to the attributes of a span that starts below `context`: those that were set, and inherited
    /// tags with other keys. Returns the context of the call, if it differs from `context`.
    pub(crate) fn finish(&mut self, context: &Context, inherited: &[KeyValue]) -> Option<Context> {
        self.cap(inherited);
        for tags in [&self.scoped[..], inherited] {
            // Compared with the keys that were set for the span only, not with each other.
            let set = self.own.len();
            if set * tags.len() <= FEW {
                for tag in tags {
                    if !has_key(&self.own[..set], &tag.key) {
                        self.own.push(tag.clone());
                    }
                }
            } else {
                let new = without(tags, &self.own);
                self.own.extend(new);
            }
        }
        self.enrich(context)
    }

    /// Drops tags that exceed the limit. A tag that overrides another one is always kept.
    #[inline]
    fn cap(&mut self, inherited: &[KeyValue]) {
        let max = max_scoped();
        if self.scoped.len() + inherited.len() > max && !self.scoped.is_empty() {
            self.capped(inherited, max);
        }
    }

    #[cold]
    fn capped(&mut self, inherited: &[KeyValue], max: usize) {
        let known: HashSet<_> = inherited.iter().map(|tag| tag.key.as_str()).collect();
        let (mut room, before) = (max.saturating_sub(inherited.len()), self.scoped.len());
        let mut first = None;
        self.scoped.retain(|tag| {
            if known.contains(tag.key.as_str()) {
                return true;
            }
            let fits = room > 0;
            room = room.saturating_sub(1);
            if !fits {
                first.get_or_insert_with(|| tag.key.clone());
            }
            fits
        });
        if let Some(first) = first {
            report_dropped(before - self.scoped.len(), &first, max);
        }
    }

    /// Returns `context` with the scoped tags and baggage of this call, or `None` if that makes no difference.
    #[inline]
    pub(crate) fn enrich(&mut self, context: &Context) -> Option<Context> {
        if self.scoped.is_empty() && self.effects.is_none() {
            return None;
        }
        self.enriched(context)
    }

    /// Takes the members to add to the baggage.
    pub(super) fn take_propagated(&mut self) -> Vec<(&'static str, String)> {
        self.effects.as_mut().map(|effects| std::mem::take(&mut effects.baggage)).unwrap_or_default()
    }

    fn enriched(&mut self, context: &Context) -> Option<Context> {
        let known = Data::of(context);
        let inherited = scoped::of(context);
        let inherited = &*inherited.list();
        self.cap(inherited);
        let propagated = self.take_propagated();
        let baggage = changed(context.baggage(), &self.scoped, propagated);
        let tags = (!self.scoped.iter().all(|tag| inherited.contains(tag))).then(|| {
            let mut tags = std::mem::take(&mut self.scoped);
            let kept = without(inherited, &tags);
            tags.extend(kept);
            ScopedTags::from(tags)
        });
        if tags.is_none() && baggage.is_none() {
            return None;
        }
        let mut data = known.map_or_else(Data::default, |data| Data::clone(data));
        if let Some(tags) = tags {
            data.set_tags(tags, context);
        }
        let Some(baggage) = baggage else { return Some(data.put(context)) };
        data.baggage = Some(data::entries(&baggage).collect());
        Some(data.put(&context.with_baggage(baggage)))
    }
}

/// Returns the baggage with the propagated tags, and without members that `tags` contradict, or `None` if it is
/// unchanged.
///
/// A tag that is not propagated must not be written, so a member with a different value has to be removed: services
/// below would otherwise receive a value that is known to be outdated.
pub(super) fn changed(
    baggage: &Baggage,
    tags: &[KeyValue],
    propagated: Vec<(&'static str, String)>,
) -> Option<Baggage> {
    if baggage.is_empty() && propagated.is_empty() {
        return None;
    }
    let is_stale = |key: &Key, value: &StringValue| {
        let tag = tags.iter().find(|tag| tag.key == *key);
        tag.is_some_and(|tag| tag.value.as_str() != value.as_str())
            && !propagated.iter().any(|(propagated, _)| *propagated == key.as_str())
    };
    let stays = data::entries(baggage).filter(|(key, (value, _))| !is_stale(key, value)).collect::<Vec<_>>();
    let is_known = |(key, value): &(&str, String)| baggage.get(key).is_some_and(|member| member.as_str() == value);
    if stays.len() == baggage.len() && propagated.iter().all(is_known) {
        return None;
    }
    let mut changed: Baggage = stays.into_iter().collect();
    let expected = propagated.iter().filter(|(key, _)| changed.get(key).is_none()).count() + changed.len();
    for (key, value) in propagated {
        changed.insert(key, value);
    }
    if changed.len() < expected {
        tracing::warn!(
            "baggage limit exceeded: a propagated tag is not sent to other processes (W3C Baggage allows 64 members and 8192 \
             bytes)"
        );
    }
    Some(changed)
}

/// Returns the tags in scope: those set by `#[biz_tags]` on this function and its callers.
///
/// For log formatters and client libraries. This is one lookup in the current context; the result is empty if no tags
/// are set.
///
/// In a trace that is not sampled, the result depends on whether log lines include tags. If the process uses one of
/// this crate's log formatters (`log::Text` and the like), all tags are present. Otherwise, to keep unsampled
/// calls cheap, only tags that are propagated or override another one are evaluated.
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
    current::with(|context| scoped::of(context).into_shared())
}

/// The maximum number of tags in scope. The default is the default attribute limit of a span.
static MAX_SCOPED: AtomicUsize = AtomicUsize::new(128);

pub(super) fn max_scoped() -> usize {
    MAX_SCOPED.load(Ordering::Relaxed)
}

/// Sets the maximum number of tags in scope for this process.
#[cfg(feature = "otlp")]
pub(crate) fn set_max_scoped(max: usize) {
    MAX_SCOPED.store(max, Ordering::Relaxed);
}

/// Reports tags that exceed the limit: a counter, and a warning for the first.
#[cold]
pub(super) fn report_dropped(count: usize, first: &Key, max: usize) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    global::meter("throughline")
        .u64_counter("throughline.tags.dropped")
        .with_unit("{tag}")
        .with_description("Tags dropped because too many were in scope")
        .build()
        .add(count as u64, &[]);
    if !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "tag `{first}` dropped: the limit of {max} tags in scope is reached; further drops are only counted; use `tags(…)` \
             or `throughline::record` for attributes of a single span, or raise `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`"
        );
    }
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

/// Whether the key is one of those that describe source code. Evaluated at compile time for generated code.
#[inline]
fn describes_code(key: &'static str) -> bool {
    key.starts_with("code.")
}

/// Makes the text of a value shareable, so that spans below can use it without copying.
pub(crate) fn shared(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(StringValue::from(Arc::<str>::from(String::from(text)))),
        other => other,
    }
}

/// Converts the value of a tag without modifiers. The conversions of [`TagValue`] apply the limits.
#[inline]
pub fn value(of: &(impl TagValue + ?Sized)) -> Option<Value> {
    of.tag_value()
}
