//! Error messages, and code that must compile.

use std::env;
use std::io::Write as _;
use std::process::Command;

use trybuild::TestCases;

/// The compiler that produced `ui/fail/*.stderr`. Other versions word their errors differently, so they check `ui/pass`
/// only. To upgrade, change this version, run the test with `TRYBUILD=overwrite`, and review the diff.
const PINNED: &str = "rustc 1.95.";

#[test]
fn mistakes_are_explained() {
    let version = compiler_version();
    if version.starts_with(PINNED) {
        TestCases::new().compile_fail("ui/fail/*.rs");
    } else {
        // Written directly, because the test harness captures what `eprintln!` prints.
        let line = format!("\nskipped ui/fail: the messages are those of {PINNED}*, and this is {}\n", version.trim());
        std::io::stderr().write_all(line.as_bytes()).expect("standard error is open");
    }
}

#[test]
fn valid_code_compiles() {
    TestCases::new().pass("ui/pass/*.rs");
}

/// The version of the compiler that cargo runs.
fn compiler_version() -> String {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler).arg("--version").output().expect("cargo has run the compiler before");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
