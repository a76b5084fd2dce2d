//! Which servers are running, and their addresses.

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The file that `tests/live/up` writes: lines of `name=host:port`.
fn file() -> PathBuf {
    match std::env::var_os("THROUGHLINE_LIVE_SERVERS") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("run/servers"),
    }
}

/// The address of a server. `None` if it is not running: the test is then skipped, and a line printed.
///
/// # Panics
///
/// If it is not running and `THROUGHLINE_LIVE=1` is set.
pub fn server(name: &str) -> Option<String> {
    let listed = std::fs::read_to_string(file()).unwrap_or_default();
    let address = listed.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
    if address.is_none() {
        skip(&format!("no {name} server; `tests/live/up` starts one"));
    }
    address
}

/// Prints that the test of this thread is skipped.
///
/// # Panics
///
/// If `THROUGHLINE_LIVE=1` is set.
pub fn skip(why: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(std::env::var_os("THROUGHLINE_LIVE").is_none_or(|live| live != "1"), "{test}: {why}");
    // Not `eprintln!`, whose output the test harness captures, and discards if the test passes.
    let _ = writeln!(std::io::stderr(), "skipped {test}: {why}");
}
