//! The way of a finished span to its exporter: a queue, and a thread that empties it.
//!
//! The thread has a runtime of its own, so that no worker of the application's ever waits for a
//! collector, whatever flavour of runtime there is, or none.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::{Context, KeyValue, StringValue, Value, global};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use tokio::sync::Notify;
use tokio::time;

use super::env::Batching;
use super::queue::{Losses, Queue};
use super::sampler::Room;
use crate::open::Table;

/// How often the thread looks around without being called.
const TICK: Duration = Duration::from_millis(500);

/// Warnings of one kind are at least this far apart.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// So often it is told that the collector does not answer.
const SILENCE_INTERVAL: Duration = Duration::from_secs(60);

/// The shortest time between two looks at the queue, whatever `OTEL_BSP_SCHEDULE_DELAY` says.
const SHORTEST_DELAY: Duration = Duration::from_millis(10);

/// What takes batches.
pub(super) trait Sender {
    /// Sends a batch, and does not come back before it is known what became of it.
    fn send(&self, batch: Vec<SpanData>) -> impl Future<Output = Sent>;

    /// What the last try of the batch that is being sent has failed of, if it is known.
    fn trouble(&self) -> String {
        String::new()
    }

    /// Nothing will be sent any more.
    fn end(&self, _limit: Duration) {}
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) taken: u64,
    /// For good.
    pub(super) refused: u64,
    /// Why it was refused.
    pub(super) why: String,
}

/// An exporter that is not ours.
#[derive(Debug)]
pub(super) struct Foreign<E>(pub(super) E);

impl<E: SpanExporter> Sender for Foreign<E> {
    async fn send(&self, batch: Vec<SpanData>) -> Sent {
        let count = batch.len() as u64;
        match self.0.export(batch).await {
            Ok(()) => Sent { taken: count, ..Sent::default() },
            Err(error) => Sent { refused: count, why: error.to_string(), ..Sent::default() },
        }
    }

    fn end(&self, limit: Duration) {
        let _ = self.0.shutdown_with_timeout(limit);
    }
}

/// How many spans went where, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Spans that the exporter has taken.
    pub exported: u64,
    /// Spans that the collector has refused for good.
    pub refused: u64,
    /// Traces that were not begun, because too many spans were waiting.
    pub traces_not_begun: u64,
    /// Traces that were thrown out as a whole, because the queue was full.
    pub traces_thrown_out: u64,
    /// The spans of those.
    pub spans_thrown_out: u64,
    /// Spans that were lost out of traces that had begun to leave, because the queue was full of
    /// such: as a rule one trace alone was larger than the queue.
    pub spans_torn_out: u64,
    /// Spans that still waited when the time for shutting down was over.
    pub left_behind: u64,
}

/// What the pipeline does besides sending.
pub(super) struct Watch {
    pub(super) room: Arc<Room>,
    pub(super) open: Option<Arc<Table>>,
    /// A span open for longer is told of, once.
    pub(super) overdue: Duration,
    pub(super) value_limit: Option<usize>,
    /// Where spans are sent to, for messages.
    pub(super) collector: String,
}

/// The span processor.
pub(super) struct Pipeline {
    shared: Arc<Shared>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

struct Shared {
    queue: Arc<Queue>,
    batching: Batching,
    watch: Watch,
    /// Rung when there is something to do before the next tick.
    bell: Notify,
    control: Mutex<Control>,
    counts: Totals,
}

#[derive(Default)]
struct Control {
    /// Who wants to know when all that waits now has left.
    flushes: Vec<mpsc::SyncSender<()>>,
    /// When shutting down has to be over.
    deadline: Option<Instant>,
    /// Nobody looks here any more.
    ended: bool,
}

#[derive(Default)]
struct Totals {
    exported: AtomicU64,
    refused: AtomicU64,
    not_begun: AtomicU64,
    thrown_out: AtomicU64,
    spans_thrown_out: AtomicU64,
    torn: AtomicU64,
    left_behind: AtomicU64,
    /// Not a total: the spans of the batch that is being sent.
    on_their_way: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The end of a time that may be as long as a `Duration` can be.
fn in_future(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time).unwrap_or_else(|| now + Duration::from_secs(60 * 60 * 24 * 365))
}

impl Pipeline {
    /// Starts the thread. `make` builds the exporter in the thread's runtime.
    pub(super) fn start<E, M, X>(queue: Arc<Queue>, batching: Batching, watch: Watch, make: M) -> Result<Self, X>
    where
        E: Sender,
        M: FnOnce() -> Result<E, X> + Send + 'static,
        X: From<std::io::Error> + Send + 'static,
    {
        let shared = Arc::new(Shared {
            queue,
            batching,
            watch,
            bell: Notify::new(),
            control: Mutex::default(),
            counts: Totals::default(),
        });
        let (tell, told) = mpsc::sync_channel(1);
        let worker = Arc::clone(&shared);
        let thread = thread::Builder::new().name("throughline-export".to_owned()).spawn(move || {
            // What the exporter does is nobody's trace.
            let _quiet = Context::enter_telemetry_suppressed_scope();
            let _end = End(&worker);
            // Made here, because a runtime must not be dropped within another one.
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(tell.send(Err(error.into()))),
            };
            runtime.block_on(async {
                let exporter = match make() {
                    Ok(exporter) => exporter,
                    Err(error) => return drop(tell.send(Err(error))),
                };
                if tell.send(Ok(())).is_ok() {
                    worker.work(exporter).await;
                }
            });
            // A connection that does not close must not hold the thread.
            runtime.shutdown_background();
        })?;
        match told.recv() {
            Ok(Ok(())) => Ok(Self { shared, thread: Mutex::new(Some(thread)) }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(std::io::Error::other("the export thread ended before it began").into()),
        }
    }

    pub(super) fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }
}

/// What the application may ask a pipeline.
#[derive(Clone)]
pub(super) struct Handle(Arc<Shared>);

impl Handle {
    pub(super) fn counts(&self) -> Counts {
        self.0.settle();
        self.0.counts.read()
    }

    pub(super) fn waiting(&self) -> usize {
        self.0.queue.len()
    }
}

impl Totals {
    fn read(&self) -> Counts {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            exported: of(&self.exported),
            refused: of(&self.refused),
            traces_not_begun: of(&self.not_begun),
            traces_thrown_out: of(&self.thrown_out),
            spans_thrown_out: of(&self.spans_thrown_out),
            spans_torn_out: of(&self.torn),
            left_behind: of(&self.left_behind),
        }
    }
}

/// Tells those who wait, however the thread ends.
struct End<'a>(&'a Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut control = locked(&self.0.control);
        control.ended = true;
        control.flushes.clear();
    }
}

impl Shared {
    async fn work(&self, sender: impl Sender) {
        let delay = self.batching.delay.clamp(SHORTEST_DELAY, TICK);
        let patience = u32::try_from(self.batching.delay.as_millis() / delay.as_millis()).unwrap_or(u32::MAX);
        let mut ticked = Instant::now();
        let mut housekeeping = Housekeeping::new();
        let mut last = Instant::now();
        loop {
            let called = {
                let control = locked(&self.control);
                control.deadline.is_some() || !control.flushes.is_empty()
            };
            if !called {
                let _ = time::timeout(delay, self.bell.notified()).await;
            }
            housekeeping.tick(self);
            let (flushes, deadline) = {
                let mut control = locked(&self.control);
                (std::mem::take(&mut control.flushes), control.deadline)
            };
            let everything = !flushes.is_empty() || deadline.is_some();
            if everything {
                self.queue.release_all();
            } else if ticked.elapsed() >= delay {
                ticked = Instant::now();
                self.queue.tick(patience);
            }
            if everything || self.queue.ready() >= self.enough() || last.elapsed() >= self.batching.delay {
                last = Instant::now();
                self.empty(&sender, everything, &mut housekeeping).await;
            }
            for flush in flushes {
                let _ = flush.send(());
            }
            let deadline = deadline.or_else(|| locked(&self.control).deadline);
            if let Some(deadline) = deadline {
                if self.queue.len() > 0 && Instant::now() < deadline {
                    continue;
                }
                self.leave_behind();
                housekeeping.finish(self);
                sender.end(deadline.saturating_duration_since(Instant::now()));
                return;
            }
        }
    }

    /// So many spans are worth a request: a batch, but never so many that the queue would be nearly
    /// full of them.
    fn enough(&self) -> usize {
        self.batching.batch.min(self.queue.limit() / 4).max(1)
    }

    /// Sends what may leave: all of it, or as long as it is worth a request.
    async fn empty(&self, sender: &impl Sender, everything: bool, housekeeping: &mut Housekeeping) {
        // What comes in meanwhile is not waited for, or a flush might never end.
        let mut left = self.queue.ready();
        while left > 0 {
            let batch = self.queue.take(self.batching.batch.min(left));
            let count = batch.len();
            if count == 0 || !self.send(sender, batch, housekeeping).await {
                return;
            }
            left = match self.queue.ready() {
                _ if everything => left - count,
                ready if ready >= self.enough() => ready,
                _ => 0,
            };
        }
    }

    /// Sends one batch. False: time is up.
    async fn send(&self, sender: &impl Sender, batch: Vec<SpanData>, housekeeping: &mut Housekeeping) -> bool {
        let count = batch.len() as u64;
        self.counts.on_their_way.store(count, Ordering::Relaxed);
        let batch = batch.into_iter().map(|span| prepared(span, self.watch.value_limit)).collect();
        let mut sending = pin!(sender.send(batch));
        let begun = Instant::now();
        let sent = loop {
            let mut called = pin!(self.bell.notified());
            let next = poll_fn(|cx| {
                // An exporter that is not ours may panic. That must not be the end of all export.
                match catch_unwind(AssertUnwindSafe(|| sending.as_mut().poll(cx))) {
                    Ok(Poll::Ready(sent)) => Poll::Ready(Some(sent)),
                    Ok(Poll::Pending) => called.as_mut().poll(cx).map(|()| None),
                    Err(_) => {
                        Poll::Ready(Some(Sent { refused: count, why: "it has panicked".to_owned(), ..Sent::default() }))
                    }
                }
            });
            let deadline = locked(&self.control).deadline;
            let left = deadline.map_or(TICK, |deadline| deadline.saturating_duration_since(Instant::now()));
            if let Ok(Some(sent)) = time::timeout(TICK.min(left), next).await {
                break sent;
            }
            housekeeping.tick(self);
            housekeeping.waited(self, begun.elapsed(), count, || sender.trouble());
            if locked(&self.control).deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return false;
            }
        };
        housekeeping.answered(self);
        self.counts.on_their_way.store(0, Ordering::Relaxed);
        self.counts.exported.fetch_add(sent.taken, Ordering::Relaxed);
        self.counts.refused.fetch_add(sent.refused, Ordering::Relaxed);
        housekeeping.refused(sent);
        true
    }

    /// Counts what has not been sent, once: the thread does it, or who waits for it in vain.
    fn leave_behind(&self) {
        let mut control = locked(&self.control);
        if !std::mem::replace(&mut control.ended, true) {
            let rest = self.queue.len() as u64 + self.counts.on_their_way.load(Ordering::Relaxed);
            self.counts.left_behind.fetch_add(rest, Ordering::Relaxed);
        }
    }

    /// Brings the totals up to date.
    fn settle(&self) {
        let not_begun = self.watch.room.take_shed();
        let losses = self.queue.take_losses();
        for (total, more) in [
            (&self.counts.not_begun, not_begun),
            (&self.counts.thrown_out, losses.traces),
            (&self.counts.spans_thrown_out, losses.spans),
            (&self.counts.torn, losses.torn),
        ] {
            total.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Asks the thread for something, and waits for the answer.
    fn ask(&self, limit: Duration, ask: impl FnOnce(&mut Control, mpsc::SyncSender<()>)) -> OTelSdkResult {
        let (tell, told) = mpsc::sync_channel(1);
        {
            let mut control = locked(&self.control);
            if control.ended {
                return Err(OTelSdkError::AlreadyShutdown);
            }
            ask(&mut control, tell);
        }
        self.bell.notify_one();
        match told.recv_timeout(limit) {
            Err(mpsc::RecvTimeoutError::Timeout) => Err(OTelSdkError::Timeout(limit)),
            // The thread has ended, with everything sent that could be.
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => Ok(()),
        }
    }
}

impl SpanProcessor for Pipeline {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        let ready = self.shared.queue.push(span);
        let enough = self.shared.enough();
        if ready.after / enough > ready.before / enough {
            self.shared.bell.notify_one();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.shared.ask(self.shared.batching.flush_limit, |control, tell| control.flushes.push(tell))
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let Some(thread) = locked(&self.thread).take() else { return Err(OTelSdkError::AlreadyShutdown) };
        locked(&self.shared.control).deadline = Some(in_future(timeout));
        self.shared.bell.notify_one();
        // The thread keeps the time, unless an exporter that is not ours blocks it.
        let over = in_future(timeout.saturating_add(TICK));
        while !thread.is_finished() && Instant::now() < over {
            thread::park_timeout(Duration::from_millis(2));
        }
        if thread.is_finished() {
            let _ = thread.join();
        } else {
            self.shared.leave_behind();
        }
        match self.shared.counts.left_behind.load(Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(OTelSdkError::Timeout(timeout)),
        }
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("waiting", &self.shared.queue.len()).finish_non_exhaustive()
    }
}

/// What is told of, and when it was last told of.
struct Housekeeping {
    last: Option<Instant>,
    /// The totals when it last looked at them.
    seen: Counts,
    /// Not told of yet.
    not_begun: u64,
    losses: Losses,
    refused: u64,
    why: String,
    /// When it was last told that the collector does not answer.
    silent: Option<Instant>,
    /// When it last looked at the open spans.
    looked: Option<Instant>,
}

impl Housekeeping {
    fn new() -> Self {
        Self {
            last: None,
            seen: Counts::default(),
            not_begun: 0,
            losses: Losses::default(),
            refused: 0,
            why: String::new(),
            silent: None,
            looked: None,
        }
    }

    fn refused(&mut self, sent: Sent) {
        if sent.refused > 0 {
            self.refused += sent.refused;
            self.why = sent.why;
        }
    }

    /// A batch is on its way for `age`.
    fn waited(&mut self, shared: &Shared, age: Duration, batch: u64, trouble: impl FnOnce() -> String) {
        if age >= WARNING_INTERVAL && self.silent.is_none_or(|last| last.elapsed() >= SILENCE_INTERVAL) {
            self.silent = Some(Instant::now());
            tracing::warn!(
                "{} has taken no spans for {} s; {} wait, and {} at most: {}",
                shared.watch.collector,
                age.as_secs(),
                shared.queue.len() as u64 + batch,
                shared.queue.limit(),
                Some(trouble()).filter(|why| !why.is_empty()).as_deref().unwrap_or("no answer"),
            );
        }
    }

    fn answered(&mut self, shared: &Shared) {
        if self.silent.take().is_some() {
            tracing::info!("{} takes spans again", shared.watch.collector);
        }
    }

    fn tick(&mut self, shared: &Shared) {
        if self.looked.is_none_or(|looked| looked.elapsed() >= TICK) {
            self.looked = Some(Instant::now());
            Self::look(shared);
        }
        self.settle(shared);
        if self.last.is_none_or(|last| last.elapsed() >= WARNING_INTERVAL) {
            self.tell(shared);
        }
    }

    /// Tells of spans that are open for too long.
    fn look(shared: &Shared) {
        let Some(open) = &shared.watch.open else { return };
        open.tick();
        for (entry, age) in open.overdue(shared.watch.overdue) {
            let at = entry.place.map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
            tracing::warn!(
                trace_id = %entry.identity.trace_id(),
                span_id = %entry.identity.span_id(),
                "the span `{}`{at} has been open for {} s and may never end",
                entry.name,
                age.as_secs(),
            );
        }
    }

    fn finish(&mut self, shared: &Shared) {
        self.settle(shared);
        self.tell(shared);
        let left = shared.counts.left_behind.load(Ordering::Relaxed);
        if left > 0 {
            tracing::warn!(
                "{left} spans were not sent: {} did not take them before the time for shutting down was over",
                shared.watch.collector,
            );
        }
    }

    fn settle(&mut self, shared: &Shared) {
        shared.settle();
        // By the totals, because whoever asks for them settles them too.
        let now = shared.counts.read();
        let seen = std::mem::replace(&mut self.seen, now);
        let not_begun = now.traces_not_begun - seen.traces_not_begun;
        let losses = Losses {
            traces: now.traces_thrown_out - seen.traces_thrown_out,
            spans: now.spans_thrown_out - seen.spans_thrown_out,
            torn: now.spans_torn_out - seen.spans_torn_out,
        };
        self.not_begun += not_begun;
        self.losses.traces += losses.traces;
        self.losses.spans += losses.spans;
        self.losses.torn += losses.torn;
        let reason = |reason: &'static str| [KeyValue::new("throughline.reason", reason)];
        for (count, name, description, reason) in [
            (not_begun, TRACES, "Traces that were not recorded, or thrown out as a whole", reason("not_begun")),
            (losses.traces, TRACES, "Traces that were not recorded, or thrown out as a whole", reason("thrown_out")),
            (losses.torn, SPANS, "Spans that were lost out of traces that had begun to leave", reason("torn_out")),
        ] {
            if count > 0 {
                // Asked anew each time: an instrument made before the meter provider is set stays
                // silent.
                let meter = global::meter("throughline");
                meter.u64_counter(name).with_description(description).build().add(count, &reason);
            }
        }
    }

    fn tell(&mut self, shared: &Shared) {
        let traces = self.not_begun + self.losses.traces;
        if traces == 0 && self.losses.torn == 0 && self.refused == 0 {
            return;
        }
        self.last = Some(Instant::now());
        if traces > 0 {
            tracing::warn!(
                "{traces} traces were left out as a whole, because spans come faster than they leave or the collector \
                 does not answer; the queue holds {} spans (`OTEL_BSP_MAX_QUEUE_SIZE`)",
                shared.queue.limit(),
            );
        }
        if self.losses.torn > 0 {
            tracing::warn!(
                "{} spans were lost out of their traces: the queue of {} spans was full of traces that had begun to leave",
                self.losses.torn,
                shared.queue.limit(),
            );
        }
        if self.refused > 0 {
            tracing::warn!("{} has refused {} spans: {}", shared.watch.collector, self.refused, self.why);
        }
        self.not_begun = 0;
        self.losses = Losses::default();
        self.refused = 0;
    }
}

const TRACES: &str = "throughline.traces.shed";
const SPANS: &str = "throughline.spans.lost";

/// The span as it is sent: of attributes with one key the last counts, as the specification has it
/// and the SDK does not, and text is cut where a limit says so.
fn prepared(mut span: SpanData, value_limit: Option<usize>) -> SpanData {
    let mut at = 0;
    while at < span.attributes.len() {
        let key = &span.attributes[at].key;
        if span.attributes[at + 1..].iter().any(|later| later.key == *key) {
            span.attributes.remove(at);
        } else {
            at += 1;
        }
    }
    if let Some(limit) = value_limit {
        for attribute in &mut span.attributes {
            cut(&mut attribute.value, limit);
        }
        for event in &mut span.events.events {
            event.attributes.iter_mut().for_each(|attribute| cut(&mut attribute.value, limit));
        }
        for link in &mut span.links.links {
            link.attributes.iter_mut().for_each(|attribute| cut(&mut attribute.value, limit));
        }
    }
    span
}

/// `OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT` counts characters.
fn cut(value: &mut Value, limit: usize) {
    let shortened = |text: &StringValue| {
        let (at, _) = text.as_str().char_indices().nth(limit)?;
        Some(StringValue::from(text.as_str()[..at].to_owned()))
    };
    match value {
        Value::String(text) => {
            if let Some(short) = shortened(text) {
                *text = short;
            }
        }
        Value::Array(opentelemetry::Array::String(texts)) => {
            for text in texts {
                if let Some(short) = shortened(text) {
                    *text = short;
                }
            }
        }
        _ => {}
    }
}
