//! `throughline audit FILE|-`.
#![forbid(unsafe_code)]

mod options;
mod report;

use std::io::{self, Write as _};
use std::process::ExitCode;

use self::options::Command;

/// A check failed.
const CHECK_FAILED: u8 = 1;
/// The options are wrong, or a file cannot be read or written.
const FAILED: u8 = 2;
/// The checks pass, but do not cover everything: a file is truncated, has no spans, or has spans with invalid IDs.
const NOT_COVERED: u8 = 3;

/// The result of an audit.
enum Verdict {
    Passed,
    CheckFailed,
    NotCovered,
}

fn main() -> ExitCode {
    let run = match Command::parse(lexopt::Parser::from_env()) {
        Ok(Command::Audit(options)) => report::audit(&options),
        Ok(Command::Print(text)) => {
            print(text).map(|()| Verdict::Passed).map_err(|error| format!("cannot print: {error}"))
        }
        Err(error) => Err(format!("{error}\n`throughline audit --help` lists the options")),
    };
    match run {
        Ok(Verdict::Passed) => ExitCode::SUCCESS,
        Ok(Verdict::CheckFailed) => ExitCode::from(CHECK_FAILED),
        Ok(Verdict::NotCovered) => ExitCode::from(NOT_COVERED),
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(FAILED)
        }
    }
}

/// Prints to standard output. It is not an error if the reader has closed the pipe, as `head` does.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}
