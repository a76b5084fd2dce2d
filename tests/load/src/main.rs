//! Load scenarios for the export to a collector on the loopback interface, bounded in count and time. Each prints its
//! counts, and exits with code 1 if a guarantee is violated.
//!
//! ```text
//! cargo run --release -p throughline-load -- shed
//! cargo run --release -p throughline-load -- counts
//! cargo run --release -p throughline-load -- outage
//! cargo run --release -p throughline-load -- jobs
//! cargo run --release -p throughline-load -- memory
//! cargo run --release -p throughline-load -- latency
//! cargo run --release -p throughline-load -- worst
//! cargo run --release -p throughline-load -- audit
//! cargo run --release -p throughline-load -- unaudited
//! cargo run --release -p throughline-load -- dump 1000000 >dump.pb
//! ```
//!
//! An optional size changes the load: `memory 1000000`.

use std::process::ExitCode;

use throughline_load::scenarios::{self, Checks};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    if name == throughline_load::COLLECTOR {
        return throughline_load::serve(arguments.next(), arguments.next());
    }
    let Ok(size) = arguments.next().map(|size| size.parse()).transpose() else {
        return usage("the size is not a number");
    };
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr).init();
    let mut checks = Checks::default();
    match name.as_str() {
        "shed" => scenarios::shed(size.unwrap_or(1_000_000), &mut checks),
        "counts" => scenarios::counts(size.unwrap_or(1_000_000), &mut checks),
        "outage" => scenarios::outage(size.unwrap_or(30), &mut checks),
        "jobs" => scenarios::jobs(size.unwrap_or(100_000), &mut checks),
        "memory" => scenarios::memory(size.unwrap_or(10_000_000), &mut checks),
        "latency" => scenarios::latency(size.unwrap_or(20_000), &mut checks),
        "worst" => scenarios::worst(size.unwrap_or(10_000_000), &mut checks),
        "audit" => scenarios::audit(size.unwrap_or(100_000), &mut checks),
        "unaudited" => scenarios::unaudited(size.unwrap_or(100_000), &mut checks),
        "dump" => scenarios::dump(size.unwrap_or(1_000_000), &mut checks),
        "" => return usage("no scenario"),
        other => return usage(&format!("no scenario `{other}`")),
    }
    if checks.hold() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage(why: &str) -> ExitCode {
    eprintln!(
        "{why}; expected one of `shed`, `counts`, `outage`, `jobs`, `memory`, `latency`, `worst`, `audit`, `unaudited`, `dump`, and optionally a size"
    );
    ExitCode::FAILURE
}
