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
    /// Encodes the tags that were given so far, and those that follow.
    pub(crate) fn encode(&mut self, mut draft: Box<Draft>) {
        draft.set_all(std::mem::take(&mut self.own));
        for tag in std::mem::take(&mut self.scoped) {
            draft.scoped().set(tag.key.as_str(), &tag.value);
        }
        self.draft = Some(draft);
    }

    /// The tags of a call that are encoded from the start.
    #[inline]
    pub(crate) fn encoded(draft: Box<Draft>) -> Self {
        let mut tags = Self::default();
        tags.draft = Some(draft);
        tags
    }

    /// Encodes a value, if the span is encoded and the value need not be copied first.
    #[inline(always)]
    pub(in crate::tags) fn encode_scalar(&mut self, key: &'static str, value: &dyn TagValue, is_scoped: bool) -> bool {
        let Some(draft) = &mut self.draft else { return false };
        // Each kind by itself: reading all of a value that has just been written in part is slow.
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

    /// Whether the context below the span has other tags than the span's own draft: those in scope, or none.
    #[inline]
    pub(crate) fn scopes(&self) -> bool {
        self.draft.as_ref().is_some_and(|draft| draft.scoped.attributes.kept > 0 || !draft.inherited.is_empty())
    }

    /// What was given, if it was encoded: the draft of the span, and the parent with other baggage.
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
    /// Completes a span that adds no tags to those in scope.
    #[inline]
    pub(crate) fn inherit(&mut self) {
        if let ScopedTags::None = self.inherited {
            return;
        }
        self.tags = std::mem::take(&mut self.inherited).into_encoded(self.fields.limits.value_length);
    }

    /// Sets a tag for this span and those below it.
    pub(in crate::tags) fn scope(&mut self, key: &'static str, value: &Value) {
        if let Some(fields) = self.fields_for(key, true) {
            fields.set(key, value);
        }
    }

    /// Where a tag belongs, if there is room for it.
    #[inline]
    fn fields_for(&mut self, key: &'static str, is_scoped: bool) -> Option<&mut Fields> {
        if !is_scoped {
            return Some(&mut self.fields);
        }
        let count = self.scoped.attributes.kept as usize + self.inherited.len();
        if count >= max_scoped() && !self.has_room(key) {
            return None;
        }
        Some(self.scoped())
    }

    /// The tags of the scope, with the limit of this span.
    #[inline]
    fn scoped(&mut self) -> &mut Fields {
        self.scoped.limits.value_length = self.fields.limits.value_length;
        &mut self.scoped
    }

    #[inline(never)]
    fn set_other(&mut self, key: &'static str, value: ValueRef<'_>, is_scoped: bool) {
        if let Some(fields) = self.fields_for(key, is_scoped) {
            fields.set_ref(key, value);
        }
    }

    /// Whether there is room for a tag of the scope, where there are that many with those that replace others: such tags
    /// need no room. Otherwise it is counted as dropped.
    #[cold]
    fn has_room(&mut self, key: &'static str) -> bool {
        let replaces = |key: &str| self.inherited.has(key);
        let has_room = replaces(key) || self.scoped.has(key) || {
            // Once there is none for one, there is none for others.
            self.dropped.is_none() && self.scoped.count_keys(|key| !replaces(key)) + self.inherited.len() < max_scoped()
        };
        if !has_room {
            self.dropped.get_or_insert((0, key)).0 += 1;
        }
        has_room
    }

    /// Whether nothing has to be reported.
    #[inline]
    pub(in crate::tags) fn is_plain(&self) -> bool {
        self.dropped.is_none()
    }

    /// Whether there are no tags besides those in scope.
    #[inline]
    fn adds_nothing(&self) -> bool {
        self.scoped.attributes.kept == 0 && self.dropped.is_none()
    }

    /// Completes the tags of a span below `parent`, if they replace nothing and the baggage stays as it is: so do most.
    #[inline]
    fn complete_apart(&mut self, parent: &Context) -> bool {
        let is_apart = !self.scoped.keys().overlaps(self.fields.keys().and(self.code.keys()));
        if self.dropped.is_some() || !is_apart || !parent.baggage().is_empty() || !self.fields.append(&self.scoped) {
            return false;
        }
        self.inherit();
        (self.changes_tags, self.defers_tags) = (true, true);
        true
    }

    /// Completes the tags of a span below `parent`. Returns the parent with other baggage if they change that.
    /// `propagated` are the members to add to it.
    #[inline(never)]
    fn complete(&mut self, parent: &Context, propagated: Vec<(&'static str, String)>) -> Option<Context> {
        if let Some((dropped, first)) = self.dropped.take() {
            report_dropped(dropped, &first.into(), max_scoped());
            self.fields.count_dropped(dropped);
        }
        if self.scoped.keys().overlaps(CodeAttributes::KEY_SET) {
            self.describe_code();
        }
        let inherited = std::mem::take(&mut self.inherited).into_encoded(self.fields.limits.value_length);
        let has_baggage = !propagated.is_empty() || !parent.baggage().is_empty();
        let context = if has_baggage { self.with_baggage(parent, propagated) } else { None };
        self.tags = inherited;
        if self.scoped.attributes.kept > 0 {
            self.changes_tags = true;
            self.defers_tags = true;
            let is_apart = !self.scoped.keys().overlaps(self.fields.keys());
            if !(is_apart && self.fields.append(&self.scoped)) {
                self.tags = self.all_tags();
                self.defers_tags = false;
            }
        }
        context
    }

    /// The tags in scope below the span, once it is complete.
    pub(crate) fn all_tags(&self) -> Option<EncodedTags> {
        if self.defers_tags { Some(EncodedTags::new(&self.scoped, self.tags.as_ref())) } else { self.tags.clone() }
    }

    /// The tags that are deferred, and those that are inherited.
    #[cold]
    pub(crate) fn deferred_tags(&mut self, inherited: Option<&EncodedTags>) -> EncodedTags {
        self.deferred.get_or_insert_with(|| EncodedTags::new(&self.scoped, inherited)).clone()
    }

    /// A tag of the call may describe its code, in place of what is known. Those that are inherited do not.
    #[cold]
    fn describe_code(&mut self) {
        let is_encoded = self.code.count() > 0;
        for tag in Reader::new(self.scoped.bytes()).map(|(_, field)| attribute(field.bytes)) {
            let key = tag.key.as_str();
            let is_set = self.fields.has(key);
            // What is known of a block, or of a function with a long name, is among the attributes of the span.
            let replaces =
                if is_encoded { self.code.has(key) && !is_set } else { is_set && CodeAttributes::KEYS.contains(&key) };
            if replaces {
                self.fields.set(key, &tag.value);
            }
        }
    }

    /// `context` with the propagated tags in its baggage, and without members that other tags contradict, if that
    /// changes it.
    #[cold]
    fn with_baggage(&self, context: &Context, propagated: Vec<(&'static str, String)>) -> Option<Context> {
        let tags: Vec<_> = Reader::new(self.scoped.bytes()).map(|(_, field)| attribute(field.bytes)).collect();
        let baggage = changed(context.baggage(), &tags, propagated)?;
        let entries = data::entries(&baggage).collect();
        Some(data::edit(&context.with_baggage(baggage), |data| data.baggage = Some(entries)))
    }
}
