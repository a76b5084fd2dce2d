//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser, ValueExt as _};
use throughline::SpanKind;
use throughline::audit::Rules;

pub(crate) const HELP: &str = include_str!("help.txt");
const VERSION: &str = concat!("throughline ", env!("CARGO_PKG_VERSION"), "\n");

/// What to do.
#[derive(Debug)]
pub(crate) enum Command {
    Audit(Box<Options>),
    Print(&'static str),
}

/// The options of `throughline audit`.
#[derive(Debug)]
pub(crate) struct Options {
    /// The dumps; `-` is standard input.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) rules: Rules,
    pub(crate) json: bool,
    pub(crate) html: Option<PathBuf>,
    /// The minimum share of complete traces, in percent.
    pub(crate) fail_below: Option<f64>,
    pub(crate) fail_on_breaks: bool,
}

impl Command {
    pub(crate) fn parse(mut args: Parser) -> Result<Self, lexopt::Error> {
        match args.next()? {
            Some(Arg::Value(command)) if command == "audit" => {}
            Some(Arg::Value(command)) => return Err(unknown_command(&command)),
            Some(Arg::Short('V') | Arg::Long("version")) => return Ok(Self::Print(VERSION)),
            Some(Arg::Short('h') | Arg::Long("help")) | None => return Ok(Self::Print(HELP)),
            Some(other) => return Err(other.unexpected()),
        }
        let mut options = Options {
            files: Vec::new(),
            rules: Rules::new(),
            json: false,
            html: None,
            fail_below: None,
            fail_on_breaks: false,
        };
        while let Some(arg) = args.next()? {
            match arg {
                Arg::Value(file) => options.files.push(file.into()),
                Arg::Short('h') | Arg::Long("help") => return Ok(Self::Print(HELP)),
                Arg::Short('V') | Arg::Long("version") => return Ok(Self::Print(VERSION)),
                Arg::Long("json") => options.json = true,
                Arg::Long("html") => options.html = Some(args.value()?.into()),
                Arg::Long("fail-below") => options.fail_below = Some(percent(args.value()?)?),
                Arg::Long("fail-on-breaks") => options.fail_on_breaks = true,
                Arg::Long(rule) => {
                    let rule = rule.to_owned();
                    options.rules = with_rule(options.rules, &rule, &mut args)?;
                }
                Arg::Short(_) => return Err(arg.unexpected()),
            }
        }
        if options.files.is_empty() {
            return Err("no input file; expected at least one, or `-` for standard input".into());
        }
        Ok(Self::Audit(Box::new(options)))
    }
}

/// Adds the expectation of one option.
fn with_rule(rules: Rules, rule: &str, args: &mut Parser) -> Result<Rules, lexopt::Error> {
    Ok(match rule {
        "partial" => rules.partial(),
        "edge" => rules.edge(args.value()?.string()?),
        "allow-root" => rules.allow_root(args.value()?.string()?),
        "root-kinds" => rules.root_kinds(kinds(&args.value()?.string()?)?),
        "require" => rules.require_tag(args.value()?.string()?),
        "business" => rules.business_tag(args.value()?.string()?),
        "clock-bound-ms" => rules.clock_bound(Duration::from_millis(args.value()?.parse()?)),
        "max-broken-traces" => rules.max_broken_traces(args.value()?.parse()?),
        "max-spans" => rules.max_spans(args.value()?.parse()?),
        _ => return Err(Arg::Long(rule).unexpected()),
    })
}

fn kinds(list: &str) -> Result<Vec<SpanKind>, lexopt::Error> {
    let kind = |name: &str| match name {
        "server" => Ok(SpanKind::Server),
        "client" => Ok(SpanKind::Client),
        "producer" => Ok(SpanKind::Producer),
        "consumer" => Ok(SpanKind::Consumer),
        "internal" => Ok(SpanKind::Internal),
        _ => Err(format!(
            "unknown span kind `{name}`; expected `server`, `client`, `producer`, `consumer` or `internal`"
        )
        .into()),
    };
    list.split(',').map(kind).collect()
}

fn percent(value: OsString) -> Result<f64, lexopt::Error> {
    let value = value.string()?;
    let number = value.strip_suffix('%').unwrap_or(&value).trim().parse();
    match number {
        Ok(number) if (0.0..=100.0).contains(&number) => Ok(number),
        _ => Err(format!("`--fail-below {value}`: expected a share in percent, from 0 to 100, like 99.9").into()),
    }
}

fn unknown_command(command: &OsString) -> lexopt::Error {
    format!("unknown command `{}`; expected `audit`", command.to_string_lossy()).into()
}
