//! A span that is encoded as it is recorded, from before its start until its end.

mod tags;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

use opentelemetry::trace::{Link, SpanId, SpanKind, Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};

use crate::context::data::Data;
use crate::context::local::{self, Inherited};
use crate::encoding::code::CodeAttributes;
use crate::encoding::fields::{Fields, Limits};
use crate::encoding::reader::{Reader, attribute};
#[cfg(feature = "tracing")]
use crate::encoding::wire::ValueRef;
use crate::encoding::{Role, ScopeId};
use crate::tags::scoped::{self, EncodedTags, ScopedTags};
#[cfg(feature = "tracing")]
use crate::tags::value::{Scalar, TagValue};

/// Everything that has been recorded of a span. Drafts are pooled together with their buffers, so that a span allocates
/// neither.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(crate) struct Draft {
    /// Attributes of this span alone, events and links.
    pub(crate) fields: Fields,
    /// Attributes of this span and of every span below it. Values are not truncated to the limits of the span, which do
    /// not apply to log lines, nor to the baggage that tags are compared with.
    scoped: Fields,
    /// The tags in scope, without `scoped`.
    inherited: ScopedTags,
    /// The data inherited from the parent besides tags, if that is a span of our own tracer.
    pub(crate) above: Option<Inherited>,
    /// The address of the parent's span context; see [`Place`](crate::context::place::Place).
    pub(crate) above_at: usize,
    /// The parent, if this thread has cached the data that its children inherit.
    pub(crate) recent: Option<SpanId>,
    /// Until the tags are complete, those of the parent. Afterwards, all tags in scope, or only the inherited ones if
    /// `defers_tags` is set.
    pub(crate) tags: Option<EncodedTags>,
    /// Whether the tags in scope may differ from those of the parent.
    pub(crate) changes_tags: bool,
    /// Whether the tags that this span sets for spans below have not been merged into `tags`, and are only in `fields`.
    pub(crate) defers_tags: bool,
    /// `tags` merged with those of this span, once a child has needed the result.
    deferred: Option<EncodedTags>,
    pub(crate) links: Vec<Link>,
    /// The number of tags that were dropped because there were too many, and the key of the first.
    dropped: Option<(usize, &'static str)>,

    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: SpanKind,
    pub(crate) code: &'static CodeAttributes,
    pub(crate) scope: ScopeId,
    pub(crate) role: Role,
    pub(crate) parent: SpanId,
    pub(crate) is_parent_remote: bool,
    /// When the work of the span began, if that was before the span was started, in nanoseconds since the epoch.
    #[cfg(feature = "tracing")]
    pub(crate) begun: Option<u64>,
    /// The start time, in nanoseconds since the epoch.
    pub(crate) start: u64,
    /// Whether `start` was read from the clock, rather than given.
    pub(crate) starts_now: bool,
    /// The time of the latest event.
    pub(crate) latest: u64,
    pub(crate) status: Status,
    /// Whether the tags in scope are written as attributes. They are not if there is no room for all of them, or if
    /// their values have to be truncated: then they are among `fields`.
    pub(crate) has_tags: bool,
}

/// The maximum number of drafts in a thread's pool. In most programs, spans are not nested deeper.
const MAX_POOLED: usize = 128;

thread_local! {
    #[expect(clippy::vec_box, reason = "drafts are large, and move in and out of the pool as boxes")]
    static DRAFTS: RefCell<Vec<Box<Draft>>> = const { RefCell::new(Vec::new()) };
}

impl Draft {
    /// Returns an empty draft with these limits.
    #[inline(always)]
    pub(crate) fn new(limits: Limits) -> Box<Self> {
        let pooled = DRAFTS.try_with(|drafts| drafts.borrow_mut().pop()).ok().flatten();
        let mut draft = pooled.unwrap_or_else(Self::allocate);
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

    /// Returns the draft to the pool.
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
        // Not yet taken if the span turned out not to be recorded.
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
            if drafts.len() < MAX_POOLED {
                drafts.push(self);
            }
        });
    }

    /// Returns a draft for a span below `context`, whose data is `data`. `inherit` writes the data inherited from the
    /// parent span to the draft, and returns `false` if it is not cached; the span is then queried.
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

    /// Makes the draft inherit from the span of `context` instead.
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

    /// Returns a draft without limits, which is not used for a span.
    pub(crate) fn unlimited() -> Box<Self> {
        Self::new(Limits::unlimited())
    }

    /// Sets the name and the kind.
    #[inline]
    #[expect(clippy::ptr_arg, reason = "a static name is not copied")]
    pub(crate) fn describe(&mut self, name: &Cow<'static, str>, kind: &SpanKind) {
        self.name = copied(name);
        self.kind = kind.clone();
    }

    /// Sets an attribute of this span if its value can be encoded without a copy, and returns whether it can.
    #[cfg(feature = "tracing")]
    #[inline]
    pub(crate) fn set_scalar(&mut self, key: &'static str, value: &impl TagValue) -> bool {
        scalar(value).map(|value| self.fields.set_ref(key, value)).is_some()
    }

    pub(crate) fn sets(&self, key: &str) -> bool {
        self.fields.has(key) || self.scoped.has(key)
    }

    /// Sets the attributes that describe the code one by one, so that the limits apply to each.
    #[cold]
    pub(crate) fn spell_out_code(&mut self) {
        let code = std::mem::replace(&mut self.code, &CodeAttributes::NONE);
        for described in Reader::new(code.bytes()).map(|(_, field)| attribute(field.bytes)) {
            if !self.fields.has(described.key.as_str()) {
                self.fields.set(described.key.as_str(), &described.value);
            }
        }
    }

    /// Sets attributes of this span that are in OpenTelemetry's type.
    pub(crate) fn set_all(&mut self, attributes: impl IntoIterator<Item = KeyValue>) {
        for attribute in attributes {
            self.fields.set(attribute.key.as_str(), &attribute.value);
        }
    }
}

/// Copies a name. Most are static, and are copied inline, without a call.
#[inline]
#[expect(clippy::ptr_arg, reason = "a static name is not copied")]
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
