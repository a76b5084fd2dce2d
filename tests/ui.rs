//! Error messages, and code that must compile.

use std::env;
use std::io::Write as _;
use std::process::Command;

use trybuild::TestCases;

/// The compiler that wrote `ui/fail/*.stderr`. Other versions word their errors differently, so they
/// check `ui/pass` alone. To move on: change it, run this test with `TRYBUILD=overwrite`, read the diff.
const PINNED: &str = "rustc 1.95.";

#[test]
fn mistakes_are_explained() {
    let version = compiler_version();
    if version.starts_with(PINNED) {
        TestCases::new().compile_fail("ui/fail/*.rs");
    } else {
        // Straight to the terminal: what a test prints is shown only if it fails.
        let line = format!("\nskipped ui/fail: the messages are those of {PINNED}*, and this is {}\n", version.trim());
        std::io::stderr().write_all(line.as_bytes()).expect("standard error is open");
    }
}

#[test]
fn what_is_right_compiles() {
    TestCases::new().pass("ui/pass/*.rs");
}

/// The version of the compiler that cargo runs.
fn compiler_version() -> String {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler).arg("--version").output().expect("cargo has run the compiler before");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
