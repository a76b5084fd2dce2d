//! A span that is encoded while it is recorded, from before its start until its end.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{Link, SpanId, SpanKind, Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue, Value};

use crate::context::data::{self, Data};
use crate::context::local::{self, Inherited};
use crate::encoding::code::CodeAttributes;
use crate::encoding::fields::{Fields, Limits};
use crate::encoding::reader::{Reader, attribute};
use crate::encoding::wire::ValueRef;
use crate::encoding::{Role, ScopeId};
use crate::tags::scoped::{self, EncodedTags, ScopedTags};
use crate::tags::set::{Tags, changed, max_scoped, report_dropped};
use crate::tags::value::{Scalar, TagValue};

/// All that is known of a span. Drafts are used again, with their buffers, so that a span allocates nothing for them.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(crate) struct Draft {
    /// Attributes of this span alone, events and links.
    pub(crate) fields: Fields,
    /// Attributes of this span and of every span below it.
    scoped: Fields,
    /// The tags that are in scope without those.
    inherited: ScopedTags,
    /// What the span above passes on besides its tags, if it is one of ours.
    pub(crate) above: Option<Inherited>,
    /// Where the span above is kept, if it is known.
    pub(crate) above_at: usize,
    /// The span above, if its thread remembers what it passes on.
    pub(crate) recent: Option<SpanId>,
    /// All tags in scope, or those that the span inherits, once it is complete. Before, those of the span above.
    pub(crate) tags: Option<EncodedTags>,
    /// Whether these may be others than those of the span above.
    pub(crate) changes_tags: bool,
    /// Whether the tags that this span sets for those below are not among `tags`, but only written as its own.
    pub(crate) defers_tags: bool,
    /// Both together, since a span below has asked.
    deferred: Option<EncodedTags>,
    pub(crate) links: Vec<Link>,
    /// How many tags were dropped because there were too many, and the first one's key.
    dropped: Option<(usize, &'static str)>,

    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: SpanKind,
    pub(crate) code: &'static CodeAttributes,
    pub(crate) scope: ScopeId,
    pub(crate) role: Role,
    pub(crate) parent: SpanId,
    pub(crate) is_parent_remote: bool,
    /// When the span began, if that was before it started: nanoseconds since the epoch.
    #[cfg(feature = "tracing")]
    pub(crate) begun: Option<u64>,
    /// Nanoseconds since the epoch.
    pub(crate) start: u64,
    /// Whether that is when the span was made, and not a time that was given.
    pub(crate) starts_now: bool,
    /// The time of the latest event.
    pub(crate) latest: u64,
    pub(crate) status: Status,
    /// Whether the tags in scope are written as attributes: there may be no room for all of them.
    pub(crate) has_tags: bool,
}

/// How many drafts a thread keeps: as many as spans are nested, in most programs.
const MAX_KEPT: usize = 128;

thread_local! {
    #[expect(clippy::vec_box, reason = "the boxes are handed out, and a draft is large")]
    static DRAFTS: RefCell<Vec<Box<Draft>>> = const { RefCell::new(Vec::new()) };
}

impl Draft {
    /// An empty draft of a span with these limits.
    #[inline(always)]
    pub(crate) fn new(limits: Limits) -> Box<Self> {
        let known = DRAFTS.try_with(|drafts| drafts.borrow_mut().pop()).ok().flatten();
        let mut draft = known.unwrap_or_else(Self::allocate);
        draft.fields.limits = limits;
        draft
    }

    #[cold]
    fn allocate() -> Box<Self> {
        Box::new(Self {
            fields: Fields::default(),
            scoped: Fields::new(Limits::unlimited()),
            inherited: ScopedTags::None,
            above: None,
            above_at: 0,
            recent: None,
            tags: None,
            changes_tags: false,
            defers_tags: false,
            deferred: None,
            links: Vec::new(),
            dropped: None,
            name: Cow::Borrowed(""),
            kind: SpanKind::Internal,
            code: &CodeAttributes::NONE,
            scope: ScopeId::OURS,
            role: Role::Below,
            parent: SpanId::INVALID,
            is_parent_remote: false,
            #[cfg(feature = "tracing")]
            begun: None,
            start: 0,
            starts_now: false,
            latest: 0,
            status: Status::Unset,
            has_tags: true,
        })
    }

    /// Keeps the draft for another span.
    #[inline]
    pub(crate) fn recycle(mut self: Box<Self>) {
        self.fields.clear();
        if self.scoped.attributes.kept > 0 {
            self.scoped.clear();
        }
        if !self.inherited.is_empty() {
            self.inherited = ScopedTags::None;
        }
        self.above = None;
        self.above_at = 0;
        self.recent = None;
        self.tags = None;
        self.changes_tags = false;
        if self.defers_tags {
            (self.defers_tags, self.deferred) = (false, None);
        }
        // A span that turned out not to be recorded still has them.
        self.links.clear();
        self.dropped = None;
        self.name = Cow::Borrowed("");
        self.code = &CodeAttributes::NONE;
        self.status = Status::Unset;
        self.has_tags = true;
        #[cfg(feature = "tracing")]
        {
            self.begun = None;
        }
        let _ = DRAFTS.try_with(|drafts| {
            let mut drafts = drafts.borrow_mut();
            if drafts.len() < MAX_KEPT {
                drafts.push(self);
            }
        });
    }

    /// A draft of a span below `context`, which has `data`. `inherit` writes what the span of that passes on, and gives
    /// whether it is known; if not, the span is asked.
    #[inline(always)]
    pub(crate) fn below(
        limits: Limits,
        data: Option<&Arc<Data>>,
        context: &Context,
        inherit: impl FnOnce(&mut Self) -> bool,
    ) -> Box<Self> {
        let mut draft = Self::new(limits);
        if context.has_active_span() && !inherit(&mut draft) {
            draft = local::inherit(draft, context);
        }
        if draft.tags.is_some() || data.is_some() {
            draft.resolve(data);
        }
        draft
    }

    /// The same, which inherits from another span.
    #[cfg(feature = "tracing")]
    pub(crate) fn rebase(self: &mut Box<Self>, context: &Context) {
        let mut draft = std::mem::replace(self, Self::unlimited());
        (draft.above, draft.above_at, draft.recent, draft.tags) = (None, 0, None, None);
        draft = local::inherit(draft, context);
        draft.resolve(Data::of(context));
        std::mem::replace(self, draft).recycle();
    }

    #[inline(never)]
    fn resolve(&mut self, data: Option<&Arc<Data>>) {
        let (above, tags) = (self.above.as_ref().map(|above| above.span_id), self.tags.take());
        let span_id = self.recent.or(above);
        self.changes_tags = data.is_some_and(|data| !data.tags.is_empty());
        self.inherited = scoped::resolve(data, span_id.unwrap_or(SpanId::INVALID), tags);
    }

    /// A draft that is not that of a span.
    pub(crate) fn unlimited() -> Box<Self> {
        Self::new(Limits::unlimited())
    }

    /// Sets the name and the kind.
    #[inline]
    #[expect(clippy::ptr_arg, reason = "a name that is static stays so")]
    pub(crate) fn describe(&mut self, name: &Cow<'static, str>, kind: &SpanKind) {
        self.name = copied(name);
        self.kind = kind.clone();
    }

    /// Sets an attribute of this span that need not be copied first. Returns whether it is of that kind.
    #[cfg(feature = "tracing")]
    #[inline]
    pub(crate) fn set_scalar(&mut self, key: &'static str, value: &impl TagValue) -> bool {
        scalar(value).map(|value| self.fields.set_ref(key, value)).is_some()
    }

    /// Completes a span that adds no tags to those in scope.
    #[inline]
    pub(crate) fn inherit(&mut self) {
        if let ScopedTags::None = self.inherited {
            return;
        }
        self.tags = std::mem::take(&mut self.inherited).into_encoded(self.fields.limits.value_length);
    }

    /// Sets a tag for this span and those below it.
    pub(super) fn scope(&mut self, key: &'static str, value: &Value) {
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
    pub(super) fn is_plain(&self) -> bool {
        self.dropped.is_none()
    }

    pub(crate) fn sets(&self, key: &str) -> bool {
        self.fields.has(key) || self.scoped.has(key)
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
        }
        if self.scoped.keys().overlaps(self.code.keys()) {
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
        for tag in Reader::new(self.scoped.bytes()).map(|(_, field)| attribute(field.bytes)) {
            if self.code.has(tag.key.as_str()) && !self.fields.has(tag.key.as_str()) {
                self.fields.set(tag.key.as_str(), &tag.value);
            }
        }
    }

    /// Sets the attributes of the code one by one, so that the limits apply to each.
    #[cold]
    pub(crate) fn spell_out_code(&mut self) {
        let code = std::mem::replace(&mut self.code, &CodeAttributes::NONE);
        for described in Reader::new(code.bytes()).map(|(_, field)| attribute(field.bytes)) {
            if !self.fields.has(described.key.as_str()) {
                self.fields.set(described.key.as_str(), &described.value);
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

    /// Sets attributes of this span that are available in OpenTelemetry's type.
    pub(crate) fn set_all(&mut self, attributes: impl IntoIterator<Item = KeyValue>) {
        for attribute in attributes {
            self.fields.set(attribute.key.as_str(), &attribute.value);
        }
    }
}

/// A copy of a name: without a call, as most of them are static.
#[inline]
#[expect(clippy::ptr_arg, reason = "a name that is static stays so")]
pub(crate) fn copied(name: &Cow<'static, str>) -> Cow<'static, str> {
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(*name),
        Cow::Owned(name) => Cow::Owned(name.clone()),
    }
}

#[cfg(feature = "tracing")]
#[inline]
fn scalar(value: &(impl TagValue + ?Sized)) -> Option<ValueRef<'_>> {
    Some(match value.__scalar()? {
        Scalar::Text(text) => ValueRef::Text(text),
        Scalar::Bool(value) => ValueRef::Bool(value),
        Scalar::I64(value) => ValueRef::I64(value),
        Scalar::F64(value) => ValueRef::F64(value),
    })
}

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
    pub(super) fn encode_scalar(&mut self, key: &'static str, value: &dyn TagValue, is_scoped: bool) -> bool {
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

#[cfg(test)]
mod tests;
