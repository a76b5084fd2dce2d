//! Instructions in user space, of all threads of a process, by callgrind: the difference between two run lengths, so
//! that startup does not count.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use throughline_performance::calls::Mode;
use throughline_performance::collector::program;
use throughline_performance::rounds::float;

struct Question {
    row: &'static str,
    modes: &'static [Mode],
    arguments: &'static [&'static str],
    /// The requests of the shorter run, and how many more the longer one has.
    short: u32,
    more: u32,
    per_request: u32,
}

const QUESTIONS: [Question; 4] = [
    // The queue has room for all spans, because everything is slower under callgrind.
    Question {
        row: "wire",
        modes: &[Mode::Ours, Mode::ByHand, Mode::Fastrace, Mode::Instrument, Mode::Layer],
        arguments: &["--queue", "65536"],
        short: 500,
        more: 2000,
        per_request: 6,
    },
    // Right after it, because the difference between the two is the cost of the audit.
    Question {
        row: "audited",
        modes: &[Mode::Ours],
        arguments: &["--queue", "65536", "--audit"],
        short: 500,
        more: 2000,
        per_request: 6,
    },
    Question {
        row: "unsampled",
        modes: &[Mode::Ours, Mode::ByHand, Mode::Instrument],
        arguments: &["--unsampled", "--leaf", "--burst", "100000"],
        short: 1000,
        more: 20_000,
        per_request: 1,
    },
    Question {
        row: "no_provider",
        modes: &[Mode::Plain, Mode::Ours, Mode::Fastrace, Mode::Instrument],
        arguments: &["--no-provider", "--burst", "100000"],
        short: 1000,
        more: 10_000,
        per_request: 6,
    },
];

/// Child spans of `#[instrument]`, with the layer of `tracing-opentelemetry` and with ours.
const LAYER: [Question; 2] = [
    Question {
        row: "instructions",
        modes: &[Mode::Ours, Mode::Instrument, Mode::Layer],
        arguments: &["--leaf", "--burst", "300", "--queue", "65536"],
        short: 3000,
        more: 12_000,
        per_request: 1,
    },
    Question {
        row: "instructions_yields",
        modes: &[Mode::Ours, Mode::Instrument, Mode::Layer],
        arguments: &["--leaf", "--burst", "300", "--queue", "65536", "--yields"],
        short: 3000,
        more: 12_000,
        per_request: 1,
    },
];

impl Question {
    /// Instructions for each span, of all threads and of the calling one.
    fn ask(&self, mode: Mode) -> (f64, f64) {
        let run = |requests: u32| by_thread(mode, requests, self.arguments);
        let (long, short) = (run(self.short + self.more), run(self.short));
        let each = |long: u64, short: u64| float(long.saturating_sub(short)) / f64::from(self.more * self.per_request);
        (each(long.all, short.all), each(long.calling, short.calling))
    }
}

/// Prints instructions for each span of `#[instrument]`.
pub(crate) fn count_layer() {
    for question in &LAYER {
        for &mode in question.modes {
            let (each, calling) = question.ask(mode);
            println!("layer\t{}\t{mode}\t{each:.1}", question.row);
            println!("layer\t{}_calling\t{mode}\t{calling:.1}", question.row);
        }
    }
}

/// Prints instructions for each span.
pub(crate) fn count() {
    let mut wire = 0.0;
    for question in &QUESTIONS {
        for &mode in question.modes {
            let (each, calling) = question.ask(mode);
            println!("instructions\t{}\t{mode}\t{each:.1}", question.row);
            match (question.row, mode) {
                ("wire", Mode::Ours) => {
                    println!("instructions\tcalling\t{mode}\t{calling:.1}");
                    wire = each;
                }
                ("wire", _) => println!("instructions\tcalling\t{mode}\t{calling:.1}"),
                ("audited", Mode::Ours) => println!("instructions\taudit\t{mode}\t{:.1}", each - wire),
                _ => {}
            }
        }
    }
}

/// How many instructions a process took, and the thread of its `main`, which makes the calls.
struct Threads {
    all: u64,
    calling: u64,
}

/// Runs `measure-pipeline` below callgrind, and counts its threads apart.
fn by_thread(mode: Mode, requests: u32, arguments: &[&str]) -> Threads {
    let folder = PathBuf::from(format!("{}.threads", program("measure-pipeline").display()));
    // Left over from an earlier run.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the folder of the program can be written");
    callgrind(mode, requests, arguments, &folder.join("profile"), true);
    let mut threads = Threads { all: 0, calling: 0 };
    for entry in fs::read_dir(&folder).expect("it was created") {
        let path = entry.expect("it can be read").path();
        let profile = fs::read_to_string(&path).expect("callgrind writes its profile");
        // Each thread has its own, whose name ends with its number. The one of the process is empty.
        let total = profile.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse::<u64>().ok());
        threads.all += total.unwrap_or(0);
        if path.to_string_lossy().ends_with("-01") {
            threads.calling = total.unwrap_or(0);
        }
    }
    assert!(threads.calling > 0, "the thread of `main` is the first");
    threads
}

/// Runs `measure-pipeline` below callgrind, which writes a profile of the process or of each thread.
fn callgrind(mode: Mode, requests: u32, arguments: &[&str], profile: &Path, by_thread: bool) {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--fair-sched=try"])
        // These spin for some milliseconds, once in a process, to calibrate fastrace's clock and ours, and their number
        // of instructions varies. Counting is switched off on entry to a function given here, and on again on exit.
        .arg("--toggle-collect=fastant::tsc_now::___init___ctor::___init___ctor")
        .arg("--toggle-collect=throughline::clock::counter::counter")
        // After the toggles, which set it to no.
        .arg("--collect-atstart=yes")
        .arg(format!("--separate-threads={}", if by_thread { "yes" } else { "no" }))
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program("measure-pipeline"))
        .args([mode.name(), &requests.to_string()])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let output = command.output().expect("valgrind is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} has failed:\n{said}");
}

/// Groups of functions by parts of their names; the first match counts.
const GROUPS: [(&str, &[&str]); 9] = [
    (
        "allocation",
        &[
            "malloc",
            "_int_free",
            "calloc",
            "realloc",
            "unlink_chunk",
            "__rust_alloc",
            "__rust_dealloc",
            "__rdl_",
            "tcache",
        ],
    ),
    ("copying", &["memcpy", "memmove", "memset", "memcmp", "bcmp"]),
    ("clock", &["clock_gettime", "clock_gettime@@", "SystemTime", "Instant", "vdso"]),
    ("locks", &["pthread", "futex", "Mutex", "RwLock", "parking_lot"]),
    ("throughline_export", &["throughline::telemetry::export"]),
    ("encoding", &["prost", "opentelemetry_proto"]),
    ("throughline", &["throughline"]),
    ("opentelemetry", &["opentelemetry", "rand"]),
    ("connection", &["h2::", "hyper", "tonic", "tokio", "tower", "http::", "mio", "bytes", "futures"]),
];

/// Prints instructions for each span of ours, by purpose.
pub(crate) fn break_down() {
    let Question { arguments, short, more, per_request, .. } = QUESTIONS[0];
    let profile = PathBuf::from(format!("{}.callgrind", program("measure-pipeline").display()));
    let mut profiles = [short, short + more].into_iter().map(|requests| {
        callgrind(Mode::Ours, requests, arguments, &profile, false);
        by_function(&fs::read_to_string(&profile).expect("callgrind writes its profile"))
    });
    let (once, all) = (profiles.next().expect("two"), profiles.next().expect("two"));
    drop(profiles);
    let each = |instructions: u64| float(instructions) / f64::from(more * per_request);
    let mut groups: HashMap<&str, f64> = HashMap::new();
    let mut functions: Vec<(f64, &str)> = Vec::new();
    for (name, instructions) in &all {
        let instructions = each(*instructions) - each(once.get(name).copied().unwrap_or(0));
        let fits = |(_, parts): &&(&str, &[&str])| parts.iter().any(|part| name.contains(part));
        let group = match name.as_str() {
            "free" | "cfree" => "allocation",
            _ => GROUPS.iter().find(fits).map_or("other", |(group, _)| group),
        };
        *groups.entry(group).or_default() += instructions;
        functions.push((instructions, name));
    }
    for (group, instructions) in groups {
        println!("breakdown\t{group}\tours\t{instructions:.1}");
    }
    functions.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (instructions, name) in functions.iter().take(40) {
        eprintln!("{instructions:9.1}  {name}");
    }
}

/// Each function's own instructions, from a profile of callgrind: after `fn=(number) name` come lines of position and
/// cost, and the one after `calls=` is the cost of a call.
fn by_function(profile: &str) -> HashMap<String, u64> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut costs: HashMap<String, u64> = HashMap::new();
    let mut current = "";
    let mut is_call = false;
    for line in profile.lines() {
        if let Some(function) = line.strip_prefix("fn=") {
            current = name_of(&mut names, function);
        } else if let Some(function) = line.strip_prefix("cfn=") {
            name_of(&mut names, function);
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first))
            && !std::mem::take(&mut is_call)
        {
            let cost = line.split_whitespace().nth(1).and_then(|cost| cost.parse::<u64>().ok()).unwrap_or(0);
            *costs.entry(current.to_owned()).or_default() += cost;
        }
    }
    costs
}

/// The name in `(number) name`; only the first occurrence has it.
fn name_of<'a>(names: &mut HashMap<&'a str, &'a str>, function: &'a str) -> &'a str {
    let (number, name) = function.split_once(' ').unwrap_or((function, ""));
    if name.is_empty() { names.get(number).copied().unwrap_or("") } else { names.entry(number).or_insert(name) }
}
