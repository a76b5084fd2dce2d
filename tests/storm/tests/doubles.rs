//! A small storm over doubles of the servers: every trace is whole.

use std::process::Command;

#[test]
fn every_trace_is_whole() {
    let output = Command::new(env!("CARGO_BIN_EXE_throughline-storm"))
        .args(["150", "--kills", "1", "--doubles", "--only", "throughline"])
        .output()
        .expect("the storm can be started");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for line in [
        "completeness        100.000 %",
        "breaks              none",
        "killed              1 times",
        "outages             1",
    ] {
        assert!(text.contains(line), "no line `{line}`:\n{text}");
    }
}
