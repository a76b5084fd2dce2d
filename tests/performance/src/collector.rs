//! The collector of the measurements, in its own process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What the collector does with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Counts the spans, and accepts them.
    Accept,
    /// Accepts connections, and never reads from them.
    Hang,
}

/// What the collector has received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Spans of the workload, by their names.
    pub own: u64,
    /// All other spans, such as those of the exporter's own connection.
    pub others: u64,
    /// The bytes of the requests' messages.
    pub bytes: u64,
    /// The number of requests.
    pub requests: u64,
}

/// A running collector. It exits when this value is dropped, or when this process ends.
#[derive(Debug)]
pub struct Collector {
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    address: String,
}

impl Collector {
    /// Starts a collector on a free port of the loopback interface, pinned to `core` if it is given.
    ///
    /// # Panics
    ///
    /// If its program has not been built, or does not start.
    pub fn start(behaviour: Behaviour, core: Option<usize>) -> Self {
        let mut command = Command::new(program("measure-collector"));
        if behaviour == Behaviour::Hang {
            command.arg("--hang");
        }
        if let Some(core) = core {
            command.args(["--core", &core.to_string()]);
        }
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the collector has been built");
        let commands = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let mut address = String::new();
        answers.read_line(&mut address).expect("the collector prints its address");
        Self { child, commands, answers, address: address.trim().to_owned() }
    }

    /// The endpoint for exporters.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What the collector has received so far.
    ///
    /// # Panics
    ///
    /// If the collector has ended.
    pub fn arrived(&mut self) -> Arrived {
        let commands = self.commands.as_mut().expect("open until the end");
        commands.write_all(b"\n").expect("the collector reads");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the collector answers");
        let mut numbers = line.split_whitespace().map(|number| number.parse().expect("a number"));
        let mut next = || numbers.next().expect("four numbers");
        Arrived { own: next(), others: next(), bytes: next(), requests: next() }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // It exits at the end of its input.
        drop(self.commands.take());
        _ = self.child.wait();
    }
}

/// The path of a program of this package: next to this one, or, for benches, in the folder above.
///
/// # Panics
///
/// If it has not been built.
pub fn program(name: &str) -> PathBuf {
    let current = std::env::current_exe().expect("this program has a path");
    let found = current.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("`{name}` has not been built; `.ci/performance` builds it"))
}
