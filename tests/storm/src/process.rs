//! The processes of the services: this program again, with a role.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::board::{Board, Event, Report};
use crate::config::{Config, Side};
use crate::facts::now;
use crate::kills::Death;
use crate::service::CONFIG;

/// The maximum time for a service to start, or to end.
const LIMIT: Duration = Duration::from_secs(120);

/// A running service.
pub(crate) struct Process {
    role: &'static str,
    number: u64,
    address: String,
    child: Child,
    events: mpsc::UnboundedReceiver<Event>,
    reader: Option<JoinHandle<()>>,
    /// CPU time of the killed processes that it replaces, in milliseconds.
    before: u64,
}

impl Process {
    pub(crate) fn start(role: &'static str, config: &Config, board: &Arc<Board>) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["--role", role, &number.to_string()])
            .env(CONFIG, serde_json::to_string(config).expect("it is JSON"))
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &config.collector)
            .env("OTEL_SDK_DISABLED", if config.side == Side::Off { "true" } else { "false" })
            .env("OTEL_SERVICE_NAME", role)
            .env("OTEL_RESOURCE_ATTRIBUTES", format!("storm.process={number}"))
            // The end of its input tells it that the storm has ended.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start `{role}`: {error}"));
        let output = BufReader::new(child.stdout.take().expect("the output is piped"));
        let (send, events) = mpsc::unbounded_channel();
        let board = Arc::clone(board);
        let reader = std::thread::spawn(move || {
            output.lines().map_while(Result::ok).for_each(|line| board.note(&line, &send));
        });
        Self { role, number, address: String::new(), child, events, reader: Some(reader), before: 0 }
    }

    pub(crate) fn role(&self) -> &'static str {
        self.role
    }

    /// Waits until it is ready, and returns its address.
    pub(crate) async fn ready(&mut self) -> String {
        match timeout(LIMIT, self.events.recv()).await {
            Ok(Some(Event::Ready(address))) => {
                self.address.clone_from(&address);
                address
            }
            other => panic!("`{}` is not ready: {other:?}", self.role),
        }
    }

    /// Completes when it wants to be killed.
    pub(crate) async fn wants_kill(&mut self) {
        match self.events.recv().await {
            Some(Event::Kill) => {}
            Some(Event::Report(_)) => std::future::pending().await,
            other => panic!("`{}` has ended: {other:?}", self.role),
        }
    }

    /// Kills it with SIGKILL, and starts another one.
    pub(crate) async fn replace(&mut self, config: &Config, board: &Arc<Board>) {
        let before = self.before + processor_time(self.child.id());
        self.child.kill().expect("it runs");
        self.child.wait().expect("a child can be waited for");
        let at = now();
        if let Some(reader) = self.reader.take() {
            // All of its output is noted.
            reader.join().expect("no panic");
        }
        board.died(Death { process: self.number, role: self.role, at });
        let mut config = config.clone();
        config.replaces = Some(std::mem::take(&mut self.address));
        *self = Self::start(self.role, &config, board);
        self.before = before;
        self.ready().await;
    }

    /// Tells it to stop, and waits for its report.
    pub(crate) async fn stop(mut self) -> Report {
        let input = self.child.stdin.as_mut().expect("the input is piped");
        writeln!(input, "stop").unwrap_or_else(|error| panic!("`{}` has ended: {error}", self.role));
        loop {
            match timeout(LIMIT, self.events.recv()).await {
                Ok(Some(Event::Report(report))) => {
                    return Report { processor: report.processor + self.before, ..report };
                }
                Ok(Some(_)) => {}
                other => panic!("`{}` does not end: {other:?}", self.role),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of a process so far, in milliseconds.
pub(crate) fn processor_time(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    // User and system time are the 14th and 15th field, in hundredths of a second.
    after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}
