//! What the live tests share: which servers run, and a second process to talk to.
//!
//! `tests/live/up` starts the servers and writes their addresses to a file, `tests/live/down` stops
//! them. A test whose server does not run says so on one line and passes, unless `THROUGHLINE_LIVE=1`
//! makes that a failure.

mod process;
pub mod roles;
mod servers;
mod spans;

pub use process::{Arguments, Peer, ready};
pub use servers::{server, skip};
pub use spans::{LinkLine, SpanLine};
