//! Starting the second process.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::spans::SpanLine;

/// The time limit for each wait.
const LIMIT: Duration = Duration::from_secs(90);

/// The arguments of a role: `name=value` pairs.
#[derive(Debug)]
pub struct Arguments(HashMap<String, String>);

impl Arguments {
    /// The arguments of this process, after the name of the role.
    pub fn of_process() -> Self {
        let pairs = std::env::args().skip(2);
        Self(pairs.filter_map(|pair| pair.split_once('=').map(|(name, value)| (name.into(), value.into()))).collect())
    }

    /// The value of `name`.
    ///
    /// # Panics
    ///
    /// If it is missing.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("the argument `{name}=…` is missing"))
    }
}

/// Tells the test that the role is ready, with a text such as its address.
pub fn ready(what: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "ready {what}");
    let _ = out.flush();
}

/// A second process, which plays a role of [`crate::roles`] and reports its spans at the end.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    role: String,
    lines: Receiver<String>,
}

impl Peer {
    /// Starts `binary`, which is `env!("CARGO_BIN_EXE_peer")` in a test, in the role `role`.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start(binary: &str, role: &str, arguments: &[(&str, &str)]) -> Self {
        let mut child = Command::new(binary)
            .arg(role)
            .args(arguments.iter().map(|(name, value)| format!("{name}={value}")))
            // The end of its input tells it that this process has ended.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start `{binary} {role}`: {error}"));
        let output = child.stdout.take().expect("the output is piped");
        Self { child, role: role.to_owned(), lines: follow(output) }
    }

    /// Waits until the role is ready, and returns the text that it has sent.
    ///
    /// # Panics
    ///
    /// If it ends before, or is not ready in time.
    pub fn ready(&self) -> String {
        self.next("ready ")
    }

    fn next(&self, prefix: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(LIMIT);
            let line = line.unwrap_or_else(|error| panic!("`{}` did not say `{prefix}…`: {error}", self.role));
            if let Some(rest) = line.strip_prefix(prefix) {
                return rest.to_owned();
            }
        }
    }

    /// Stops a role that serves until it is asked to stop, and waits for its spans.
    pub fn stop(mut self) -> Vec<SpanLine> {
        if let Some(input) = &mut self.child.stdin {
            let _ = writeln!(input, "stop");
        }
        self.spans()
    }

    /// Waits until the role has ended, and returns its spans in the order in which they ended.
    ///
    /// # Panics
    ///
    /// If it fails or takes too long.
    pub fn spans(mut self) -> Vec<SpanLine> {
        let spans = self.next("spans ");
        // `wait` would close the input, and the peer would exit as if the test were gone.
        let _input = self.child.stdin.take();
        let status = self.child.wait().expect("a child can be waited for");
        assert!(status.success(), "`{}` ended with {status}", self.role);
        serde_json::from_str(&spans).expect("a peer prints spans as JSON")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(output: ChildStdout) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}
