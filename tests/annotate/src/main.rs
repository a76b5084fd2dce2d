//! `throughline-annotate NAME@VERSION…`, or folders; `throughline-annotate --lints`.

use std::process::ExitCode;

use throughline_annotate::{crates, lints};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let same = match arguments.first().map(String::as_str) {
        Some("--lints") => lints::compare(),
        Some(_) => crates::compare_all(&arguments),
        None => Err("no crates; name some, such as `semver@1.0.28` or a folder, or write `--lints`".into()),
    };
    match same {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}
