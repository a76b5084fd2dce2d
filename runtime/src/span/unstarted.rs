//! Spans of other instrumentation, which are described step by step and start later than they were created.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::trace::{Link, SpanKind, Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue, Value, time};

#[cfg(feature = "sdk")]
use crate::clock;
use crate::context::current::is_off;
use crate::context::data;
#[cfg(feature = "sdk")]
use crate::context::data::Data;
#[cfg(feature = "sdk")]
use crate::encoding::code::CodeAttributes;
use crate::guard::reentrance::Busy;
use crate::semconv;
use crate::span::handle::Scope;
use crate::span::outcome::keeps;
#[cfg(feature = "otlp")]
use crate::span::registry::{self, Ticket};
use crate::span::start::{self, Start};
#[cfg(feature = "sdk")]
use crate::span::{encoded, tracer};
#[cfg(feature = "sdk")]
use crate::tags::draft::Draft;
#[cfg(feature = "otlp")]
use crate::tags::draft::copied;
use crate::tags::set::{Tag, Tags};
use crate::tags::value::TagValue;
#[cfg(feature = "sdk")]
use crate::tags::value::within_bounds;

/// A span whose parent, name and links may still change.
#[derive(Debug)]
pub(crate) struct Unstarted {
    parent: Context,
    /// Whether the parent is not sampled, so that nothing is collected.
    is_off: bool,
    described: Described,
}

/// What has been recorded of the span. Both variants are boxed, because the span is moved several times before it
/// starts.
#[derive(Debug)]
enum Described {
    #[cfg(feature = "sdk")]
    Encoded(Box<Draft>),
    Plain(Box<Plain>),
}

/// A span in OpenTelemetry's types, for any tracer.
#[derive(Debug)]
struct Plain {
    name: Cow<'static, str>,
    kind: SpanKind,
    status: Status,
    links: Vec<Link>,
    tags: Tags,
    created: SystemTime,
}

/// The source location of a span.
pub(crate) struct Place {
    /// The location, encoded.
    #[cfg(feature = "sdk")]
    pub(crate) encoded: Option<&'static CodeAttributes>,
    pub(crate) file: Option<&'static str>,
    pub(crate) line: Option<u32>,
}

impl Place {
    fn described(&self) -> Vec<KeyValue> {
        let file = self.file.map(|file| KeyValue::new(semconv::CODE_FILE_PATH, file));
        let line = self.line.map(|line| KeyValue::new(semconv::CODE_LINE_NUMBER, i64::from(line)));
        file.into_iter().chain(line).collect()
    }
}

/// A started span that has to be ended. Its context is stored elsewhere.
#[derive(Debug, Default)]
#[must_use = "the span stays open"]
pub(crate) struct Recording {
    /// Whether our own tracer has created the span.
    #[cfg(feature = "sdk")]
    pub(super) is_own: bool,
    /// Its slot in the registry of open spans.
    #[cfg(feature = "otlp")]
    pub(super) ticket: Option<Ticket>,
}

impl Recording {
    /// The current time, by the clock of this span.
    #[cfg_attr(not(feature = "sdk"), expect(clippy::unused_self, reason = "without `sdk`, there is only one clock"))]
    #[inline]
    pub(crate) fn now(&self) -> SystemTime {
        #[cfg(feature = "sdk")]
        return clock::time(self.is_own);
        #[cfg(not(feature = "sdk"))]
        time::now()
    }

    /// Ends the span of `context`, now or at the given time.
    pub(crate) fn end(self, context: &Context, at: Option<SystemTime>) {
        let _busy = Busy::begin();
        context.span().end_with_timestamp(at.unwrap_or_else(|| self.now()));
        #[cfg(feature = "otlp")]
        if let Some(ticket) = self.ticket {
            ticket.give_back(&mut Context::new());
        }
    }
}

/// A draft of a span, if the tracer for `parent` is our own and its sampler does not need the attributes.
#[cfg(feature = "sdk")]
fn draft(parent: &Context, name: &'static str, place: &Place) -> Option<Box<Draft>> {
    let data = Data::of(parent);
    let mut draft = tracer::with_encoder(data, |encoder| encoder.draft(parent, data)).flatten()?;
    match place.encoded {
        Some(code) => draft.code = code,
        None => draft.set_all(place.described()),
    }
    draft.describe(&Cow::Borrowed(name), &SpanKind::Internal);
    draft.begun = Some(clock::now());
    Some(draft)
}

impl Described {
    fn new(parent: &Context, name: &'static str, place: &Place) -> Self {
        #[cfg(feature = "sdk")]
        if let Some(draft) = draft(parent, name, place) {
            return Self::Encoded(draft);
        }
        #[cfg(not(feature = "sdk"))]
        let _ = parent;
        let mut tags = Tags::default();
        tags.describe(place.described());
        Self::Plain(Box::new(Plain {
            name: Cow::Borrowed(name),
            kind: SpanKind::Internal,
            status: Status::Unset,
            links: Vec::new(),
            tags,
            created: time::now(),
        }))
    }
}

impl Unstarted {
    /// A span that begins now, below a parent that is not [off](is_off). `place` describes the code.
    pub(crate) fn below(parent: Context, name: &'static str, place: &Place) -> Self {
        Self { described: Described::new(&parent, name, place), parent, is_off: false }
    }

    /// Replaces the parent. The provider of the previous one is kept, unless the new one has its own.
    pub(crate) fn set_parent(&mut self, parent: Context) {
        self.parent = data::with_source_of(&self.parent, parent);
        self.is_off = is_off(&self.parent);
        #[cfg(feature = "sdk")]
        if let Described::Encoded(draft) = &mut self.described {
            draft.rebase(&self.parent);
        }
    }

    pub(crate) fn set_name(&mut self, name: impl Into<Cow<'static, str>>) {
        match &mut self.described {
            #[cfg(feature = "sdk")]
            Described::Encoded(draft) => draft.name = name.into(),
            Described::Plain(plain) => plain.name = name.into(),
        }
    }

    pub(crate) fn set_kind(&mut self, kind: SpanKind) {
        match &mut self.described {
            #[cfg(feature = "sdk")]
            Described::Encoded(draft) => draft.kind = kind,
            Described::Plain(plain) => plain.kind = kind,
        }
    }

    /// Sets the status, as on a started span (specification of the tracing API, "Set Status").
    pub(crate) fn set_status(&mut self, status: Status) {
        let before = self.status();
        if !keeps(before, &status) {
            *before = status;
        }
    }

    /// The status that the span will have.
    fn status(&mut self) -> &mut Status {
        match &mut self.described {
            #[cfg(feature = "sdk")]
            Described::Encoded(draft) => &mut draft.status,
            Described::Plain(plain) => &mut plain.status,
        }
    }

    /// Sets an attribute that can be encoded without a copy.
    #[inline]
    pub(crate) fn set_ref(&mut self, key: &'static str, value: &impl TagValue) {
        match &mut self.described {
            #[cfg(feature = "sdk")]
            Described::Encoded(draft) => {
                if !draft.set_scalar(key, value) {
                    if let Some(value) = value.tag_value() {
                        draft.fields.set(key, &within_bounds(value));
                    }
                }
            }
            Described::Plain(plain) => plain.tags.add_value(key, value),
        }
    }

    /// Sets an attribute, truncated to the limits of values.
    pub(crate) fn set(&mut self, key: &'static str, value: impl FnOnce() -> Value) {
        match &mut self.described {
            #[cfg(feature = "sdk")]
            Described::Encoded(draft) => draft.fields.set(key, &within_bounds(value())),
            Described::Plain(plain) => plain.tags.add(key, || Tag::new(Some(value()))),
        }
    }

    /// Sets an attribute as it is.
    pub(crate) fn set_unchanged(&mut self, attribute: KeyValue) {
        match &mut self.described {
            #[cfg(feature = "sdk")]
            Described::Encoded(draft) => draft.fields.set(attribute.key.as_str(), &attribute.value),
            Described::Plain(plain) => plain.tags.push(attribute),
        }
    }

    pub(crate) fn link(&mut self, link: Link) {
        match &mut self.described {
            #[cfg(feature = "sdk")]
            Described::Encoded(draft) => draft.links.push(link),
            Described::Plain(plain) => plain.links.push(link),
        }
    }

    /// Starts the span, with its creation as the start time. Returns its context, or that of its parent if there is no
    /// span, and a handle to end it if it is recorded.
    pub(crate) fn start(self) -> (Context, Option<Recording>) {
        let Self { parent, is_off, described } = self;
        match described {
            #[cfg(feature = "sdk")]
            Described::Encoded(draft) if is_off => {
                draft.recycle();
                (parent, None)
            }
            #[cfg(feature = "sdk")]
            Described::Encoded(draft) => start_draft(draft, &parent),
            Described::Plain(_) if is_off => (parent, None),
            Described::Plain(plain) => plain.start(parent),
        }
    }
}

#[cfg(feature = "sdk")]
#[inline]
fn start_draft(mut draft: Box<Draft>, parent: &Context) -> (Context, Option<Recording>) {
    draft.inherit();
    // If the span turns out not to be recorded, the context has to carry the tags.
    let spare = if parent.span().span_context().is_sampled() { None } else { draft.tags.clone() };
    #[cfg(feature = "otlp")]
    let name = copied(&draft.name);
    let started = tracer::with_encoder(Data::of(parent), |encoder| encoder.start(draft, parent));
    let Some(context) = started.filter(|context| context.span().span_context().is_valid()) else {
        tracer::warn_if_not_set_up(parent);
        return (encoded::with_tags(parent, spare), None);
    };
    let is_recorded = {
        let span = context.span();
        span.span_context().is_sampled() || span.is_recording()
    };
    if !is_recorded {
        return (encoded::with_tags(&context, spare), None);
    }
    let recording = Recording {
        is_own: true,
        #[cfg(feature = "otlp")]
        ticket: registry::list(&context, &name, None),
    };
    (context, Some(recording))
}

impl Plain {
    fn start(self, parent: Context) -> (Context, Option<Recording>) {
        let Self { name, kind, status, links, tags, created } = self;
        let start = Start {
            name,
            kind,
            links: (!links.is_empty()).then_some(links),
            #[cfg(feature = "otlp")]
            place: None,
            cancel: false,
            created: Some(created),
        };
        match start::begin(start, tags, &parent, true).0 {
            Scope::Open(open) => {
                if status != Status::Unset {
                    open.context.span().set_status(status);
                }
                let (context, recording) = open.hand_over();
                (context, Some(recording))
            }
            Scope::Within(context) => (context, None),
            // Failures of these spans are not reported.
            Scope::Off | Scope::Reported(_) => (parent, None),
        }
    }
}
