//! Many services under load and faults. Their traces are compared with what was done, request by request.
//!
//! ```text
//! cargo run --release -p throughline-storm --all-features -- 100000
//! ```
//!
//! Options: `--seed N`, `--kills N` of a consumer, `--service-kills N` of any service at any moment, `--no-outage` of
//! the collector, `--doubles` to use no servers, `--only throughline,off,peer,peer-filtered` for some of the sides, and
//! `--show N` to print the spans of a request. Exits with code 1 if a trace of Throughline is not whole or does not
//! match what was done, except for what a kill of any service has lost.
//!
//! See `docs/completeness.md` for what is compared, and for results.

mod board;
mod brokers;
mod check;
mod config;
mod facts;
mod grpc;
mod kills;
mod ours;
#[cfg(feature = "peer")]
mod peer;
mod plan;
mod process;
mod received;
mod report;
mod service;
mod store;
mod storm;

use std::process::ExitCode;

use crate::config::{Config, Side};
use crate::plan::Plan;

/// The command-line options.
struct Options {
    plan: Plan,
    sides: Vec<Side>,
    doubles: bool,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut plan = Plan { seed: 1, requests: 2000, kills: 3, service_kills: 0, outage: true, show: None };
        let mut sides = vec![Side::Off, Side::Ours];
        if cfg!(feature = "peer") {
            sides.extend([Side::Peer, Side::PeerFiltered]);
        }
        let mut doubles = false;
        while let Some(argument) = arguments.next() {
            let mut number = |name: &str| {
                let text = arguments.next().ok_or_else(|| format!("`{name}` takes a number"))?;
                text.parse::<u64>().map_err(|error| format!("`{name} {text}`: {error}"))
            };
            match argument.as_str() {
                "--seed" => plan.seed = number("--seed")?,
                "--kills" => plan.kills = number("--kills")?,
                "--service-kills" => {
                    plan.service_kills = number("--service-kills")?;
                    (plan.kills, plan.outage) = (0, false);
                }
                "--show" => plan.show = Some(number("--show")?),
                "--no-outage" => plan.outage = false,
                "--doubles" => doubles = true,
                "--only" => {
                    let names = arguments.next().unwrap_or_default();
                    let unknown = |name: &&str| sides.iter().all(|side| side.name() != *name);
                    if let Some(name) = names.split(',').find(unknown) {
                        return Err(format!(
                            "no side `{name}`; expected `throughline`, `off`, or, with its feature, `peer` or `peer-filtered`"
                        ));
                    }
                    sides.retain(|side| names.split(',').any(|name| side.name() == name));
                }
                text => plan.requests = text.parse().map_err(|_| format!("unknown option `{text}`"))?,
            }
        }
        Ok(Self { plan, sides, doubles })
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if std::env::args().nth(1).as_deref() == Some("--role") {
        let (role, number) = (arguments.nth(1), arguments.next());
        let number = number.and_then(|number| number.parse().ok());
        service::run(&role.expect("a role"), number.expect("a number")).await;
        return ExitCode::SUCCESS;
    }
    let options = match Options::parse(arguments) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    report::print_servers(&Config::find(Side::Ours, String::new(), options.doubles));
    report::print_plan(options.plan);
    let mut runs = Vec::new();
    for side in options.sides {
        match storm::run(options.plan, side, options.doubles).await {
            Ok(run) => {
                report::print_run(&run);
                runs.push(run);
            }
            Err(error) => {
                eprintln!("\n-- {}\n{error}", side.name());
                return ExitCode::FAILURE;
            }
        }
    }
    report::print_comparison(&runs);
    if runs.iter().all(storm::Run::is_whole) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
