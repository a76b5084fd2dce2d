//! `measure QUESTION`: runs whole programs, and prints a line for each result: question, row, column and number,
//! separated by tabs. `measure report RESULTS BOUNDS [FOLDER]` compares with the bounds, prints all tables, and draws
//! the plots, if it was built with them. `.ci/performance` calls both.
#![forbid(unsafe_code)]

mod bounds;
mod instructions;
#[cfg(feature = "plots")]
mod plots;
mod programs;
mod results;

use std::process::ExitCode;

use throughline_performance::options::Options;

fn main() -> ExitCode {
    let options = Options::from_arguments();
    let rounds = options.number("--rounds").unwrap_or(7);
    match options.positional(0) {
        Some("instructions") => instructions::count(),
        Some("breakdown") => instructions::break_down(),
        Some("layer") => {
            programs::layer(rounds);
            instructions::count_layer();
        }
        Some("pipeline") => programs::pipeline(rounds),
        Some("throughput") => programs::throughput(rounds),
        Some("threads") => programs::threads(rounds),
        Some("memory") => programs::memory(rounds),
        Some("service") => programs::service(rounds),
        Some("report") => {
            let (Some(results), Some(bounds)) = (options.positional(1), options.positional(2)) else {
                eprintln!("usage: measure report RESULTS BOUNDS [FOLDER]");
                return ExitCode::from(2);
            };
            let results = results::Results::read(results);
            let kept = bounds::check(&results, bounds);
            results.print();
            #[cfg(feature = "plots")]
            if let Some(folder) = options.positional(3) {
                plots::draw(&results, folder);
            }
            if !kept {
                return ExitCode::FAILURE;
            }
        }
        _ => {
            eprintln!(
                "usage: measure instructions|breakdown|layer|pipeline|throughput|threads|memory|service [--rounds N], \
                 measure report RESULTS BOUNDS [FOLDER]"
            );
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
