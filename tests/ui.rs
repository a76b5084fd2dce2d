//! Error messages, and code that must compile.

use std::env;
use std::io::Write as _;
use std::process::Command;

use trybuild::TestCases;

/// The compiler that produced `ui/fail/*.stderr`. Other versions word their errors differently, so they check `ui/pass`
/// only. To upgrade, change this version, run the test with `TRYBUILD=overwrite`, and review the diff.
const PINNED: &str = "rustc 1.95.";

/// The flags with which trybuild compiles the cases. For the dependencies it leaves out the last one, so that cargo would
/// compile them for a second time with the first case.
const FLAGS: [&str; 6] = ["--cfg", "trybuild", "--verbose", "-A", "dead_code", "--diagnostic-width=140"];

/// Runs the cases in a process of their own, whose environment has the flags, which take precedence over trybuild's.
fn with_flags(test: &str, cases: impl FnOnce()) {
    let name = "CARGO_ENCODED_RUSTFLAGS";
    let flags = FLAGS.join("\u{1f}");
    if env::var(name).is_ok_and(|given| given == flags) {
        return cases();
    }
    let status = Command::new(env::current_exe().expect("the path of the test"))
        .args(["--exact", test, "--nocapture"])
        // The cases that trybuild is restricted to.
        .args(env::args().filter(|argument| argument.starts_with("trybuild=")))
        .env(name, flags)
        .status()
        .expect("the test starts");
    assert!(status.success(), "see above");
}

#[test]
fn mistakes_are_explained() {
    with_flags("mistakes_are_explained", mistakes);
}

#[test]
fn valid_code_compiles() {
    with_flags("valid_code_compiles", || TestCases::new().pass("ui/pass/*.rs"));
}

fn mistakes() {
    let version = compiler_version();
    if version.starts_with(PINNED) {
        TestCases::new().compile_fail("ui/fail/*.rs");
    } else {
        // Written directly, because the test harness captures what `eprintln!` prints.
        let line = format!("\nskipped ui/fail: the messages are those of {PINNED}*, and this is {}\n", version.trim());
        std::io::stderr().write_all(line.as_bytes()).expect("standard error is open");
    }
}

/// The version of the compiler that cargo runs.
fn compiler_version() -> String {
    let compiler = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(compiler).arg("--version").output().expect("cargo has run the compiler before");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
