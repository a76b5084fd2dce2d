//! Small storms over doubles of the servers.

use std::process::Command;

/// Runs a storm, which has to succeed, and returns what it prints.
fn storm(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_throughline-storm"))
        .args(arguments)
        .args(["--doubles", "--only", "throughline"])
        .output()
        .expect("the storm can be started");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn demand(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "no line `{line}`:\n{text}");
    }
}

#[test]
fn every_trace_is_whole() {
    demand(
        &storm(&["150", "--kills", "1"]),
        &[
            "completeness        100.000 %",
            "breaks              none",
            "killed              1 times",
            "outages             1",
            "torn by kills       0\n",
        ],
    );
}

#[test]
fn a_kill_of_any_service_loses_what_was_in_its_memory_and_breaks_nothing() {
    let text = storm(&["200", "--service-kills", "8"]);
    demand(&text, &["breaks              none", "killed              8 times"]);
    for role in ["gateway", "pricing", "orders", "stock", "billing", "shipping", "archive", "analytics"] {
        demand(&text, &[&format!("lost with {role:<9} 1 kills")]);
    }
}
