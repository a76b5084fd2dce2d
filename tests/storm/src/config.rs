//! The configuration that the storm passes to its services.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// How the services are traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Side {
    /// With Throughline.
    Ours,
    /// With Throughline, disabled by `OTEL_SDK_DISABLED`.
    Off,
    /// With `tracing`, `tracing-opentelemetry`, and middleware.
    Peer,
    /// The same, but the filter belongs to the layer of `tracing-opentelemetry`.
    PeerFiltered,
}

impl Side {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "throughline",
            Self::Off => "off",
            Self::Peer => "peer",
            Self::PeerFiltered => "peer-filtered",
        }
    }
}

/// A server, which may be running or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    Kafka,
    Amqp,
    RocketMq,
    Redis,
    MySql,
}

impl System {
    pub(crate) const ALL: [Self; 5] = [Self::Kafka, Self::Amqp, Self::RocketMq, Self::Redis, Self::MySql];

    /// Its display name, its name in the list of servers, and whether this program has a client for it.
    pub(crate) fn describe(self) -> (&'static str, &'static str, bool) {
        match self {
            Self::Kafka => ("Kafka", "kafka", cfg!(feature = "kafka")),
            Self::Amqp => ("RabbitMQ", "rabbitmq", true),
            Self::RocketMq => ("RocketMQ", "rocketmq-namesrv", cfg!(feature = "rocketmq")),
            Self::Redis => ("Redis", "redis", true),
            Self::MySql => ("MariaDB", "mariadb", true),
        }
    }

    /// Its address, from the file that `tests/live/up` writes.
    fn find(self, listed: &str) -> Option<String> {
        let (_, name, built) = self.describe();
        listed.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).filter(|_| built).map(str::to_owned)
    }
}

/// The addresses of everything, and what to call the queues.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Config {
    pub(crate) side: Side,
    /// Where the spans go.
    pub(crate) collector: String,
    /// The address of the double for servers that are not running.
    pub(crate) double: String,
    servers: [Option<String>; 5],
    /// A prefix for the names of queues and tables, unique to this run.
    pub(crate) run: String,
    pub(crate) pricing: String,
    pub(crate) orders: String,
    /// Whether any service may be killed at any moment: steps are also reported when they begin, and failed calls are
    /// repeated.
    pub(crate) lethal: bool,
    /// The address of the process that this one replaces. It listens there, and continues where that one stopped.
    pub(crate) replaces: Option<String>,
}

impl Config {
    /// With the servers that are running, or none if `doubles`.
    pub(crate) fn find(side: Side, run: String, doubles: bool) -> Self {
        let file = std::env::var_os("THROUGHLINE_LIVE_SERVERS")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../live/run/servers"), Into::into);
        let listed = if doubles { String::new() } else { std::fs::read_to_string(file).unwrap_or_default() };
        Self {
            side,
            collector: String::new(),
            double: String::new(),
            servers: System::ALL.map(|system| system.find(&listed)),
            run,
            pricing: String::new(),
            orders: String::new(),
            lethal: false,
            replaces: None,
        }
    }

    /// The address of a server; `None` means its double.
    pub(crate) fn server(&self, system: System) -> Option<&str> {
        self.servers[system as usize].as_deref()
    }

    /// The name of a queue or a table.
    pub(crate) fn queue(&self, name: &str) -> String {
        format!("{}-{name}", self.run)
    }
}
