//! Business tags: how they are written down, and how the context holds them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use opentelemetry::baggage::{Baggage, BaggageExt as _};
use opentelemetry::{Context, Key, KeyValue, StringValue, Value, global};

use crate::context::current;
use crate::context::data::{self, Data};
use crate::guard::panics::caught;
use crate::tags::secret;
use crate::tags::value::{TagValue, bound, whole};

/// The value of one tag on its way to a span.
#[derive(Debug)]
pub struct Tag {
    value: Option<Value>,
    whole: bool,
    missing: bool,
    baggage: bool,
}

impl Tag {
    /// A tag whose value is known, or is absent.
    #[inline]
    pub fn new(value: Option<Value>) -> Self {
        Self { value, whole: false, missing: false, baggage: false }
    }

    /// A tag of whose whole value something is made that does not depend on where values are cut.
    pub fn whole(value: impl FnOnce() -> Option<Value>) -> Self {
        Self { value: whole(value), whole: true, missing: false, baggage: false }
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
        self.value = self.value.or_else(|| if self.whole { whole(fallback) } else { fallback() });
        self
    }

    /// Replaces the value by its keyed hash. See [`crate::set_hash_key`].
    #[must_use]
    pub fn hash(mut self) -> Self {
        self.value = self.value.map(|value| secret::hidden(&value, secret::hash));
        self
    }

    /// Replaces all but the last four characters, or all of a short text.
    #[must_use]
    pub fn mask(mut self) -> Self {
        self.value = self.value.map(|value| secret::hidden(&value, secret::mask));
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
    /// How many of them, from the first on, are no tags, but describe the function.
    described: usize,
    /// Whether there may be a tag with a key that describes code.
    says_code: bool,
    /// Attributes of this span and of every span below it.
    pub(crate) scoped: Vec<KeyValue>,
    /// What most calls do not ask for.
    notes: Option<Box<Notes>>,
    /// Without a span, which tags are needed all the same.
    quiet: Option<Quiet>,
}

/// What tags ask for besides being attributes.
#[derive(Debug, Default)]
struct Notes {
    /// What is to leave the process as W3C baggage.
    baggage: Vec<(&'static str, String)>,
    /// Required tags without a value.
    missing: Vec<&'static str>,
}

/// Which tags are needed where nothing is recorded.
#[derive(Debug)]
pub(crate) enum Quiet {
    /// All of those in scope: logs read them.
    Logs,
    /// Those that replace something of this context.
    Replacing(Context),
}

impl Quiet {
    /// `None` if no tag is: there is nothing that one could replace, and no log reads them.
    #[inline]
    pub(crate) fn below(context: &Context) -> Option<Self> {
        if is_read_by_logs() {
            return Some(Self::Logs);
        }
        let needed = Data::of(context).is_some_and(|data| !data.tags.is_empty());
        (needed || !context.baggage().is_empty()).then(|| Self::Replacing(context.clone()))
    }

    /// Whether the scoped tag `key` is needed: logs read all, and what stands for its key in the
    /// context must not outlive what the code says here.
    fn needs(&self, key: &'static str) -> bool {
        let Self::Replacing(context) = self else { return true };
        context.baggage().get(key).is_some()
            || Data::of(context).is_some_and(|data| data.tags.iter().any(|tag| tag.key.as_str() == key))
    }
}

/// Whether the tags of traces that are not sampled are read as well.
static READ_BY_LOGS: AtomicBool = AtomicBool::new(false);

#[inline]
pub(crate) fn is_read_by_logs() -> bool {
    READ_BY_LOGS.load(Ordering::Relaxed)
}

/// From now on, and for good, scoped tags are evaluated in traces that are not sampled too.
#[cfg(feature = "log")]
pub(crate) fn read_by_logs() {
    READ_BY_LOGS.store(true, Ordering::Relaxed);
}

impl Tags {
    /// The tags of a function that is described by `described`.
    #[inline]
    pub(crate) fn of(described: Vec<KeyValue>) -> Self {
        // Not from a default, whose own tags would be dropped, which is a call in each traced function.
        Self {
            described: described.len(),
            own: described,
            says_code: false,
            scoped: Vec::new(),
            notes: None,
            quiet: None,
        }
    }

    /// Puts what describes the function before the tags that there are.
    pub(crate) fn describe(&mut self, mut described: Vec<KeyValue>) {
        self.described = described.len();
        described.append(&mut self.own);
        self.own = described;
    }

    /// The tags of a call of which nothing is recorded.
    #[cold]
    pub(crate) fn quiet(quiet: Quiet) -> Self {
        Self { quiet: Some(quiet), ..Self::default() }
    }

    /// From here on, takes only what is needed where nothing is recorded.
    pub(crate) fn be_quiet(&mut self, quiet: Quiet) {
        self.quiet = Some(quiet);
    }

    /// Required tags without a value.
    #[inline]
    pub(crate) fn missing(&self) -> &[&'static str] {
        self.notes.as_ref().map_or(&[], |notes| &notes.missing)
    }

    /// Takes the required tags without a value.
    #[inline]
    pub(crate) fn take_missing(&mut self) -> Vec<&'static str> {
        self.notes.as_mut().map(|notes| std::mem::take(&mut notes.missing)).unwrap_or_default()
    }

    /// An attribute of this span alone. `tag` is not called where nobody would see it.
    #[inline]
    pub fn add(&mut self, key: &'static str, tag: impl FnOnce() -> Tag) {
        if self.quiet.is_some() {
            return;
        }
        self.says_code |= describes_code(key);
        if caught(|| self.put_own(key, tag())).is_none() {
            self.panicked(key);
        }
    }

    /// An attribute of this span and of every span below it. `tag` is not called where nobody would
    /// see it.
    #[inline]
    pub fn scope(&mut self, key: &'static str, tag: impl FnOnce() -> Tag) {
        if self.quiet.as_ref().is_some_and(|quiet| !quiet.needs(key)) {
            return;
        }
        self.says_code |= describes_code(key);
        if caught(|| self.put_scoped(key, tag())).is_none() {
            self.panicked(key);
        }
    }

    /// Adds the tag. Out of line, so that the value is moved once, and not at each step.
    #[inline(never)]
    fn put_own(&mut self, key: &'static str, mut tag: Tag) {
        self.look_at(key, &mut tag);
        if let Some(value) = tag.value {
            self.own.push(KeyValue::new(key, value));
        }
    }

    #[inline(never)]
    fn put_scoped(&mut self, key: &'static str, mut tag: Tag) {
        self.look_at(key, &mut tag);
        if let Some(value) = tag.value {
            self.scoped.push(KeyValue::new(key, shared(value)));
        }
    }

    #[inline]
    fn look_at(&mut self, key: &'static str, tag: &mut Tag) {
        if let Some(value) = &mut tag.value {
            bound(value);
        }
        if tag.missing | tag.baggage {
            self.note(key, tag);
        }
    }

    /// A tag whose expression has panicked has no value, and is reported as missing: a text in its place
    /// would have another type than the tag's.
    #[cold]
    fn panicked(&mut self, key: &'static str) {
        self.notes.get_or_insert_default().missing.push(key);
    }

    /// What a tag asks for besides being an attribute.
    #[cold]
    fn note(&mut self, key: &'static str, tag: &Tag) {
        let notes = self.notes.get_or_insert_default();
        if tag.missing {
            notes.missing.push(key);
        }
        if let (true, Some(value)) = (tag.baggage, &tag.value) {
            notes.baggage.push((key, value.as_str().into_owned()));
        }
    }

    /// An attribute of this span alone, at hand as OpenTelemetry's value. It is not cut.
    pub fn attribute(&mut self, key: impl Into<Key>, value: impl Into<Value>) {
        self.own.push(KeyValue::new(key, value));
    }

    /// Attributes of this span alone, as they are.
    pub fn extend(&mut self, attributes: impl IntoIterator<Item = KeyValue>) {
        self.own.extend(attributes);
    }

    /// Whether nothing is asked for that concerns more than this span.
    pub(crate) fn is_empty(&self) -> bool {
        self.scoped.is_empty() && self.notes.is_none()
    }

    /// Whether the call itself gives a value for `key`.
    pub(crate) fn sets(&self, key: &Key) -> bool {
        has_key(&self.own, key) || has_key(&self.scoped, key)
    }

    /// The attributes of the span, without those that describe the function.
    #[inline]
    pub(crate) fn given(&self) -> &[KeyValue] {
        &self.own[self.described..]
    }

    /// Takes out what describes the function, where the tags say something else.
    #[inline]
    pub(crate) fn prefer_given(&mut self) {
        if self.says_code {
            self.take_out();
        }
    }

    #[cold]
    fn take_out(&mut self) {
        let keys: Vec<_> = self.given().iter().chain(&self.scoped).map(|tag| tag.key.clone()).collect();
        let (mut at, described) = (0, self.described);
        self.own.retain(|attribute| {
            at += 1;
            let stays = at > described || !keys.contains(&attribute.key);
            self.described -= usize::from(!stays);
            stays
        });
    }

    /// Completes `own` to the attributes of a span that starts below `context`: what was set for
    /// it, then what it inherits, without the keys that were set. Gives the context of the call, if
    /// that is another one.
    pub(crate) fn finish(&mut self, context: &Context, inherited: &[KeyValue]) -> Option<Context> {
        self.cap(inherited);
        for tags in [&self.scoped[..], inherited] {
            // Keys are compared with those that were set for the span, and not with each other.
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

    /// Lets go of tags for which there is no room in the scope. A tag that replaces one needs none.
    #[inline]
    fn cap(&mut self, inherited: &[KeyValue]) {
        let max = MAX_SCOPED.load(Ordering::Relaxed);
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

    /// `context` with the scoped tags and the baggage of this call; `None` if that is what it has.
    #[inline]
    pub(crate) fn enrich(&mut self, context: &Context) -> Option<Context> {
        if self.scoped.is_empty() && self.notes.is_none() {
            return None;
        }
        self.enriched(context)
    }

    fn enriched(&mut self, context: &Context) -> Option<Context> {
        let known = Data::of(context);
        let inherited = known.map_or(&[][..], |data| &data.tags);
        self.cap(inherited);
        let propagated = self.notes.as_mut().map(|notes| std::mem::take(&mut notes.baggage)).unwrap_or_default();
        let baggage = changed(context.baggage(), &self.scoped, propagated);
        let tags = (!self.scoped.iter().all(|tag| inherited.contains(tag))).then(|| {
            let mut tags = std::mem::take(&mut self.scoped);
            let kept = without(inherited, &tags);
            tags.extend(kept);
            Arc::from(tags)
        });
        if tags.is_none() && baggage.is_none() {
            return None;
        }
        let mut data = known.map_or_else(Data::default, |data| Data::clone(data));
        if let Some(tags) = tags {
            data.tags = tags;
        }
        let Some(baggage) = baggage else { return Some(data.put(context)) };
        data.baggage = Some(data::entries(&baggage).collect());
        Some(data.put(&context.with_baggage(baggage)))
    }
}

/// The baggage with the members that are to leave the process, and without those that `tags` say
/// something else of; `None` if it stays as it is.
///
/// A tag that is not to propagate is never written, so a member with another value can only go: the
/// services below would read of one trace what this one knows to be wrong.
fn changed(baggage: &Baggage, tags: &[KeyValue], propagated: Vec<(&'static str, String)>) -> Option<Baggage> {
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
            "baggage is full: a propagated tag stays in this process (W3C Baggage allows 64 members and 8192 bytes)"
        );
    }
    Some(changed)
}

/// The tags that hold here: what `#[biz_tags]` of this function and of those above it have set.
///
/// Log formatters and client libraries read them. Costs one look-up in the current context; empty
/// where no tag is set.
///
/// In a trace that is not sampled, it depends on whether logs want them. As soon as one of this
/// crate's log formatters exists in the process (`log::Text`, `log::json`, …), the tags are all there.
/// Otherwise only those are evaluated that are propagated, and those that replace one: an unsampled
/// call costs next to nothing then.
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
    current::with(|context| Data::of(context).map_or_else(Arc::default, |data| Arc::clone(&data.tags)))
}

/// How many tags may be in scope: as many attributes as a span has, if not said otherwise.
static MAX_SCOPED: AtomicUsize = AtomicUsize::new(128);

/// Says how many tags may be in scope in this process.
#[cfg(feature = "otlp")]
pub(crate) fn set_max_scoped(max: usize) {
    MAX_SCOPED.store(max, Ordering::Relaxed);
}

/// Tells that there was no room for tags: a count, and a warning for the first.
#[cold]
fn report_dropped(count: usize, first: &Key, max: usize) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    global::meter("throughline")
        .u64_counter("throughline.tags.dropped")
        .with_unit("{tag}")
        .with_description("Tags for which there was no room in their scope")
        .build()
        .add(count as u64, &[]);
    if !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "the tag `{first}` and perhaps others are dropped: there are {max} tags in scope; record what is of one \
             span alone with `tags(…)` or `throughline::record`, or raise `OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT`"
        );
    }
}

/// So many comparisons of keys are cheaper than to hash the keys.
const FEW: usize = 512;

/// Those of `tags` whose keys are not in `set`.
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

/// Whether the key is one of those that describe the function. Known when generated code is compiled.
#[inline]
fn describes_code(key: &'static str) -> bool {
    key.starts_with("code.")
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
