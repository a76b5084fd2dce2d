//! Hedging during a shutdown: a request without a response is sent again, over another connection.
//!
//! The connection may be dead without having been closed, for example if the collector's host or a load balancer is
//! gone. A shutdown may end before the request times out, and the whole queue would be left behind although the
//! collector accepts connections. The first request stays in flight: if the collector is only slow, its response still
//! counts.
//!
//! It cannot be known whether the first request has arrived, so its spans may be stored twice. That is why only one
//! request is hedged, and none once a request was accepted.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{self, Instant};

use super::{Attempt, AttemptError, Failure};

/// The maximum time for which a request may be without a response during a shutdown before it is sent again. Longer
/// than a slow collector takes.
const MAX_PATIENCE: Duration = Duration::from_secs(5);

/// A request may be without a response for half of the remaining time.
const SHARE: u32 = 2;

#[derive(Debug, Default)]
pub(super) struct Hedge {
    /// How long a request may be without a response; `None` if until it times out.
    patience: Cell<Option<Duration>>,
    armed: Notify,
}

impl Hedge {
    /// Called when a shutdown begins that has to complete within `left`.
    pub(super) fn arm(&self, left: Duration) {
        self.patience.set(Some(MAX_PATIENCE.min(left / SHARE)));
        self.armed.notify_one();
    }

    /// Called after a successful response, which shows that the connection is alive, and after a request was hedged.
    pub(super) fn disarm(&self) {
        self.patience.set(None);
    }

    /// Completes when a request that was sent at `sent` should be sent again.
    async fn due(&self, sent: Instant) {
        loop {
            if let Some(patience) = self.patience.get() {
                return time::sleep_until(sent + patience).await;
            }
            self.armed.notified().await;
        }
    }
}

/// The request that was hedged, while it is still in flight.
pub(super) struct Hedged<F>(Option<Pin<Box<F>>>);

impl<F: Future<Output = Attempt<AttemptError>>> Hedged<F> {
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Makes an attempt. Returns `None` if the attempt is now the hedged one, and another one has to be made.
    pub(super) async fn attempt(&mut self, attempt: F, hedge: &Hedge) -> Option<Attempt<AttemptError>> {
        let is_first = self.0.is_none();
        let mut attempt = Box::pin(attempt);
        let result = {
            let (mut earlier, mut due) = (pin!(self.answer()), pin!(hedge.due(Instant::now())));
            poll_fn(|cx| {
                // The hedged request first: if it has a response, the other one need not be sent.
                if let Poll::Ready(result) = earlier.as_mut().poll(cx) {
                    return Poll::Ready(Some(result));
                }
                if let Poll::Ready(result) = attempt.as_mut().poll(cx) {
                    return Poll::Ready(Some(result));
                }
                if is_first { due.as_mut().poll(cx).map(|()| None) } else { Poll::Pending }
            })
            .await
        };
        if result.is_none() {
            hedge.disarm();
            self.0 = Some(attempt);
        }
        result
    }

    /// Resolves to the response to the hedged request, if it is final.
    async fn answer(&mut self) -> Attempt<AttemptError> {
        if let Some(attempt) = &mut self.0 {
            let result = attempt.await;
            self.0 = None;
            let is_final = match &result {
                Ok(_) => true,
                Err(error) => !error.is_cut_off && !matches!(error.failure, Failure::Retryable { .. }),
            };
            if is_final {
                return result;
            }
        }
        pending().await
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::ready;
    use std::task::{Context, Waker};

    use opentelemetry_sdk::Resource;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::OtlpExporter;
    use super::super::gzip::tests::batch;
    use super::*;
    use crate::telemetry::config::{ExporterConfig, Protocol};
    use crate::telemetry::export::exporter::BatchExporter as _;
    use crate::tracer::encoded::Scopes;

    /// Whether a request that was sent at `sent` should be sent again.
    fn is_due(hedge: &Hedge, sent: Instant) -> bool {
        pin!(hedge.due(sent)).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_request_is_hedged_between_the_begin_of_a_shutdown_and_the_first_response() {
        // Taken before the runtime starts: its timer does not advance while a task runs.
        let sent = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let _entered = runtime.enter();
        let hedge = Hedge::default();
        assert!(!is_due(&hedge, sent));
        hedge.arm(Duration::ZERO);
        assert!(is_due(&hedge, sent));
        hedge.disarm();
        assert!(!is_due(&hedge, sent));
        for (left, patience) in [(2_000, 1_000), (10_000, 5_000), (3_600_000, 5_000)] {
            hedge.arm(Duration::from_millis(left));
            assert_eq!(hedge.patience.get(), Some(Duration::from_millis(patience)));
            assert!(!is_due(&hedge, sent));
        }
    }

    /// Reads a request, which fits into a single read.
    async fn request(stream: &mut TcpStream) {
        let mut bytes = vec![0; 1 << 16];
        let length = stream.read(&mut bytes).await.expect("a request");
        assert!(bytes[..length].starts_with(b"POST "));
    }

    async fn accept(stream: &mut TcpStream) {
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("the client reads");
    }

    /// Exports two batches during a shutdown, to a server that responds over the first or the second connection.
    async fn export_two(is_first: bool) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut config = ExporterConfig::default();
        let endpoint = format!("http://{}", listener.local_addr().expect("a bound socket"));
        config.set_collector(endpoint, Protocol::HttpProtobuf).expect("a URL");
        let mut config = config.otlp().expect("a valid configuration").clone();
        config.timeout = None;
        let resource = Resource::builder_empty().build();
        let exporter = OtlpExporter::new(&config, &resource).unwrap_or_else(|error| panic!("{error}"));
        let (scopes, outcomes) = (Scopes::default(), RefCell::new(Vec::new()));
        let report = |outcome| outcomes.borrow_mut().push(outcome);
        let serve = async {
            let (mut first, _) = listener.accept().await.expect("an attempt");
            request(&mut first).await;
            exporter.shutdown_begins(Duration::from_millis(4));
            let (mut second, _) = listener.accept().await.expect("another attempt");
            request(&mut second).await;
            accept(if is_first { &mut first } else { &mut second }).await;
            // The next batch arrives over the connection that has had a response.
            request(if is_first { &mut first } else { &mut second }).await;
            assert!(!is_due(&exporter.hedge, Instant::now()));
            accept(if is_first { &mut first } else { &mut second }).await;
            pending::<()>().await;
        };
        let export = async {
            for _ in 0..2 {
                exporter.export(batch(&scopes), &report).await;
            }
        };
        tokio::select! {
            () = export => {}
            () = serve => {}
            () = time::sleep(Duration::from_secs(60)) => panic!("not exported within a minute"),
        }
        let outcomes: Vec<_> = outcomes.take().iter().map(|outcome| (outcome.exported, outcome.refused)).collect();
        assert_eq!(outcomes, [(1, 0), (1, 0)], "each batch counts once");
    }

    #[tokio::test]
    async fn a_response_over_another_connection_counts() {
        export_two(false).await;
    }

    #[tokio::test]
    async fn a_late_response_counts() {
        export_two(true).await;
    }

    #[tokio::test]
    async fn only_a_final_response_to_the_first_request_counts() {
        let permanent = || Failure::Permanent("no".to_owned()).into();
        for (first, is_final) in [
            (permanent(), true),
            (AttemptError { is_cut_off: true, ..permanent() }, false),
            (Failure::retryable("later".to_owned()).into(), false),
        ] {
            let mut hedged = Hedged(Some(Box::pin(ready(Err(first)))));
            let result = hedged.attempt(ready(Ok(None)), &Hedge::default()).await;
            assert_eq!(result.map(|result| result.is_err()), Some(is_final));
        }
    }
}
