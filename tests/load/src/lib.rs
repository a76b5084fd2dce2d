//! A collector that misbehaves on request, for the load scenarios and the tests of `throughline::init`.

mod collector;
mod remote;
pub mod scenarios;
#[cfg(target_os = "linux")]
mod sockets;
#[cfg(target_os = "linux")]
mod threads;
mod traces;

pub use collector::{Behaviour, Collector, Request, gzipped, partial_success};
pub use opentelemetry_proto::tonic::{common::v1 as common, resource::v1 as resource, trace::v1 as trace};
pub use remote::{COLLECTOR, Remote, serve};
#[cfg(target_os = "linux")]
pub use sockets::connections_to;
#[cfg(target_os = "linux")]
pub use threads::NoThreads;
pub use traces::{EXPECTED, Line, Tally, Traces};
