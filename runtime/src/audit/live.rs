//! The audit of this process while it runs.

use std::panic::Location;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::trace::{TraceContextExt as _, TraceId};

use super::decode::Decoder;
use super::kind::BreakKind;
use super::metrics;
use super::model::Place;
use super::report::{Example, Report};
use super::rules::Rules;
use super::tally::Ids;
use super::text::duration;
use super::window::Audit;
use crate::atomic::AtomicU64;
use crate::propagation::without_span;
use crate::span::registry::{Entry, Table};
use crate::tracer::encoded::{QueuedSpans, frames, message};

/// The default maximum number of buffered spans.
const MAX_SPANS: usize = 1 << 16;

/// How many times longer a trace with a missing parent must be quiet before it is judged.
const PATIENCE: u64 = 10;

/// The audit of a running process, which examines the spans that it exports. Returned by
/// [`Telemetry::audit`](crate::telemetry::Telemetry::audit), and still usable after a shutdown.
///
/// Cloning is cheap; all clones refer to the same audit.
#[derive(Debug, Clone)]
pub struct LiveAudit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    begun: Instant,
    open_spans: Option<&'static Table>,
    /// The age from which an open span is reported.
    max_age: Duration,
    /// The number of traces that were sampled by the caller, but not recorded here because of load shedding.
    refused: Arc<AtomicU64>,
}

#[derive(Debug)]
struct State {
    audit: Audit,
    decoder: Decoder,
}

impl LiveAudit {
    pub(crate) fn new(
        rules: Rules,
        service: &str,
        open_spans: Option<&'static Table>,
        max_age: Duration,
        refused: Arc<AtomicU64>,
    ) -> Self {
        let rules = rules.partial();
        let rules = Rules { max_spans: Some(rules.max_spans.unwrap_or(MAX_SPANS)), ..rules };
        let decoder = Decoder::new(service.into(), &rules);
        without_span::observe();
        let state = Mutex::new(State { audit: Audit::new(rules), decoder });
        Self(Arc::new(Inner { state, begun: Instant::now(), open_spans, max_age, refused }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Adds spans that are about to be exported.
    pub(crate) fn observe(&self, batch: &[QueuedSpans]) {
        let now = self.now();
        let state = &mut *self.lock();
        for spans in batch {
            if state.audit.rules().wants(spans.trace_id) {
                state.push(spans, now);
            }
        }
    }

    /// Judges traces that have been quiet for long enough or, on a flush, all traces without open spans. Traces with a
    /// missing parent are given more time. A trace with spans in the queue, because of the schedule delay or an outage,
    /// is not quiet. At a shutdown, queued spans are lost, so all traces are judged.
    pub(crate) fn judge(&self, is_flush: bool, is_shutdown: bool, is_queued: impl Fn(TraceId) -> bool) {
        let now = self.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        state.note_injections();
        state.note_refused(self.0.refused.swap(0, Ordering::Relaxed));
        let quiet = u64::try_from(state.audit.rules().quiet.as_millis()).unwrap_or(u64::MAX);
        let quiet_since = if is_flush || is_shutdown { Some(now) } else { now.checked_sub(quiet) };
        let patience = quiet.saturating_mul(PATIENCE);
        let patience_since = if is_shutdown { Some(now) } else { now.checked_sub(patience) };
        if let Some(quiet_since) = quiet_since {
            // Collected only if there is a trace to judge.
            let mut open: Option<Ids> = None;
            let is_open =
                |id| open.get_or_insert_with(|| self.open_traces()).contains(&id) || !is_shutdown && is_queued(id);
            state.audit.judge_quiet(now, quiet_since, patience_since, is_open);
        }
        let recent = std::mem::take(&mut state.audit.tally.recent);
        drop(guard);
        metrics::record(&recent);
    }

    /// Returns the IDs of traces with open spans.
    fn open_traces(&self) -> Ids {
        let mut open = Ids::default();
        if let Some(table) = self.0.open_spans {
            table.each(|entry, _| {
                open.insert(entry.context.span().span_context().trace_id());
            });
        }
        open
    }

    /// Returns a report on the traces judged so far. A trace is judged after it has been [quiet](Rules::quiet), or when
    /// a flush exports it, provided that it has no open span, none that is queued, and no missing parent. A shutdown
    /// judges all traces. Spans that have been open for longer than
    /// [`open_span_warning`](crate::telemetry::Builder::open_span_warning) are reported as breaks, although they may
    /// still end.
    ///
    /// This locks the audit, as the export thread does, and copies the result.
    pub fn report(&self) -> Report {
        let (mut tally, service, pending, rules) = {
            let state = &mut *self.lock();
            state.note_injections();
            state.note_refused(self.0.refused.swap(0, Ordering::Relaxed));
            let pending = state.audit.pending_traces();
            let service = Arc::clone(state.decoder.service());
            (state.audit.tally.clone(), service, pending, state.audit.rules().clone())
        };
        if let Some(table) = self.0.open_spans {
            table.each(|entry, age| {
                if age >= self.0.max_age && rules.wants(entry.identity().trace_id()) {
                    tally.note(BreakKind::NeverEnded, &service, &entry.name, place(entry.place), 1, open(entry, age));
                }
            });
        }
        let mut report = tally.report();
        report.skipped.traces_pending = pending;
        report
    }
}

impl State {
    fn push(&mut self, spans: &QueuedSpans, now: u64) {
        let Self { audit, decoder } = self;
        let service = Arc::clone(decoder.service());
        for frame in frames(&spans.bytes) {
            let span = decoder.span(spans.trace_id, message(frame), |key| audit.tally.key(&service, key));
            audit.push_at(span, now);
        }
    }

    /// Counts injections for which no span was current.
    fn note_injections(&mut self) {
        let service = Arc::clone(self.decoder.service());
        for (location, count) in without_span::take() {
            let detail = format!("no span is current at {}:{}", location.file(), location.line());
            let example = Example { trace_id: None, spans: Vec::new(), detail };
            self.audit.tally.note(BreakKind::InjectionWithoutSpan, &service, "", place(Some(location)), count, example);
        }
    }

    /// Counts traces that were sampled by the caller, but not recorded here because of load shedding.
    fn note_refused(&mut self, count: u64) {
        if count > 0 {
            let detail = "the caller samples the trace, and the queue was too full to record it here".to_owned();
            let example = Example { trace_id: None, spans: Vec::new(), detail };
            let service = Arc::clone(self.decoder.service());
            self.audit.tally.note(BreakKind::SamplingFlipped, &service, "", None, count, example);
        }
    }
}

fn place(location: Option<&'static Location<'static>>) -> Option<Arc<Place>> {
    location.map(|location| Arc::new(Place::new(location.file(), Some(location.line()), None)))
}

/// An example of a span that is still open.
fn open(entry: &Entry, age: Duration) -> Example {
    let identity = entry.identity();
    let age = duration(u64::try_from(age.as_nanos()).unwrap_or(u64::MAX));
    Example {
        trace_id: Some(identity.trace_id()),
        spans: vec![identity.span_id()],
        detail: format!("it has been open for {age}"),
    }
}
