//! Reads the dumps, audits them and prints the report.

use std::error::Error as _;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::path::Path;

use throughline::audit::{Audit, Report};
use throughline_cli::{ReadError, Reader};

use crate::options::Options;
use crate::{Verdict, print};

/// Audits the dumps, writes the report, and returns the result of the checks.
pub(crate) fn audit(options: &Options) -> Result<Verdict, String> {
    let (report, is_covered) = read(options)?;
    if let Some(path) = &options.html {
        fs::write(path, report.to_html()).map_err(|error| format!("{}: cannot be written: {error}", path.display()))?;
    }
    let text = if options.json { format!("{:#}\n", report.to_json()) } else { report.to_string() };
    print(&text).map_err(|error| format!("cannot print: {error}"))?;
    let failed = [failed_share(options, &report), failed_breaks(options, &report)];
    for reason in failed.iter().flatten() {
        let _ = writeln!(io::stderr(), "failed: {reason}");
    }
    Ok(match failed {
        [None, None] if is_covered => Verdict::Passed,
        [None, None] => Verdict::NotCovered,
        _ => Verdict::CheckFailed,
    })
}

/// Why the check of `--fail-below` fails, if it does.
fn failed_share(options: &Options, report: &Report) -> Option<String> {
    let percent = percent_complete(report);
    let least = options.fail_below.filter(|least| percent < *least)?;
    // Rounded down, like the share in the report, so that it is less than the required share.
    let percent = (percent * 1e3).floor() / 1e3;
    Some(format!("`--fail-below {least}`: {percent:.3} % of the traces are known to be complete"))
}

/// Why the check of `--fail-on-breaks` fails, if it does.
fn failed_breaks(options: &Options, report: &Report) -> Option<String> {
    let (given_up, late) = (report.skipped.traces_given_up, report.skipped.spans_late);
    if !options.fail_on_breaks || (report.is_unbroken() && given_up == 0 && late == 0) {
        return None;
    }
    let breaks: u64 = report.breaks.iter().map(|found| found.count).sum();
    Some(format!(
        "`--fail-on-breaks`: {breaks} breaks, {given_up} traces given up, {late} spans that came after their trace had been \
         judged"
    ))
}

/// The share of complete traces in percent. Traces that were given up, and those with spans that arrived after they
/// were judged, count as incomplete: a check must not pass because there were too many traces at once.
fn percent_complete(report: &Report) -> f64 {
    let traces = report.total.traces + report.skipped.traces_given_up;
    if traces == 0 {
        return 100.0;
    }
    // Rounded once, like the bound: 57 of 100 are not less than 57 %.
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let percent = (report.total.complete.saturating_sub(report.skipped.traces_late) * 100) as f64 / traces as f64;
    percent
}

/// The report, and whether it covers all files completely.
fn read(options: &Options) -> Result<(Report, bool), String> {
    let mut audit = Audit::new(options.rules.clone());
    let mut reader = Reader::new();
    let (mut spans, mut is_covered, mut without_spans) = (0, true, Vec::new());
    for path in &options.files {
        let name = if is_stdin(path) { "standard input".into() } else { path.to_string_lossy() };
        let input: Box<dyn Read> = if is_stdin(path) {
            Box::new(io::stdin().lock())
        } else {
            Box::new(File::open(path).map_err(|error| format!("{name}: cannot be opened: {error}"))?)
        };
        let dump =
            reader.read(input, &mut |span| audit.push(span)).map_err(|error| format!("{name}: {}", chain(&error)))?;
        is_covered &= dump.cut_off.is_none() && dump.invalid == 0;
        let warn = |warning: String| {
            let _ = writeln!(io::stderr(), "warning: {name}: {warning}");
        };
        if let Some(cut_off) = &dump.cut_off {
            let spans = if dump.spans == 1 { "span" } else { "spans" };
            let cut_off = chain(cut_off);
            warn(format!("{cut_off}; the report covers the {} {spans} before", dump.spans));
        }
        if dump.invalid > 0 {
            let words = if dump.invalid == 1 { ["span was", "its"] } else { ["spans were", "their"] };
            let [were, their] = words;
            warn(format!(
                "{} {were} left out, because {their} trace ID, span ID or parent span ID is invalid",
                dump.invalid
            ));
        }
        if dump.spans == 0 && dump.invalid == 0 && dump.cut_off.is_none() {
            without_spans.push(name);
        }
        spans += dump.spans;
    }
    // A check must not pass because there are no spans.
    if spans == 0 {
        return Err("no spans to audit".to_owned());
    }
    for name in without_spans {
        is_covered = false;
        let _ = writeln!(io::stderr(), "warning: {name}: no spans");
    }
    Ok((audit.finish(), is_covered))
}

/// The error and its source.
fn chain(error: &ReadError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}
