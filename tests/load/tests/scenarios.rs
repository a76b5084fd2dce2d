//! The load scenarios, with a small load.

use std::process::Command;

fn holds(scenario: &str, size: u64) {
    let program = env!("CARGO_BIN_EXE_throughline-load");
    let output = Command::new(program).args([scenario, &size.to_string()]).output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("holds:"), "{text}");
}

#[test]
fn shed() {
    holds("shed", 30_000);
}

#[test]
fn counts() {
    holds("counts", 100_000);
}

#[test]
fn outage() {
    holds("outage", 1);
}

#[test]
fn jobs() {
    holds("jobs", 2_000);
}

#[test]
fn memory() {
    holds("memory", 100_000);
}

#[test]
fn latency() {
    holds("latency", 1_000);
}

#[test]
fn invalid_arguments_are_errors() {
    for arguments in [&[][..], &["nothing"], &["shed", "many"]] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_throughline-load")).args(arguments).output().expect("the program starts");
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("expected one of"));
    }
}

#[test]
fn audit() {
    holds("audit", 5_000);
}
