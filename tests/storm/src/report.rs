//! The results of runs, as text.

use crate::config::{Config, Side, System};
use crate::plan::{Plan, fault};
use crate::storm::Run;

/// Prints which servers are real.
pub(crate) fn print_servers(config: &Config) {
    for system in System::ALL {
        let (name, _, built) = system.describe();
        let what = match (config.server(system), built) {
            (Some(address), _) => format!("at {address}"),
            (None, true) => "a double in this process: `tests/live/up` starts the real one".to_owned(),
            (None, false) => "a double in this process: built without its feature".to_owned(),
        };
        println!("{name:<9} {what}");
    }
    println!("HTTP      axum and reqwest\ngRPC      tonic");
}

/// Prints which faults are planned.
pub(crate) fn print_plan(plan: Plan) {
    println!("\n{} requests, seed {}, through 8 services in as many processes; among them", plan.requests, plan.seed);
    for (fault, name) in fault::NAMES {
        let count = (0..plan.requests).filter(|request| plan.faults(*request) & fault != 0).count();
        println!("{count:>9} {name}");
    }
    println!("{:>9} outage of the collector", u64::from(plan.outage));
    println!("{:>9} kills of any service, at any moment", plan.service_kills);
}

#[expect(clippy::cast_precision_loss, reason = "the counts are far below 2^52")]
fn per(count: u64, by: f64) -> f64 {
    count as f64 / by
}

/// Prints the result of one run.
pub(crate) fn print_run(run: &Run) {
    let (findings, seconds) = (&run.findings, run.elapsed.as_secs_f64());
    let requests = per(run.plan.requests, 1.0);
    println!("\n-- {}", run.side.name());
    println!("requests            {}", run.plan.requests);
    println!("throughput          {:.0} requests a second for {seconds:.1} s", requests / seconds);
    println!("processor           {:.2} ms a request, in all services", per(run.report.processor, requests));
    if run.side == Side::Off {
        return;
    }
    println!("steps               {}", findings.steps);
    println!(
        "spans               {}, {:.1} a request, {:.0} a second; {} arrived twice",
        run.spans,
        per(run.spans, requests),
        per(run.spans, seconds),
        run.duplicates
    );
    println!("batches             {}", findings.batches);
    println!("outages             {}", run.outages);
    println!(
        "killed              {} times; {} attempts died with the process, and their open spans",
        run.kills, findings.killed
    );
    for (role, toll) in &findings.kills.tolls {
        println!(
            "lost with {role:<9} {} kills; steps: {} going on, {} ended, the first of them {} ms before; {} calls",
            toll.kills,
            toll.open,
            toll.ended,
            toll.oldest.as_millis(),
            toll.calls
        );
    }
    println!("torn by kills       {}", findings.kills.requests.len());
    println!("lost by exporters   {}", run.report.lost);
    println!("whole traces        {}", findings.whole);
    println!("completeness        {:.3} %", completeness(run));
    let torn = findings.kills.requests.len() as u64;
    if torn > 0 {
        let others = run.plan.requests.saturating_sub(torn).max(1);
        println!("without the torn    {:.3} %", per(findings.whole * 100_000 / others, 1000.0));
    }
    if findings.breaks.is_empty() {
        println!("breaks              none");
    }
    for (kind, found) in &findings.breaks {
        let effect = if kind.is_fatal() { "break" } else { "flaw" };
        println!("{effect:<5} {:>9} in {} requests: {}", found.count, found.requests.len(), kind.describe());
        let places: Vec<String> = found.places.iter().map(|(place, count)| format!("{place} {count}")).collect();
        println!("        at {}", places.join(", "));
        println!("        {}", found.example);
    }
}

/// The share of requests with a whole trace, in percent. Rounded down, so that 100 means all of them.
pub(crate) fn completeness(run: &Run) -> f64 {
    let thousandths = run.findings.whole * 100_000 / run.plan.requests.max(1);
    per(thousandths, 1000.0)
}

/// Prints the runs side by side.
pub(crate) fn print_comparison(runs: &[Run]) {
    let off = runs.iter().find(|run| run.side == Side::Off);
    println!(
        "\n{:<12} {:>13} {:>15} {:>12} {:>17}",
        "", "completeness", "requests a s", "CPU ms each", "CPU ms of tracing"
    );
    for run in runs {
        let requests = per(run.plan.requests, 1.0);
        let processor = per(run.report.processor, requests);
        let tracing = off
            .filter(|off| off.side != run.side)
            .map_or(String::from("-"), |off| format!("{:.2}", processor - per(off.report.processor, requests)));
        let complete = if run.side == Side::Off { "-".to_owned() } else { format!("{:.3} %", completeness(run)) };
        let rate = requests / run.elapsed.as_secs_f64();
        println!("{:<12} {complete:>13} {rate:>15.0} {processor:>12.2} {tracing:>17}", run.side.name());
    }
}
