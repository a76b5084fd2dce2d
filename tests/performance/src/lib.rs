//! What a span costs, from the call site to the wire, compared with other ways to record one.
//!
//! `.ci/performance` runs everything and prints the table; docs/performance.md has the results. Each file of `benches`
//! answers one question within one process. `measure-pipeline` and `measure-service` are whole programs, because
//! instructions, the CPU time of all threads, and memory can only be measured per process.
#![forbid(unsafe_code)]

#[cfg(feature = "peers")]
pub mod calls;
pub mod clock;
#[cfg(feature = "peers")]
pub mod collector;
#[cfg(feature = "peers")]
pub mod options;
#[cfg(feature = "peers")]
pub mod rounds;
#[cfg(feature = "peers")]
pub mod stack;
