//! The common part of all services: start, signal readiness, stop on request, and report.

use std::collections::HashSet;
use std::future::Future;
use std::io::BufRead as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

use crate::brokers::{Consumer, Message};
use crate::config::{Config, Side};
use crate::facts::{self, Order, say};
use crate::ours;
#[cfg(feature = "peer")]
use crate::peer;
use crate::process::processor_time;

/// The environment variable with the configuration, as JSON.
pub(crate) const CONFIG: &str = "THROUGHLINE_STORM_CONFIG";

/// The time limit for shutdown.
const SHUTDOWN: Duration = Duration::from_secs(60);

/// How spans are recorded and exported.
#[derive(Clone)]
pub(crate) enum Tracing {
    Ours(Arc<throughline::telemetry::Telemetry>),
    #[cfg(feature = "peer")]
    Peer(peer::Tracing),
}

impl Tracing {
    fn start(config: &Config, role: &str) -> Self {
        match config.side {
            Side::Ours | Side::Off => Self::Ours(Arc::new(ours::start(config, role))),
            #[cfg(feature = "peer")]
            Side::Peer | Side::PeerFiltered => Self::Peer(peer::Tracing::start(config, role)),
            #[cfg(not(feature = "peer"))]
            Side::Peer | Side::PeerFiltered => unreachable!("the storm starts no peer without the feature"),
        }
    }

    /// Exports every span that has ended.
    pub(crate) async fn flush(&self) {
        let this = self.clone();
        let flushed = tokio::task::spawn_blocking(move || match &this {
            Self::Ours(telemetry) => telemetry.provider().is_none_or(|provider| provider.force_flush().is_ok()),
            #[cfg(feature = "peer")]
            Self::Peer(tracing) => tracing.flush(),
        });
        assert!(flushed.await.expect("no panic"), "the spans are exported");
    }

    /// Shuts telemetry down, and returns how many spans were exported, and how many are known to be lost.
    async fn shutdown(self) -> String {
        match self {
            Self::Ours(telemetry) => {
                let telemetry = Arc::into_inner(telemetry).expect("nobody flushes any more");
                let report = telemetry.shutdown(SHUTDOWN).await;
                let (stats, left) = (&report.stats, report.jobs_left + report.unfinished.len());
                format!("{} {}", stats.exported, stats.spans_unsent() + stats.traces_shed() + left as u64)
            }
            #[cfg(feature = "peer")]
            Self::Peer(tracing) => tracing.shutdown().await,
        }
    }
}

/// The context of a service's work.
pub(crate) struct Service {
    pub(crate) config: Config,
    pub(crate) tracing: Tracing,
    stop: watch::Receiver<bool>,
}

impl Service {
    /// Binds a port, and reports the address to the storm.
    pub(crate) async fn listen(&self) -> TcpListener {
        let address = self.config.replaces.as_deref().unwrap_or("127.0.0.1:0");
        let listener = TcpListener::bind(address).await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        say(&format!("ready {address}"));
        listener
    }

    /// Waits before a call is repeated that has failed for the `attempt`-th time.
    ///
    /// # Panics
    ///
    /// If a call has failed too often.
    pub(crate) async fn back_off(config: &Config, attempt: u32, error: &impl std::fmt::Display) {
        let limit = if config.lethal { 1000 } else { 2 };
        assert!(attempt <= limit, "attempt {attempt} has failed: {error}");
        if attempt > 1 {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Completes when the service should stop.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut stop = self.stop.clone();
        async move {
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }

    /// Receives messages until the service should stop, and handles as many at once as `quiesce` allows.
    pub(crate) async fn consume<F, Fut>(&self, mut consumer: Consumer, quiesce: Quiesce, handle: F)
    where
        F: Fn(Message) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        say("ready");
        let stopped = self.stopped();
        tokio::pin!(stopped);
        loop {
            let message = tokio::select! {
                message = consumer.next() => message,
                () = &mut stopped => break,
            };
            let permit = Arc::clone(&quiesce.workers).acquire_owned().await.expect("nobody closes it");
            let work = handle(message);
            // Without a context: each message has its own trace.
            tokio::spawn(async move {
                work.await;
                drop(permit);
            });
        }
        quiesce.idle(0).await;
    }
}

/// The messages that are being handled, and a way to wait until they no longer are.
#[derive(Clone)]
pub(crate) struct Quiesce {
    workers: Arc<Semaphore>,
    count: u32,
    begun: Arc<AtomicBool>,
}

impl Quiesce {
    pub(crate) fn new(workers: u16) -> Self {
        let begun = Arc::new(AtomicBool::new(false));
        Self { workers: Arc::new(Semaphore::new(workers.into())), count: workers.into(), begun }
    }

    /// Returns `true` for the first caller, which may wait until all others are done.
    pub(crate) fn begin(&self) -> bool {
        !self.begun.swap(true, Ordering::AcqRel)
    }

    /// Waits until at most `busy` messages are being handled, and prevents new ones from being handled.
    pub(crate) async fn idle(&self, busy: u32) {
        self.workers.acquire_many(self.count - busy).await.expect("nobody closes it").forget();
    }
}

/// The messages that a service has processed, because a broker may deliver a message again.
#[derive(Default)]
pub(crate) struct Seen(Mutex<HashSet<(u64, u64)>>);

impl Seen {
    /// Whether this message is processed for the first time.
    pub(crate) fn is_new(&self, order: Order) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((order.request, order.cause))
    }
}

/// Becomes true when the storm writes `stop`. At the end of the input, the storm is gone, and the process exits.
fn follow_input() -> watch::Receiver<bool> {
    let (send, receive) = watch::channel(false);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if line == "stop" {
                let _ = send.send(true);
            }
        }
        std::process::exit(3);
    });
    receive
}

/// The message of planned panics, which are not printed.
pub(crate) const PLANNED_PANIC: &str = "a planned panic";

fn silence_planned_panics() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload().downcast_ref::<&str>().copied();
        let text = text.or_else(|| info.payload().downcast_ref::<String>().map(String::as_str));
        if text != Some(PLANNED_PANIC) {
            report(info);
        }
    }));
}

/// The main function of a service. `number` is the unique number of this process.
pub(crate) async fn run(role: &str, number: u64) {
    silence_planned_panics();
    let config = std::env::var(CONFIG).expect("the storm sets it");
    let config: Config = serde_json::from_str(&config).expect("the storm writes it");
    facts::set_process(number, config.lethal);
    let stop = follow_input();
    let tracing = Tracing::start(&config, role);
    let service = Service { config, tracing: tracing.clone(), stop };
    match service.config.side {
        Side::Ours | Side::Off => ours::play(role, service).await,
        Side::Peer | Side::PeerFiltered => {
            #[cfg(feature = "peer")]
            peer::play(role, service).await;
        }
    }
    let report = tracing.shutdown().await;
    say(&format!("report {} {report}", processor_time(std::process::id())));
}
