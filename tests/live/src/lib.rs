//! Shared by the live tests: which servers are running, and a second process as the peer.
//!
//! `tests/live/up` starts the servers and writes their addresses to a file, `tests/live/down` stops them. If its server
//! is not running, a test prints one line and passes, unless `THROUGHLINE_LIVE=1` makes that a failure.

mod process;
pub mod roles;
mod servers;
mod spans;

pub use process::{Arguments, Peer, ready};
pub use servers::{server, skip};
pub use spans::{LinkLine, SpanLine};
