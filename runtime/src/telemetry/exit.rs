//! The end of the process: nothing is forgotten, and nothing holds it up for ever.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanId, Status, TraceContextExt as _, TraceId};

use tokio::sync::oneshot;

use super::counts::Counts;
use super::notice::{self, Kind};
use super::setup::{SET_UP, Telemetry};
use super::shared::has_ended;
use super::text::count;
use super::work::unharmed;
use crate::jobs;
use crate::span::registry::Entry;
use crate::span::tracer::{self, SetUp};

/// How long dropping a [`Telemetry`] may take.
const DROP_LIMIT: Duration = Duration::from_secs(5);

/// What the thread that sends may need beyond its limit, to give up in order.
const GRACE: Duration = Duration::from_secs(1);

/// Of the time that is left for shutting down, this much is kept for sending.
const SHARE_FOR_SENDING: u32 = 4;

/// How to shut down: [`Telemetry::shutdown_with`].
#[derive(Debug, Clone, Copy)]
#[must_use = "it says how to shut down, and does nothing by itself"]
pub struct Shutdown {
    limit: Duration,
    refuse: bool,
}

impl Shutdown {
    /// Takes `limit` at most.
    pub fn within(limit: Duration) -> Self {
        Self { limit, refuse: false }
    }

    /// Lets no new tasks in: one that is spawned from now on is aborted before it is polled. Blocking
    /// jobs and threads, which cannot be aborted, still run.
    pub fn refuse_new_jobs(mut self) -> Self {
        self.refuse = true;
        self
    }
}

/// What shutting down found, and what became of all spans since [`init`](super::init).
///
/// As text it is one line, which `shutdown` also logs: as a warning if something was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Detached jobs that were running when it began.
    pub jobs: usize,
    /// Those of them, and of those they started, that had not ended when the time was over.
    pub jobs_left: usize,
    /// Spans that were still open. They were ended and have the attribute `throughline.unfinished`.
    pub unfinished: Vec<OpenSpan>,
    /// Spans that the exporter has taken.
    pub exported: u64,
    /// Spans that the collector has refused for good.
    pub refused: u64,
    /// Traces that were shed as a whole: not begun, or evicted from the queue, because it was full.
    pub shed: u64,
    /// Spans that were dropped from traces that had begun to leave, because the queue was full.
    pub dropped: u64,
    /// Finished spans that could not be sent in time.
    pub spans_left: u64,
    /// How long it took.
    pub took: Duration,
}

impl Report {
    fn new(jobs: (usize, usize), unfinished: Vec<OpenSpan>, counts: &Counts, took: Duration) -> Self {
        Self {
            jobs: jobs.0,
            jobs_left: jobs.1,
            unfinished,
            exported: counts.exported,
            refused: counts.refused,
            shed: counts.traces_shed(),
            dropped: counts.spans_dropped,
            spans_left: counts.left_behind + counts.queued + counts.in_flight,
            took,
        }
    }

    /// Whether everything had ended, and nothing was lost since the start: every job and span had ended,
    /// every trace was recorded that the sampler wanted, and the exporter has taken every span.
    pub fn is_complete(&self) -> bool {
        let lost = self.refused + self.shed + self.dropped + self.spans_left;
        self.jobs_left == 0 && self.unfinished.is_empty() && lost == 0
    }

    fn log(&self) {
        // The subscriber is the application's, and this may be a destructor.
        unharmed(|| {
            if self.is_complete() {
                notice::info(self);
            } else {
                notice::warn(Kind::Report, self);
            }
        });
    }
}

impl fmt::Display for Report {
    /// `shut down in 0.2 s: 512 spans exported, 1 detached job still running`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shut down in {:.1} s: {} exported", self.took.as_secs_f64(), count(self.exported, "span"))?;
        for (number, what, how) in [
            (self.jobs_left as u64, "detached job", "still running"),
            (self.unfinished.len() as u64, "span", "still open"),
            (self.spans_left, "span", "not sent"),
            (self.refused, "span", "refused"),
            (self.dropped, "span", "dropped"),
            (self.shed, "trace", "not recorded"),
        ] {
            if number > 0 {
                write!(f, ", {} {how}", count(number, what))?;
            }
        }
        if let Some(first) = self.unfinished.first() {
            write!(f, "; `{}` had been open for {} s", first.name.escape_debug(), first.age.as_secs())?;
        }
        Ok(())
    }
}

/// A span that has started and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenSpan {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its trace.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// How long it has been open, to half a second.
    pub age: Duration,
    /// Where in the source it was started, unless a transport has opened it.
    pub place: Option<&'static Location<'static>>,
}

impl Telemetry {
    /// The spans of Throughline that are open now, oldest first; at most as many as the builder's
    /// `open_spans` says.
    pub fn open_spans(&self) -> Vec<OpenSpan> {
        let mut spans = Vec::new();
        if let Some(open) = &self.open {
            open.each(|entry, age| spans.push(OpenSpan::new(entry, age)));
        }
        oldest_first(spans)
    }

    /// How many open spans found no place in the list.
    pub fn open_spans_not_listed(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.missed())
    }

    /// Waits for detached jobs, ends and marks the spans that are still open, and sends what waits:
    /// all within `limit`, of which a quarter is kept for sending.
    ///
    /// Spans that start afterwards are not recorded. Jobs may start while it waits, and are waited
    /// for too; see [`shutdown_with`](Self::shutdown_with) to refuse them.
    ///
    /// Needs no Tokio runtime, and none of its drivers. A detached job that awaits it waits for itself,
    /// until the limit. Cancelling it by dropping the future drops the telemetry; see there.
    pub async fn shutdown(self, limit: Duration) -> Report {
        self.shutdown_with(Shutdown::within(limit)).await
    }

    /// Shuts down as `how` says. See [`shutdown`](Self::shutdown).
    pub async fn shutdown_with(mut self, how: Shutdown) -> Report {
        let begun = Instant::now();
        if how.refuse {
            jobs::close();
        }
        let jobs = jobs::running();
        let for_sending = how.limit / SHARE_FOR_SENDING;
        let idle = within(how.limit.saturating_sub(for_sending), jobs::idle()).await;
        let jobs_left = if idle { 0 } else { jobs::running() };
        let unfinished = self.end_open_spans();
        let left = how.limit.saturating_sub(begun.elapsed());
        let (tell, told) = oneshot::channel::<Infallible>();
        self.end(left, tell);
        within(left.saturating_add(GRACE), async { drop(told.await) }).await;
        self.ending = None;
        let report = Report::new((jobs, jobs_left), unfinished, &self.counts(), begun.elapsed());
        if self.provider.is_some() {
            report.log();
        }
        report
    }

    /// Waits for SIGTERM or Ctrl-C, then shuts down. A second signal changes nothing: the limit is
    /// what ends it.
    ///
    /// # Panics
    ///
    /// Those of [`signal`].
    pub async fn shutdown_on_signal(self, limit: Duration) -> Report {
        signal().await;
        self.shutdown(limit).await
    }

    fn end_open_spans(&self) -> Vec<OpenSpan> {
        let mut spans = Vec::new();
        for (entry, age) in self.open.iter().flat_map(|open| open.drain()) {
            spans.push(OpenSpan::new(&entry, age));
            let span = entry.context.span();
            span.set_attribute(KeyValue::new("throughline.unfinished", true));
            span.set_status(Status::error("the process has ended before it"));
            span.end();
        }
        oldest_first(spans)
    }
}

impl OpenSpan {
    fn new(entry: &Entry, age: Duration) -> Self {
        let identity = entry.identity();
        Self {
            name: entry.name.clone(),
            trace_id: identity.trace_id(),
            span_id: identity.span_id(),
            age,
            place: entry.place,
        }
    }
}

fn oldest_first(mut spans: Vec<OpenSpan>) -> Vec<OpenSpan> {
    spans.sort_by_key(|span| std::cmp::Reverse(span.age));
    spans
}

impl Telemetry {
    /// Sends what waits, on a thread of its own, which drops `tell` in the end. That blocks: not a worker
    /// that others need, and not the pool for blocking work, which may be full of jobs that do not end.
    fn end(&mut self, limit: Duration, tell: oneshot::Sender<Infallible>) {
        self.ended = true;
        let Some(provider) = self.provider.clone() else { return };
        let waiting = thread::Builder::new().name("throughline-shutdown".to_owned()).spawn({
            let (provider, pipeline) = (provider.clone(), self.pipeline.clone());
            move || {
                let _tell = tell;
                let shut_down_before = provider.shutdown_with_timeout(limit).is_err();
                if let Some(pipeline) = pipeline.filter(|_| shut_down_before) {
                    pipeline.wait_for_end(limit);
                }
            }
        });
        match waiting {
            Ok(thread) => self.ending = Some(thread),
            // No more threads: better to block than to lose what waits.
            Err(_) => drop(provider.shutdown_with_timeout(limit)),
        }
    }
}

/// Whether `future` was ready within `limit`. A thread keeps the time, and only if it has to: a runtime
/// may have no timer, and there may be no runtime.
async fn within(limit: Duration, future: impl Future<Output = ()>) -> bool {
    let mut future = pin!(future);
    if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await {
        return true;
    }
    let (tell, mut told) = oneshot::channel::<Infallible>();
    let (_needed, is_needed) = mpsc::channel::<Infallible>();
    // Without a thread the time is over at once.
    let _ = thread::Builder::new().name("throughline-limit".to_owned()).spawn(move || {
        let _tell = tell;
        let _ = is_needed.recv_timeout(limit);
    });
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending => Pin::new(&mut told).poll(cx).map(|_| false),
    })
    .await
}

impl Drop for Telemetry {
    /// Ends and marks the spans that are open, and sends what waits, for five seconds at most. It
    /// does not wait for jobs: that would block the worker that they need.
    fn drop(&mut self) {
        let is_last = self.provider.is_some() && SET_UP.fetch_sub(1, Ordering::Relaxed) == 1;
        let begun = Instant::now();
        let unfinished = (!self.ended).then(|| {
            if is_last {
                tracer::set_up_is(SetUp::Dropped);
            }
            let unfinished = self.end_open_spans();
            self.end(DROP_LIMIT, oneshot::channel().0);
            unfinished
        });
        // Also that of a shutdown that was given up half-way.
        if let Some(ending) = &self.ending {
            has_ended(ending, DROP_LIMIT + GRACE);
        }
        if let Some(unfinished) = unfinished.filter(|_| self.provider.is_some()) {
            let jobs = jobs::running();
            Report::new((jobs, jobs), unfinished, &self.counts(), begun.elapsed()).log();
        }
    }
}

/// Waits until the process is asked to end: SIGTERM or Ctrl-C (SIGINT); on Windows Ctrl-C.
///
/// # Panics
///
/// Outside a Tokio runtime with its signal driver enabled.
pub async fn signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a handler there is nothing to wait for.
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let terminate = async {
            match signal(SignalKind::terminate()) {
                Ok(mut stream) => drop(stream.recv().await),
                Err(_) => std::future::pending().await,
            }
        };
        let (mut interrupt, mut terminate) = (pin!(interrupt), pin!(terminate));
        poll_fn(|cx| {
            let asked = interrupt.as_mut().poll(cx).is_ready() || terminate.as_mut().poll(cx).is_ready();
            if asked { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
    #[cfg(not(unix))]
    interrupt.await;
}
