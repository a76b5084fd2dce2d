//! Counts of judged traces, and examples of breaks, in bounded memory.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher as _, Hash};
use std::sync::Arc;

use foldhash::fast::RandomState;
use opentelemetry::trace::{SpanKind, TraceId};

use super::judge::{Found, judge, shown as truncated};
use super::kind::BreakKind;
use super::model::{Place, Span};
use super::report::{Break, BrokenTrace, Counts, EntryReport, Example, Mark, Report, ServiceReport, Skipped};
use super::rules::Rules;
use super::tree::{self, Parent, Tree};
use crate::tracer::decode::kind_number;

/// The maximum number of services that are counted separately. Further ones are counted together.
const MAX_SERVICES: usize = 1_000;

/// The maximum number of different breaks that are counted separately. Further ones are counted by kind and service.
const MAX_BREAKS: usize = 1_000;

/// The name under which services, entry points and spans beyond a limit are counted.
const OTHERS: &str = "(other)";

/// A map with a randomly seeded hash, because callers choose some of the names and values, and could otherwise force
/// collisions.
pub(super) type Map<K, V> = HashMap<K, V, RandomState>;
pub(super) type Set<T> = HashSet<T, RandomState>;

/// Callers choose all trace IDs, one for each request, so these maps use `SipHash`, whose key cannot be inferred from
/// timing either.
pub(super) type Traces<T> = HashMap<TraceId, T>;
#[cfg(any(feature = "otlp", test))]
pub(super) type Ids = HashSet<TraceId>;

#[derive(Debug, Clone)]
pub(super) struct Tally {
    pub(super) rules: Rules,
    total: Counts,
    services: Map<Arc<str>, Service>,
    breaks: Map<Key, Break>,
    broken: Vec<BrokenTrace>,
    pub(super) skipped: Skipped,
    /// The counts since metrics were last recorded.
    pub(super) recent: Recent,
}

/// Counts for metrics: traces that are complete and that are not, and breaks by kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent {
    pub(super) complete: u64,
    pub(super) broken: u64,
    pub(super) breaks: Map<BreakKind, u64>,
}

#[derive(Debug, Clone, Default)]
struct Service {
    counts: Counts,
    breaks: u64,
    entries: Map<EntryKey, Entry>,
    names: Distinct,
    keys: Distinct,
    /// The number of the last trace that was counted.
    last: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct EntryKey {
    name: Arc<str>,
    kind: u8,
}

#[derive(Debug, Clone)]
struct Entry {
    kind: SpanKind,
    counts: Counts,
    breaks: u64,
    last: u64,
}

/// The properties by which similar breaks are merged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    kind: BreakKind,
    service: Arc<str>,
    entry: Arc<str>,
    span: Arc<str>,
    subject: Option<Arc<str>>,
    place: Option<Arc<Place>>,
}

/// Counts distinct texts, up to a limit.
#[derive(Debug, Clone, Default)]
struct Distinct {
    hashes: Set<u64>,
    examples: Vec<Arc<str>>,
    is_over: bool,
}

impl Distinct {
    const EXAMPLES: usize = 3;

    /// Adds a text, and returns whether it is the first one above the limit. The last texts up to that one are kept as
    /// examples.
    fn add(&mut self, text: &str, max: usize) -> bool {
        if self.is_over {
            return false;
        }
        let is_new = self.hashes.insert(self.hashes.hasher().hash_one(text));
        if is_new && self.hashes.len() + Self::EXAMPLES > max {
            self.examples.push(text.into());
            self.is_over = self.hashes.len() > max;
        }
        self.is_over
    }
}

impl Tally {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            total: Counts::default(),
            services: Map::default(),
            breaks: Map::default(),
            broken: Vec::new(),
            skipped: Skipped::default(),
            recent: Recent::default(),
        }
    }

    /// Judges a trace, and counts it. Returns whether it is complete.
    pub(super) fn add(&mut self, trace_id: TraceId, mut spans: Vec<Span>) -> bool {
        tree::sort(&mut spans);
        let tree = Tree::new(&spans, self.rules.is_partial);
        let found = judge(&tree, &self.rules);
        let is_complete = !found.iter().any(|found| found.kind.breaks_the_tree());
        self.count(&tree, is_complete);
        let mut is_example = false;
        for found in &found {
            is_example |= self.found(&tree, trace_id, found);
        }
        if is_example && self.broken.len() < self.rules.max_broken_traces {
            self.broken.push(shown(trace_id, spans, &found, self.rules.max_spans_shown));
        }
        is_complete
    }

    /// Whether a trace has a missing parent, which may still arrive.
    pub(super) fn is_unfinished(&self, spans: &mut Vec<Span>) -> bool {
        tree::sort(spans);
        Tree::new(spans, self.rules.is_partial).parents.contains(&Parent::Missing)
    }

    fn count(&mut self, tree: &Tree<'_>, is_complete: bool) {
        let (max_names, max_keys) = (self.rules.max_names, self.rules.max_keys);
        self.total.traces += 1;
        self.total.spans += tree.spans.len() as u64;
        self.total.complete += u64::from(is_complete);
        self.recent.complete += u64::from(is_complete);
        self.recent.broken += u64::from(!is_complete);
        let (number, mut suspicious) = (self.total.traces, 0);
        let mut rest = tree.spans;
        // Spans with the same entry are in the same service, and are usually adjacent.
        for entries in tree.entries.chunk_by(|a, b| a == b) {
            let (spans, left) = rest.split_at(entries.len());
            rest = left;
            let entry = &tree.spans[entries[0]];
            let service = self.service(&entry.service);
            service.counts.add(&mut service.last, number, is_complete, spans.len());
            for span in spans {
                suspicious += u64::from(service.names.add(&span.name, max_names));
                for attribute in &span.attributes {
                    suspicious += u64::from(service.keys.add(attribute.key.as_str(), max_keys));
                }
            }
            let entry = service.entry(entry, max_names);
            entry.counts.add(&mut entry.last, number, is_complete, spans.len());
        }
        if suspicious > 0 {
            *self.recent.breaks.entry(BreakKind::HighCardinality).or_default() += suspicious;
        }
    }

    fn service(&mut self, name: &Arc<str>) -> &mut Service {
        let name = self.counted_as(name);
        self.services.entry(name).or_default()
    }

    /// The name under which a service is counted.
    fn counted_as(&self, service: &Arc<str>) -> Arc<str> {
        let is_full = self.services.len() >= MAX_SERVICES && !self.services.contains_key(service);
        if is_full { OTHERS.into() } else { Arc::clone(service) }
    }

    /// Counts a break of a trace. Returns whether it was kept as an example.
    fn found(&mut self, tree: &Tree<'_>, trace_id: TraceId, found: &Found) -> bool {
        let (max_names, max_shown) = (self.rules.max_names, self.rules.max_spans_shown);
        let span = &tree.spans[found.span];
        let entry = &tree.spans[tree.entries[found.span]];
        let service = self.service(&span.service);
        service.breaks += 1;
        service.entry(entry, max_names).breaks += 1;
        let key = Key {
            kind: found.kind,
            service: Arc::clone(&span.service),
            entry: Arc::clone(&entry.name),
            span: Arc::clone(&span.name),
            subject: found.subject.clone(),
            place: tree.near(found.span).find_map(|near| tree.spans[near].code_place()),
        };
        let example = || Example {
            trace_id: Some(trace_id),
            spans: [span.span_id].into_iter().chain(found.others.iter().copied()).take(max_shown.max(1)).collect(),
            detail: found.detail.clone(),
        };
        self.count_break(key, 1, example)
    }

    fn count_break(&mut self, key: Key, count: u64, example: impl FnOnce() -> Example) -> bool {
        *self.recent.breaks.entry(key.kind).or_default() += count;
        let is_full = self.breaks.len() >= MAX_BREAKS && !self.breaks.contains_key(&key);
        let key = if is_full { Key { service: self.counted_as(&key.service), ..key.of_others() } } else { key };
        let found = self.breaks.entry(key).or_insert_with_key(Key::empty);
        found.count += count;
        let is_example = found.examples.len() < self.rules.max_examples;
        if is_example {
            found.examples.push(example());
        }
        is_example
    }

    /// Counts breaks that belong to no audited trace.
    #[cfg(feature = "otlp")]
    pub(super) fn note(
        &mut self,
        kind: BreakKind,
        service: &Arc<str>,
        span: &str,
        place: Option<Arc<Place>>,
        count: u64,
        example: Example,
    ) {
        self.service(service).breaks += count;
        let (service, span) = (Arc::clone(service), span.into());
        let key = Key { kind, service, entry: Arc::default(), span, subject: None, place };
        self.count_break(key, count, || example);
    }

    /// Counts an attribute key that is not kept in the attributes of a span.
    #[cfg(feature = "otlp")]
    pub(super) fn key(&mut self, service: &Arc<str>, key: &str) {
        let max = self.rules.max_keys;
        if self.service(service).keys.add(key, max) {
            *self.recent.breaks.entry(BreakKind::HighCardinality).or_default() += 1;
        }
    }

    pub(super) fn report(&self) -> Report {
        let rules = &self.rules;
        let mut breaks: Vec<Break> = self.breaks.values().cloned().collect();
        for (name, service) in &self.services {
            breaks.extend(service.names.suspicious(name, "span names", rules.max_names));
            breaks.extend(service.keys.suspicious(name, "attribute keys", rules.max_keys));
        }
        breaks.sort_by(|a, b| a.order().cmp(&b.order()));
        let mut services: Vec<_> = self.services.iter().map(|(name, service)| service.report(name)).collect();
        services.sort_by(|a, b| a.name.cmp(&b.name));
        Report { total: self.total, services, breaks, traces: self.broken.clone(), skipped: self.skipped }
    }
}

impl Counts {
    /// Counts spans, and their trace unless it is the one that was counted last.
    fn add(&mut self, last: &mut u64, trace: u64, is_complete: bool, spans: usize) {
        self.spans += spans as u64;
        if *last != trace {
            *last = trace;
            self.traces += 1;
            self.complete += u64::from(is_complete);
        }
    }
}

impl Service {
    fn entry(&mut self, span: &Span, max: usize) -> &mut Entry {
        let key = EntryKey { name: Arc::clone(&span.name), kind: kind_number(&span.kind) };
        let is_full = self.entries.len() >= max && !self.entries.contains_key(&key);
        let key = if is_full { EntryKey { name: OTHERS.into(), kind: 0 } } else { key };
        let new = || Entry { kind: span.kind.clone(), counts: Counts::default(), breaks: 0, last: 0 };
        self.entries.entry(key).or_insert_with(new)
    }

    fn report(&self, name: &Arc<str>) -> ServiceReport {
        let entries = self.entries.iter().map(|(key, entry)| EntryReport {
            name: Arc::clone(&key.name),
            kind: entry.kind.clone(),
            counts: entry.counts,
            breaks: entry.breaks,
        });
        let mut entries: Vec<_> = entries.collect();
        entries.sort_by(|a, b| (&a.name, kind_number(&a.kind)).cmp(&(&b.name, kind_number(&b.kind))));
        let suspicious = u64::from(self.names.is_over) + u64::from(self.keys.is_over);
        let name = Arc::clone(name);
        ServiceReport { name, counts: self.counts, breaks: self.breaks + suspicious, entries }
    }
}

impl Distinct {
    fn suspicious(&self, service: &Arc<str>, what: &str, max: usize) -> Option<Break> {
        let last = self.examples.last().filter(|_| self.is_over)?;
        let examples: Vec<_> = self.examples.iter().map(|example| truncated(example)).collect();
        let detail = format!("more than {max} {what}, such as `{}`", examples.join("`, `"));
        let key = Key {
            kind: BreakKind::HighCardinality,
            service: Arc::clone(service),
            entry: Arc::default(),
            span: Arc::default(),
            subject: Some(Arc::clone(last)),
            place: None,
        };
        let examples = vec![Example { trace_id: None, spans: Vec::new(), detail }];
        Some(Break { count: 1, examples, ..key.empty() })
    }
}

impl Key {
    fn empty(&self) -> Break {
        let Self { kind, service, entry, span, subject, place } = self.clone();
        Break { kind, service, entry, span, subject, place, count: 0, examples: Vec::new() }
    }

    /// Returns the key under which breaks beyond the limit are counted.
    fn of_others(self) -> Self {
        let other = Arc::<str>::from(OTHERS);
        Self { entry: Arc::clone(&other), span: other, subject: None, place: None, ..self }
    }
}

impl Break {
    fn order(&self) -> impl Ord + use<'_> {
        let names = (&self.service, &self.entry, &self.span, &self.subject, &self.place);
        (self.kind, std::cmp::Reverse(self.count), names)
    }
}

/// Returns a trace as an example. If it has too many spans, those at which a break was found are kept in preference to
/// others, and otherwise the first ones.
fn shown(trace_id: TraceId, mut spans: Vec<Span>, found: &[Found], max: usize) -> BrokenTrace {
    let count = spans.len();
    let mut marks: Vec<_> =
        found.iter().map(|found| Mark { kind: found.kind, span: found.span, detail: found.detail.clone() }).collect();
    if spans.len() > max {
        let mut kept: BTreeSet<usize> = marks.iter().map(|mark| mark.span).take(max).collect();
        let unmarked = (0..spans.len()).filter(|at| !kept.contains(at)).take(max - kept.len()).collect::<Vec<_>>();
        kept.extend(unmarked);
        let kept: Vec<usize> = kept.into_iter().collect();
        spans = kept.iter().map(|at| spans[*at].clone()).collect();
        marks.retain_mut(|mark| kept.binary_search(&mark.span).map(|at| mark.span = at).is_ok());
    }
    let spans_left_out = (count - spans.len()) as u64;
    BrokenTrace { trace_id, spans, spans_left_out, marks }
}
