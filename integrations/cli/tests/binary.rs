//! The program: its output, and how it ends.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

const COLLECTOR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/collector.jsonl");

fn throughline(arguments: &[&str], input: &[u8]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_throughline"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not read has ended.
    let _ = program.stdin.take().unwrap().write_all(input);
    program.wait_with_output().unwrap()
}

#[track_caller]
fn ends_with(arguments: &[&str], input: &[u8], status: i32) -> (String, String) {
    let output = throughline(arguments, input);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(status), "{out}{err}");
    (out, err)
}

/// A path of this test in the target folder.
fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test]
fn the_report_says_where_traces_of_other_tracers_break() {
    let (report, warnings) = ends_with(&["audit", COLLECTOR], b"", 0);
    assert_eq!(warnings, "");
    assert!(report.starts_with("completeness 50.000 %: 1 of 2 traces, 5 spans\n"), "{report}");
    for line in [
        "unparented-entry \u{d7}1:",
        "missing-parent \u{d7}1:",
        "mailer/render.py:88 (render)",
        "process receipts [consumer]",
    ] {
        assert!(report.contains(line), "{line}: {report}");
    }
}

#[test]
fn the_standard_input_and_several_files_are_one_dump() {
    let content = fs::read(COLLECTOR).unwrap();
    assert_eq!(ends_with(&["audit", "-"], &content, 0).0, ends_with(&["audit", COLLECTOR], b"", 0).0);
    let lines: Vec<_> = content.split_inclusive(|byte| *byte == b'\n').collect();
    let first = path("first.jsonl");
    fs::write(&first, lines[0]).unwrap();
    let both = ends_with(&["audit", first.to_str().unwrap(), "-"], lines[1], 0).0;
    assert_eq!(both, ends_with(&["audit", COLLECTOR], b"", 0).0);
}

#[test]
fn the_status_tells_a_script_what_to_do() {
    ends_with(&["audit", "--fail-below", "50", COLLECTOR], b"", 0);
    ends_with(&["audit", "--fail-below=50.001%", COLLECTOR], b"", 1);
    ends_with(&["audit", "--fail-on-breaks", COLLECTOR], b"", 1);
    let whole = fs::read_to_string(COLLECTOR).unwrap().replace("00000000000000aa", "b7ad6b7169203331");
    ends_with(&["audit", "--fail-on-breaks", "--allow-root", "process receipts", "-"], whole.as_bytes(), 0);
    ends_with(
        &["audit", "--fail-on-breaks", "--allow-root", "process receipts", "--require=tenant_id", "-"],
        whole.as_bytes(),
        1,
    );
    // A check must not pass because traces were given up, of which there are two here and room for neither.
    let many = ["1", "2"].map(|trace| {
        let span = |id| format!(r#"{{"traceId":"{trace:0>32}","spanId":"{id:016}","parentSpanId":"{:016}"}}"#, 9);
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{},{}]}}]}}]}}"#, span(1), span(2))
    });
    for check in [&["--fail-below", "1"][..], &["--fail-on-breaks"]] {
        let arguments = [&["audit", "--max-spans", "1", "-"], check].concat();
        let (report, _) = ends_with(&arguments, many.concat().as_bytes(), 1);
        assert!(report.contains("not judged: 2 traces given up"), "{report}");
    }
    // Nor because they were judged before all of their spans had come: here, one whose parent is missing.
    let span = |trace: u8, id: u8, parent: &str| {
        let span = format!(
            r#"{{"traceId":"{trace:032}","spanId":"{id:016}","parentSpanId":"{parent}","endTimeUnixNano":"1"}}"#
        );
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#)
    };
    let early = [span(1, 1, ""), span(2, 2, ""), span(1, 3, "0000000000000009")].concat();
    for check in [&["--fail-below", "100"][..], &["--fail-on-breaks"]] {
        let arguments = [&["audit", "--max-spans", "1", "-"], check].concat();
        let (report, _) = ends_with(&arguments, early.as_bytes(), 1);
        assert!(report.contains("not judged: 1 span that came after the trace had been judged"), "{report}");
    }
    ends_with(&["audit", "--max-spans", "1", "--fail-below", "50", "-"], early.as_bytes(), 0);
    // A check must not pass because there was nothing to check.
    let (_, error) = ends_with(&["audit", "--fail-below", "99", "-"], b"{\"resourceSpans\":[]}", 2);
    assert_eq!(error, "error: no spans to audit\n");
}

#[test]
fn a_check_that_fails_says_why() {
    let (_, errors) = ends_with(&["audit", "--fail-below=50.001%", "--fail-on-breaks", COLLECTOR], b"", 1);
    assert_eq!(
        errors,
        "failed: `--fail-below 50.001`: 50.000 % of the traces are known to be complete\n\
         failed: `--fail-on-breaks`: 2 breaks, 0 traces given up, 0 spans that came after their trace had been judged\n"
    );
    let (_, errors) = ends_with(&["audit", "--fail-below=50", COLLECTOR], b"", 0);
    assert_eq!(errors, "");
}

#[test]
fn a_bound_that_is_met_exactly_is_met() {
    // 0.57 has no exact form in binary, and a hundred times as much is less than 57.
    for complete in [7, 29, 57, 58, 99] {
        let span = |at| {
            let parent = if at <= complete { "" } else { "00000000000000ff" };
            format!(r#"{{"traceId":"{at:032}","spanId":"{at:016}","parentSpanId":"{parent}","endTimeUnixNano":"1"}}"#)
        };
        let spans: Vec<_> = (1..=100).map(span).collect();
        let dump = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","));
        ends_with(&["audit", "--fail-below", &complete.to_string(), "-"], dump.as_bytes(), 0);
        ends_with(&["audit", "--fail-below", &format!("{complete}.001"), "-"], dump.as_bytes(), 1);
    }
}

/// A dump of one service, `orders`, with these spans: id, parent or zero, kind, start in milliseconds, tenant.
fn dump(spans: &[(u64, u64, u8, u64, &str)]) -> String {
    let span = |(id, parent, kind, start, tenant): &(u64, u64, u8, u64, &str)| {
        let parent = if *parent == 0 { String::new() } else { format!("{parent:016}") };
        let (start, end) = (start * 1_000_000, (start + 1_000) * 1_000_000);
        format!(
            r#"{{"traceId":"{:032}","spanId":"{id:016}","parentSpanId":"{parent}","kind":{kind},"name":"work",
            "startTimeUnixNano":"{start}","endTimeUnixNano":"{end}",
            "attributes":[{{"key":"tenant","value":{{"stringValue":"{tenant}"}}}}]}}"#,
            1
        )
    };
    let spans: Vec<_> = spans.iter().map(span).collect();
    let service = r#"{"attributes":[{"key":"service.name","value":{"stringValue":"orders"}}]}"#;
    format!(r#"{{"resourceSpans":[{{"resource":{service},"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, spans.join(","))
}

#[test]
fn each_rule_has_an_effect() {
    const INTERNAL: u8 = 1;
    const SERVER: u8 = 2;
    let check = |rules: &[&str], dump: &str, status| {
        let arguments = [&["audit", "--fail-on-breaks", "-"], rules].concat();
        ends_with(&arguments, dump.as_bytes(), status)
    };
    let root = dump(&[(1, 0, SERVER, 0, "acme")]);
    check(&["--edge", "orders", "--edge=gateway"], &root, 0);
    check(&["--edge=gateway"], &root, 1);
    let below = dump(&[(2, 1, SERVER, 0, "acme")]);
    check(&[], &below, 1);
    check(&["--partial"], &below, 0);
    let internal = dump(&[(1, 0, INTERNAL, 0, "acme")]);
    check(&["--root-kinds", "server,internal"], &internal, 0);
    check(&["--root-kinds", "server"], &internal, 1);
    check(&["--root-kinds", "server", "--allow-root", "work"], &internal, 0);
    let tenants = dump(&[(1, 0, SERVER, 0, "acme"), (2, 1, INTERNAL, 0, "globex")]);
    check(&[], &tenants, 0);
    check(&["--business", "tenant"], &tenants, 1);
    let early = dump(&[(1, 0, SERVER, 150, "acme"), (2, 1, INTERNAL, 0, "acme")]);
    check(&[], &early, 1);
    check(&["--clock-bound-ms", "200"], &early, 0);
    let traces = |rules: &[&str]| {
        let json = check(&[&["--json"], rules].concat(), &early, 1).0;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        json["traces"].as_array().unwrap().len()
    };
    assert_eq!((traces(&[]), traces(&["--max-broken-traces", "0"])), (1, 0));
}

#[test]
fn spans_without_ids_are_a_warning_and_a_status_of_its_own() {
    let dump = dump(&[(1, 0, 2, 0, "acme"), (0, 1, 1, 0, "acme")]);
    ends_with(&["audit", "--fail-on-breaks", "--fail-below=100", "-"], dump.as_bytes(), 3);
    ends_with(&["audit", "--edge=gateway", "--fail-on-breaks", "-"], dump.as_bytes(), 1);
    let (report, warning) = ends_with(&["audit", "-"], dump.as_bytes(), 3);
    assert!(report.starts_with("completeness 100.000 %: 1 of 1 trace, 1 span\n"), "{report}");
    let expected =
        "warning: standard input: 1 span was left out, because its trace ID, span ID or parent span ID is invalid\n";
    assert_eq!(warning, expected);
}

/// Of one file among others, this may be a mistake: here, its spans are in a field of an old version of OTLP.
#[test]
fn a_file_without_spans_is_a_warning_and_a_status_of_its_own() {
    let old = path("old.json");
    fs::write(&old, r#"{"resourceSpans":[{"instrumentationLibrarySpans":[{"spans":[{}]}]}]}"#).unwrap();
    let old = old.to_str().unwrap();
    let whole = dump(&[(1, 0, 2, 0, "acme")]);
    let (_, warning) = ends_with(&["audit", "--fail-on-breaks", old, "-"], whole.as_bytes(), 3);
    assert_eq!(warning, format!("warning: {old}: no spans\n"));
    assert_eq!(ends_with(&["audit", old], b"", 2).1, "error: no spans to audit\n");
}

#[test]
fn json_is_for_programs() {
    let (json, _) = ends_with(&["audit", "--json", COLLECTOR], b"", 0);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json.to_string().contains("missing-parent"), "{json}");
}

#[test]
fn the_page_is_written_next_to_the_report() {
    let page = path("report.html");
    let (report, _) = ends_with(&["audit", "--html", page.to_str().unwrap(), COLLECTOR], b"", 0);
    assert!(report.starts_with("completeness"));
    let page = fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("missing parent 00000000000000aa"));
    let (_, error) = ends_with(&["audit", "--html", "/nowhere/report.html", COLLECTOR], b"", 2);
    assert!(error.starts_with("error: /nowhere/report.html: cannot be written: "), "{error}");
}

#[test]
fn of_a_file_that_is_still_written_what_it_has_is_reported() {
    let content = fs::read(COLLECTOR).unwrap();
    let end = content.len() - 100;
    let (report, warning) = ends_with(&["audit", "-"], &content[..end], 3);
    assert!(report.starts_with("completeness 100.000 %: 1 of 1 trace, 3 spans\n"), "{report}");
    let expected = format!("warning: standard input: byte {end}: unexpected end of data, on line 2, column ");
    assert!(warning.starts_with(&expected), "{warning}");
    assert!(warning.ends_with("; the report covers the 3 spans before\n"), "{warning}");
    // What it has is checked, and that it was cut off is not what was asked for.
    ends_with(&["audit", "--fail-below", "100", "-"], &content[..end], 3);
    ends_with(&["audit", "--fail-on-breaks", "--edge", "gateway", "-"], &content[..end], 1);
    // In a file that is whole, between those that are, too.
    let cut_off = path("cut_off.jsonl");
    fs::write(&cut_off, &content[..end]).unwrap();
    ends_with(&["audit", cut_off.to_str().unwrap(), COLLECTOR], b"", 3);
    // Nothing at all is no report.
    let (report, errors) = ends_with(&["audit", "-"], &content[..20], 2);
    assert!(
        report.is_empty() && errors.ends_with("; the report covers the 0 spans before\nerror: no spans to audit\n")
    );
}

#[test]
fn of_a_compressed_file_that_is_cut_off_what_it_has_is_reported() {
    let content = fs::read(COLLECTOR).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    gzip.write_all(&content).unwrap();
    let compressed = gzip.finish().unwrap();
    let end = compressed.len() - 100;
    let (report, warning) = ends_with(&["audit", "-"], &compressed[..end], 3);
    assert!(report.starts_with("completeness 100.000 %: 1 of 1 trace, 3 spans\n"), "{report}");
    let expected = format!(
        "warning: standard input: byte {end} of the compressed data: unexpected end of data; expected more gzip data; the report \
         covers the 3 spans before\n"
    );
    assert_eq!(warning, expected);
}

/// As that of `throughline audit FILE | head`.
#[test]
fn a_reader_that_goes_away_is_no_failure_and_a_full_disk_is_one() {
    let run = |stdout: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_throughline"));
        let command = command.args(["audit", "-"]).stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::piped());
        let mut program = command.spawn().unwrap();
        // Before the program has anything to print: it waits for its input.
        drop(program.stdout.take());
        program.stdin.take().unwrap().write_all(&fs::read(COLLECTOR).unwrap()).unwrap();
        let output = program.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run(Stdio::piped()), (Some(0), String::new()));
    if let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") {
        let (status, error) = run(full.into());
        assert_eq!(status, Some(2));
        assert!(error.starts_with("error: cannot print: No space left"), "{error}");
    }
}

#[test]
fn mistakes_name_the_file_and_the_option() {
    let error = |arguments: &[&str]| ends_with(arguments, b"", 2).1;
    assert!(error(&["audit", "missing.json"]).starts_with("error: missing.json: cannot be opened: No such file"));
    assert!(error(&["audit", "-"]).starts_with("error: standard input: the input is empty"));
    assert!(error(&["audit"]).starts_with("error: no input file; expected at least one, or `-` for standard input\n"));
    assert!(error(&["audit", "--html"]).starts_with("error: missing argument for option '--html'"));
    assert!(error(&["audit", "--colour", "-"]).starts_with("error: invalid option '--colour'"));
    assert!(error(&["adit", "-"]).starts_with("error: unknown command `adit`; expected `audit`"));
    assert!(
        error(&["audit", "--fail-below", "x", "-"]).starts_with("error: `--fail-below x`: expected a share in percent")
    );
    assert!(
        error(&["audit", "--root-kinds", "srever", "-"])
            .starts_with("error: unknown span kind `srever`; expected `server`")
    );
    assert!(error(&["audit", "-"]).lines().count() == 1, "a mistake in a file needs no list of options");
}

#[test]
fn help_names_every_option() {
    let (help, _) = ends_with(&["audit", "--help"], b"", 0);
    assert_eq!(ends_with(&["--help"], b"", 0).0, help);
    let options = include_str!("../src/options.rs");
    let quoted = |text: &'static str| text.split('"').next().unwrap();
    let output = options.split("Arg::Long(\"").skip(1).map(quoted);
    let rules = options
        .lines()
        .filter(|line| line.contains("=> rules."))
        .map(|line| quoted(line.trim().trim_start_matches('"')));
    let known: BTreeSet<_> = output.chain(rules).filter(|option| !["help", "version"].contains(option)).collect();
    let listed: BTreeSet<_> = help.lines().filter_map(|line| line.strip_prefix("    --")?.split(' ').next()).collect();
    assert_eq!(listed, known);
    assert_eq!(ends_with(&["--version"], b"", 0).0, concat!("throughline ", env!("CARGO_PKG_VERSION"), "\n"));
}
