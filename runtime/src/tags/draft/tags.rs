//! The tags of a call, encoded into the draft of its span.

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::{Context, Value};

use super::Draft;
use crate::context::data;
use crate::encoding::code::CodeAttributes;
use crate::encoding::fields::Fields;
use crate::encoding::reader::{Reader, attribute};
use crate::encoding::wire::ValueRef;
use crate::tags::scoped::{EncodedTags, ScopedTags};
use crate::tags::set::{Tags, changed, max_scoped, report_dropped};
use crate::tags::value::{Scalar, TagValue};

impl Tags {
    /// Encodes the tags collected so far, and those that follow.
    pub(crate) fn encode(&mut self, mut draft: Box<Draft>) {
        draft.set_all(std::mem::take(&mut self.own));
        for tag in std::mem::take(&mut self.scoped) {
            draft.scoped.set(tag.key.as_str(), &tag.value);
        }
        self.draft = Some(draft);
    }

    /// Creates the tags of a call, encoded from the start.
    #[inline]
    pub(crate) fn encoded(draft: Box<Draft>) -> Self {
        let mut tags = Self::default();
        tags.draft = Some(draft);
        tags
    }

    /// Encodes a value, if the span is encoded and the value can be read without a copy. Returns `false` if not.
    #[inline(always)]
    pub(in crate::tags) fn encode_scalar(&mut self, key: &'static str, value: &dyn TagValue, is_scoped: bool) -> bool {
        let Some(draft) = &mut self.draft else { return false };
        // One arm for each common type: reading a value as a whole right after its parts were written is slow, because
        // it defeats store forwarding.
        match value.__scalar() {
            None => return false,
            Some(Scalar::Text(text)) => {
                if let Some(fields) = draft.fields_for(key, is_scoped) {
                    fields.set_text(key, text);
                }
            }
            Some(Scalar::I64(value)) => {
                if let Some(fields) = draft.fields_for(key, is_scoped) {
                    fields.set_i64(key, value);
                }
            }
            Some(Scalar::Bool(value)) => draft.set_other(key, ValueRef::Bool(value), is_scoped),
            Some(Scalar::F64(value)) => draft.set_other(key, ValueRef::F64(value), is_scoped),
        }
        true
    }

    /// Whether any tags are in scope below the span: its own, or inherited ones.
    #[inline]
    pub(crate) fn scopes(&self) -> bool {
        self.draft.as_ref().is_some_and(|draft| draft.scoped.attributes.kept > 0 || !draft.inherited.is_empty())
    }

    /// Takes the completed draft of the span, if the tags were encoded, and the parent with the new baggage, if the
    /// tags change that.
    #[inline(always)]
    pub(crate) fn take_draft(&mut self, parent: &Context) -> Option<(Box<Draft>, Option<Context>)> {
        let mut draft = self.draft.take()?;
        if draft.adds_nothing() && self.propagates_nothing() {
            draft.inherit();
            return Some((draft, None));
        }
        if self.propagates_nothing() && draft.complete_apart(parent) {
            return Some((draft, None));
        }
        let propagated = self.take_propagated();
        let context = draft.complete(parent, propagated);
        Some((draft, context))
    }
}

impl Draft {
    /// Completes the tags of a span that adds none to those in scope.
    #[inline]
    pub(crate) fn inherit(&mut self) {
        if let ScopedTags::None = self.inherited {
            return;
        }
        self.tags = std::mem::take(&mut self.inherited).into_encoded();
    }

    /// Sets a tag for this span and those below it.
    pub(in crate::tags) fn scope(&mut self, key: &'static str, value: &Value) {
        if let Some(fields) = self.fields_for(key, true) {
            fields.set(key, value);
        }
    }

    /// The fields that a tag is written to, if there is room for it.
    #[inline]
    fn fields_for(&mut self, key: &'static str, is_scoped: bool) -> Option<&mut Fields> {
        if !is_scoped {
            return Some(&mut self.fields);
        }
        let count = self.scoped.attributes.kept as usize + self.inherited.len();
        if count >= max_scoped() && !self.has_room(key) {
            return None;
        }
        Some(&mut self.scoped)
    }

    /// Adds the scoped tags to the attributes of the span, if they can be copied as they are encoded: none of their keys
    /// is set, there is room for all of them, and no value has to be truncated. Returns whether they were added.
    #[inline]
    fn append_scoped(&mut self, is_apart: bool) -> bool {
        is_apart && self.fields.limits.value_length.is_none() && self.fields.append(&self.scoped)
    }

    #[inline(never)]
    fn set_other(&mut self, key: &'static str, value: ValueRef<'_>, is_scoped: bool) {
        if let Some(fields) = self.fields_for(key, is_scoped) {
            fields.set_ref(key, value);
        }
    }

    /// Whether there is room for a scoped tag once the limit is reached by a count that includes tags that override
    /// others. Those need no room of their own. A tag for which there is no room is counted as dropped.
    #[cold]
    fn has_room(&mut self, key: &'static str) -> bool {
        let replaces = |key: &str| self.inherited.has(key);
        let has_room = replaces(key) || self.scoped.has(key) || {
            // Once a tag has been dropped, there is no room for any other.
            self.dropped.is_none() && self.scoped.count_keys(|key| !replaces(key)) + self.inherited.len() < max_scoped()
        };
        if !has_room {
            self.dropped.get_or_insert((0, key)).0 += 1;
        }
        has_room
    }

    /// Whether there are no dropped tags to report.
    #[inline]
    pub(in crate::tags) fn is_plain(&self) -> bool {
        self.dropped.is_none()
    }

    /// Whether there are no tags besides those in scope.
    #[inline]
    fn adds_nothing(&self) -> bool {
        self.scoped.attributes.kept == 0 && self.dropped.is_none()
    }

    /// The fast path of [`complete`](Self::complete), for tags that override nothing and leave the baggage as it is.
    /// Returns `false` if it does not apply.
    #[inline]
    fn complete_apart(&mut self, parent: &Context) -> bool {
        let is_apart = !self.scoped.keys().overlaps(self.fields.keys().and(self.code.keys()));
        if self.dropped.is_some() || !parent.baggage().is_empty() || !self.append_scoped(is_apart) {
            return false;
        }
        self.inherit();
        (self.changes_tags, self.defers_tags) = (true, true);
        true
    }

    /// Completes the tags of a span below `parent`, and adds `propagated` to the baggage. Returns `parent` with the new
    /// baggage, if it changes.
    #[inline(never)]
    fn complete(&mut self, parent: &Context, propagated: Vec<(&'static str, String)>) -> Option<Context> {
        if let Some((dropped, first)) = self.dropped.take() {
            report_dropped(dropped, &first.into(), max_scoped());
            self.fields.count_dropped(dropped);
        }
        if self.scoped.keys().overlaps(CodeAttributes::KEY_SET) {
            self.describe_code();
        }
        let inherited = std::mem::take(&mut self.inherited).into_encoded();
        let has_baggage = !propagated.is_empty() || !parent.baggage().is_empty();
        let context = if has_baggage { self.with_baggage(parent, propagated) } else { None };
        self.tags = inherited;
        if self.scoped.attributes.kept > 0 {
            self.changes_tags = true;
            self.defers_tags = true;
            let is_apart = !self.scoped.keys().overlaps(self.fields.keys());
            if !self.append_scoped(is_apart) {
                self.tags = self.all_tags();
                self.defers_tags = false;
            }
        }
        context
    }

    /// The tags in scope below the span, once its tags are complete.
    pub(crate) fn all_tags(&self) -> Option<EncodedTags> {
        if self.defers_tags { Some(EncodedTags::new(&self.scoped, self.tags.as_ref())) } else { self.tags.clone() }
    }

    /// The deferred tags of this span, merged with the inherited ones.
    #[cold]
    pub(crate) fn deferred_tags(&mut self, inherited: Option<&EncodedTags>) -> EncodedTags {
        self.deferred.get_or_insert_with(|| EncodedTags::new(&self.scoped, inherited)).clone()
    }

    /// Overrides the attributes that describe the code with scoped tags of this call. Inherited tags do not.
    #[cold]
    fn describe_code(&mut self) {
        let is_encoded = self.code.count() > 0;
        for tag in Reader::new(self.scoped.bytes()).map(|(_, field)| attribute(field.bytes)) {
            let key = tag.key.as_str();
            let is_set = self.fields.has(key);
            // The code attributes of a block, or of a function with a long name, are ordinary attributes of the span.
            let replaces =
                if is_encoded { self.code.has(key) && !is_set } else { is_set && CodeAttributes::KEYS.contains(&key) };
            if replaces {
                self.fields.set(key, &tag.value);
            }
        }
    }

    /// Returns `context` with the propagated tags in its baggage, and without members that other tags contradict, or
    /// `None` if the baggage is unchanged.
    #[cold]
    fn with_baggage(&self, context: &Context, propagated: Vec<(&'static str, String)>) -> Option<Context> {
        let tags: Vec<_> = Reader::new(self.scoped.bytes()).map(|(_, field)| attribute(field.bytes)).collect();
        let baggage = changed(context.baggage(), &tags, propagated)?;
        let entries = data::entries(&baggage).collect();
        Some(data::edit(&context.with_baggage(baggage), |data| data.baggage = Some(entries)))
    }
}
