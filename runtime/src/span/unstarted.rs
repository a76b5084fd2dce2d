//! Spans of other instrumentation: described step by step, and started later than they were created.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::trace::{Link, SpanKind, Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue, time};

use crate::context::data;
#[cfg(feature = "sdk")]
use crate::context::data::Data;
#[cfg(feature = "sdk")]
use crate::encoding::code::CodeAttributes;
use crate::span::handle::{self, Scope, Span, Start, is_off};
#[cfg(feature = "sdk")]
use crate::span::tracer;
use crate::tags::set::{Tag, Tags};
use crate::tags::value::TagValue;

/// A span whose parent, name and links may still change.
#[derive(Debug)]
pub(crate) struct Unstarted {
    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: SpanKind,
    pub(crate) status: Status,
    links: Vec<Link>,
    tags: Tags,
    parent: Context,
    created: SystemTime,
    /// Whether the parent is not sampled, so that nothing is collected.
    is_off: bool,
}

/// The attributes that describe the code.
pub(crate) struct Place<'a> {
    #[cfg(feature = "sdk")]
    pub(crate) encoded: &'a dyn Fn() -> Option<&'static CodeAttributes>,
    pub(crate) described: &'a dyn Fn() -> Vec<KeyValue>,
}

/// Encodes what is set from now on, if the tracer below `parent` is our own and need not see it before.
#[cfg(feature = "sdk")]
fn encode(tags: &mut Tags, parent: &Context, code: Option<&'static CodeAttributes>) -> bool {
    let data = Data::of(parent);
    let draft = tracer::with_encoder(data, |encoder| encoder.draft(parent, data)).flatten();
    let Some(mut draft) = draft else { return false };
    draft.code = code.unwrap_or(&CodeAttributes::NONE);
    tags.encode(draft);
    true
}

#[inline]
fn describe(tags: &mut Tags, parent: &Context, place: &Place<'_>) {
    #[cfg(feature = "sdk")]
    {
        let code = (place.encoded)();
        if encode(tags, parent, code) {
            if code.is_none() {
                tags.extend((place.described)());
            }
            return;
        }
    }
    #[cfg(not(feature = "sdk"))]
    let _ = parent;
    tags.describe((place.described)());
}

impl Unstarted {
    /// A span that begins now. `place` describes the code.
    pub(crate) fn below(parent: Context, name: &'static str, place: &Place<'_>) -> Self {
        let is_off = is_off(&parent);
        let mut tags = Tags::default();
        if !is_off {
            describe(&mut tags, &parent, place);
        }
        Self {
            name: Cow::Borrowed(name),
            kind: SpanKind::Internal,
            status: Status::Unset,
            links: Vec::new(),
            tags,
            parent,
            created: if is_off { SystemTime::UNIX_EPOCH } else { time::now() },
            is_off,
        }
    }

    /// Replaces the parent. The provider of the previous one is kept, unless the new one has its own.
    pub(crate) fn set_parent(&mut self, parent: Context) {
        self.parent = data::with_source_of(&self.parent, parent);
        let was_off = std::mem::replace(&mut self.is_off, is_off(&self.parent));
        if was_off {
            self.created = time::now();
        }
        #[cfg(feature = "sdk")]
        if was_off && !self.is_off {
            encode(&mut self.tags, &self.parent, None);
        } else {
            self.tags.rebase(&self.parent);
        }
    }

    /// Whether the parent is not sampled, so that nothing is collected.
    #[inline]
    pub(crate) fn is_off(&self) -> bool {
        self.is_off
    }

    /// Sets an attribute that can be encoded without a copy.
    #[inline]
    pub(crate) fn set_ref(&mut self, key: &'static str, value: &dyn TagValue) {
        if !self.is_off {
            self.tags.add_value(key, value);
        }
    }

    /// Sets an attribute, truncated to the limits of values.
    pub(crate) fn set(&mut self, key: &'static str, value: impl FnOnce() -> opentelemetry::Value) {
        if !self.is_off {
            self.tags.add(key, || Tag::new(Some(value())));
        }
    }

    /// Sets an attribute as it is.
    pub(crate) fn set_unchanged(&mut self, attribute: KeyValue) {
        if !self.is_off {
            self.tags.push(attribute);
        }
    }

    pub(crate) fn link(&mut self, link: Link) {
        self.links.push(link);
    }

    /// Starts the span, at the time of its creation. It always has a context.
    pub(crate) fn start(self) -> Span {
        let Self { name, kind, status, links, tags, parent, created, is_off } = self;
        if is_off {
            return Span::within(parent);
        }
        #[cfg(feature = "sdk")]
        let mut tags = tags;
        #[cfg(feature = "sdk")]
        tags.begin_at(created);
        let start = Start {
            name,
            kind,
            links: (!links.is_empty()).then_some(links),
            #[cfg(feature = "otlp")]
            place: None,
            cancel: false,
            created: Some(created),
        };
        let span = handle::begin(start, tags, &parent, true);
        if let (Scope::Open(open), true) = (&span.0, status != Status::Unset) {
            open.context.span().set_status(status);
        }
        span
    }
}
