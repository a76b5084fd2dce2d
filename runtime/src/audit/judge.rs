//! Finds the breaks of a trace.

use std::borrow::Cow;
use std::mem::{self, Discriminant};
use std::sync::Arc;

use opentelemetry::Value;
use opentelemetry::trace::{SpanId, SpanKind};

use super::kind::BreakKind;
use super::model::Span;
use super::rules::Rules;
use super::tally::Set;
use super::text::{duration, plural};
use super::tree::{Parent, Tree};
use crate::semconv;
use crate::text::ellipsize;

/// A break of a trace.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) kind: BreakKind,
    /// The span at which it was found.
    pub(super) span: usize,
    /// Other spans involved.
    pub(super) others: Vec<SpanId>,
    pub(super) subject: Option<Arc<str>>,
    pub(super) detail: String,
}

impl Found {
    fn new(kind: BreakKind, span: usize, detail: String) -> Self {
        Self { kind, span, others: Vec::new(), subject: None, detail }
    }

    fn with(mut self, others: impl IntoIterator<Item = SpanId>) -> Self {
        self.others.extend(others);
        self
    }

    fn about(mut self, subject: &Arc<str>) -> Self {
        self.subject = Some(Arc::clone(subject));
        self
    }
}

/// The tolerance, in nanoseconds, for the end of a parent and the start of a child: some tracers export times in
/// microseconds.
const PRECISION: u64 = 2_000;

/// The maximum length of a name or a value in a text for people, in bytes. Some tracers use whole statements as names.
/// Each break has a description, so a long name of a parent would otherwise be copied for each of its children.
const MAX_SHOWN: usize = 256;

/// A name or a value for a text for people, truncated and not escaped.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    ellipsize(text, MAX_SHOWN)
}

/// Returns all breaks of a trace.
pub(super) fn judge(tree: &Tree<'_>, rules: &Rules) -> Vec<Found> {
    let mut found = Vec::new();
    missing_parents(tree, &mut found);
    roots(tree, rules, &mut found);
    cycles(tree, &mut found);
    for (at, span) in tree.spans.iter().enumerate() {
        never_ended(at, span, &mut found);
        missing_tags(at, span, &mut found);
        if let Some(parent) = tree.parent(at) {
            child(tree, rules, at, parent, &mut found);
        }
    }
    for key in &rules.required_tags {
        required_tag(tree, key, &mut found);
    }
    for key in &rules.business_tags {
        business_tag(tree, key, &mut found);
    }
    found
}

/// Adds one break for each missing parent, however many children it has.
fn missing_parents(tree: &Tree<'_>, found: &mut Vec<Found>) {
    let is_missing = |at: &usize| tree.parents[*at] == Parent::Missing;
    let mut orphans: Vec<(SpanId, usize)> =
        (0..tree.spans.len()).filter(is_missing).filter_map(|at| Some((tree.spans[at].parent_id?, at))).collect();
    orphans.sort_by_key(|(parent, at)| (parent.to_bytes(), *at));
    for siblings in orphans.chunk_by(|a, b| a.0 == b.0) {
        let [(parent, first), others @ ..] = siblings else { continue };
        let detail = match others.len() {
            0 => format!("its parent {parent} was never received"),
            more => {
                let have = if more == 1 { "has" } else { "have" };
                let more = plural(more as u64, "more span");
                format!("its parent {parent} was never received, and {more} {have} the same parent")
            }
        };
        let others = others.iter().map(|(_, at)| tree.spans[*at].span_id);
        found.push(Found::new(BreakKind::MissingParent, *first, detail).with(others));
    }
}

fn roots(tree: &Tree<'_>, rules: &Rules, found: &mut Vec<Found>) {
    let mut first: Option<usize> = None;
    for at in tree.roots() {
        if let Some(detail) = lacks_parent(&tree.spans[at], rules) {
            found.push(Found::new(BreakKind::UnparentedEntry, at, detail));
        }
        if let Some(first) = first {
            let root = &tree.spans[first];
            let detail = format!("`{}` is a root of the same trace", shown(&root.name));
            found.push(Found::new(BreakKind::SecondRoot, at, detail).with([root.span_id]));
        } else {
            first = Some(at);
        }
    }
}

/// Returns why a root span should have a parent, or `None` if it need not have one.
fn lacks_parent(span: &Span, rules: &Rules) -> Option<String> {
    let is_missing = span.attribute(semconv::THROUGHLINE_PARENT_MISSING) == Some(&Value::Bool(true));
    // A span with a link to its cause does not need a parent.
    if !span.links.is_empty() && !is_missing || rules.allowed_roots.contains(&span.name) {
        return None;
    }
    if span.attribute(semconv::THROUGHLINE_JOB_ROOT) == Some(&Value::Bool(true)) {
        return None;
    }
    if is_job(span) {
        return Some("a detached job began a trace, with neither a parent nor a link".to_owned());
    }
    if span.kind == SpanKind::Consumer && !is_idle_receive(span) {
        let link = if is_missing { "a link to its cause" } else { "a link" };
        return Some(format!("a consumer began a trace, with neither a parent nor {link}"));
    }
    if span.kind == SpanKind::Server && !rules.edges.is_empty() && !rules.edges.contains(&span.service) {
        return Some(format!("a server began a trace, and `{}` is not called from outside", shown(&span.service)));
    }
    match &rules.root_kinds {
        Some(kinds) if !kinds.contains(&span.kind) => {
            Some(format!("a span of kind {} began a trace", kind_name(&span.kind)))
        }
        _ => None,
    }
}

/// The kind in lower case.
pub(super) fn kind_name(kind: &SpanKind) -> &'static str {
    match kind {
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}

/// Whether this is the span of a detached job.
pub(super) fn is_job(span: &Span) -> bool {
    span.attribute(semconv::THROUGHLINE_JOB_QUEUE_TIME_US).is_some()
}

/// Whether this is a receive operation that returned no message.
fn is_idle_receive(span: &Span) -> bool {
    let is = |key, wanted: &str| span.attribute(key).is_some_and(|value| value.as_str() == wanted);
    let count = span.attribute(semconv::MESSAGING_BATCH_MESSAGE_COUNT);
    is(semconv::MESSAGING_OPERATION_TYPE, "receive")
        && count.is_none_or(|count| *count == Value::I64(0))
        && span.attribute(semconv::MESSAGING_MESSAGE_ID).is_none()
}

fn cycles(tree: &Tree<'_>, found: &mut Vec<Found>) {
    for &at in &tree.cycles {
        let mut others = Vec::new();
        let mut above = tree.parent(at);
        while let Some(next) = above.filter(|next| *next != at) {
            others.push(tree.spans[next].span_id);
            above = tree.parent(next);
        }
        let detail = match others.len() {
            0 => "it is its own parent".to_owned(),
            more => format!("it is its own ancestor, through {}", plural(more as u64, "span")),
        };
        found.push(Found::new(BreakKind::Cycle, at, detail).with(others));
    }
    for &(first, second) in &tree.duplicates {
        let detail = format!("it has the same ID as `{}`", shown(&tree.spans[first].name));
        found.push(Found::new(BreakKind::Cycle, second, detail).with([tree.spans[first].span_id]));
    }
}

fn never_ended(at: usize, span: &Span, found: &mut Vec<Found>) {
    if span.end.is_none() {
        found.push(Found::new(BreakKind::NeverEnded, at, "it has no end".to_owned()));
    } else if span.attribute(semconv::THROUGHLINE_UNFINISHED) == Some(&Value::Bool(true)) {
        let age = duration(span.duration().unwrap_or_default());
        let detail = format!("it was still open after {age}, when the process shut down");
        found.push(Found::new(BreakKind::NeverEnded, at, detail));
    }
}

/// The event that is recorded for a required tag without a value.
pub(super) const TAG_MISSING: &str = "throughline.tag.missing";

fn missing_tags(at: usize, span: &Span, found: &mut Vec<Found>) {
    for event in span.events.iter().filter(|event| &*event.name == TAG_MISSING) {
        let key = event.attributes.iter().find(|attribute| attribute.key.as_str() == semconv::THROUGHLINE_TAG_KEY);
        let key: Arc<str> = key.map_or_else(Arc::default, |key| key.value.as_str().into());
        let detail = format!("the required tag `{}` had no value", shown(&key));
        found.push(Found::new(BreakKind::MissingTag, at, detail).about(&key));
    }
}

/// Checks a child whose parent is present.
fn child(tree: &Tree<'_>, rules: &Rules, at: usize, parent_at: usize, found: &mut Vec<Found>) {
    let (span, parent) = (&tree.spans[at], &tree.spans[parent_at]);
    let name = shown(&parent.name);
    if let (Some(above), Some(here)) = (parent.is_sampled, span.is_sampled) {
        if above != here {
            let word = |is_sampled| if is_sampled { "sampled" } else { "not sampled" };
            let detail = format!("it is {}, and its parent `{name}` is {}", word(here), word(above));
            found.push(Found::new(BreakKind::SamplingFlipped, at, detail).with([parent.span_id]));
        }
    }
    let bound = u64::try_from(rules.clock_bound.as_nanos()).unwrap_or(u64::MAX);
    let early = parent.start.saturating_sub(span.start);
    if early > bound {
        let detail = format!("it began {} before its parent `{name}`", duration(early));
        found.push(Found::new(BreakKind::ClockSkew, at, detail).with([parent.span_id]));
    }
    let late = parent.end.map_or(0, |end| span.start.saturating_sub(end));
    if late == 0 {
        return;
    }
    let how_late = || format!("it began {} after its parent `{name}` had ended", duration(late));
    if tree.is_remote(at, parent_at) {
        let is_answered = parent.kind == SpanKind::Client && span.kind == SpanKind::Server && !is_given_up(parent);
        if is_answered && late > bound {
            let detail = format!("{}, although that waited for the response", how_late());
            found.push(Found::new(BreakKind::ClockSkew, at, detail).with([parent.span_id]));
        }
    } else if late > PRECISION && !is_detached(span, parent) {
        found.push(Found::new(BreakKind::EndedBeforeChild, at, how_late()).with([parent.span_id]));
    }
}

/// Whether a client may not have waited for the response.
fn is_given_up(client: &Span) -> bool {
    client.is_error || client.attribute(semconv::THROUGHLINE_CANCELLED) == Some(&Value::Bool(true))
}

/// Whether a child may start after its parent has ended: a detached job, code that runs in a `Snapshot`, a message that
/// waits in a queue, or a span with a link.
fn is_detached(span: &Span, parent: &Span) -> bool {
    let is_marked = span.attribute(semconv::THROUGHLINE_DETACHED) == Some(&Value::Bool(true));
    is_job(span)
        || is_marked
        || span.kind == SpanKind::Consumer
        || parent.kind == SpanKind::Producer
        || !span.links.is_empty()
}

/// Checks that some span of each entry of a service has the tag.
fn required_tag(tree: &Tree<'_>, key: &Arc<str>, found: &mut Vec<Found>) {
    let mut has_tag = vec![false; tree.spans.len()];
    let mut below = vec![0_u64; tree.spans.len()];
    for (at, span) in tree.spans.iter().enumerate() {
        has_tag[tree.entries[at]] |= span.attribute(key).is_some();
        below[tree.entries[at]] += 1;
    }
    for entry in (0..tree.spans.len()).filter(|at| tree.is_entry(*at) && !has_tag[*at]) {
        let detail = match below[entry] {
            1 => format!("it does not have the required tag `{key}`"),
            spans => format!("none of {} has the required tag `{key}`", plural(spans, "span")),
        };
        found.push(Found::new(BreakKind::MissingTag, entry, detail).about(key));
    }
}

/// Checks that all spans with the tag have the same value.
fn business_tag(tree: &Tree<'_>, key: &Arc<str>, found: &mut Vec<Found>) {
    let mut first: Option<(&Value, &Span)> = None;
    // Values are compared by type and text, because they do not implement `Hash`, and NaN does not equal itself.
    let mut seen: Set<(Discriminant<Value>, Cow<'_, str>)> = Set::default();
    for (at, span) in tree.spans.iter().enumerate() {
        let Some(value) = span.attribute(key) else { continue };
        if !seen.insert((mem::discriminant(value), value.as_str())) {
            continue;
        }
        let (known, first) = *first.get_or_insert((value, span));
        if seen.len() > 1 {
            let (here, known) = (value.as_str(), known.as_str());
            let [here, known, name] = [&here, &known, &*first.name].map(shown);
            let detail = format!("`{key}` is `{here}` here, and `{known}` on `{name}`");
            found.push(Found::new(BreakKind::ConflictingTag, at, detail).with([first.span_id]).about(key));
        }
    }
}
