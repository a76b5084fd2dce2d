//! A process for each test, and further processes that receive signals or panic.

use std::env;
use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const ALONE: &str = "THROUGHLINE_TEST_ALONE";

/// The role of a second process.
pub(crate) const ROLE: &str = "THROUGHLINE_TEST_ROLE";

/// Printed by a test that runs in its own process. Without this check, a name that matches no test would pass.
const BEGUN: &str = "alone at last";

/// Runs `test` in its own process, with these variables, without other `OTEL_*` variables, and without a proxy.
pub(crate) fn isolated(name: &str, variables: &[(&str, &str)], test: impl FnOnce()) {
    if is_child(name) {
        println!("{BEGUN}");
        return test();
    }
    let (status, out, err) = Program::spawn(command(name, variables)).end();
    assert!(status.success(), "{name}: {status}\n{out}\n{err}");
    assert!(out.contains(BEGUN), "{name} has not run:\n{out}");
}

fn is_child(name: &str) -> bool {
    env::var(ALONE).is_ok_and(|alone| alone == name)
}

fn command(name: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env::current_exe().expect("this program has a path"));
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(ALONE, name);
    for (inherited, _) in env::vars_os() {
        let name = inherited.to_string_lossy().to_ascii_uppercase();
        if name.starts_with("OTEL_") || name.ends_with("_PROXY") {
            command.env_remove(inherited);
        }
    }
    command.env_remove("RUST_LOG").envs(variables.iter().copied());
    command.stdin(Stdio::null());
    command
}

/// Defines a test that runs in its own process.
macro_rules! alone {
    ($(#[$meta:meta])* fn $name:ident() $body:block) => {
        alone! { $(#[$meta])* with [] fn $name() $body }
    };
    ($(#[$meta:meta])* with [$($key:literal = $value:expr),* $(,)?] fn $name:ident() $body:block) => {
        $(#[$meta])*
        #[test]
        fn $name() {
            $crate::process::isolated($crate::process::name!($name), &[$(($key, $value)),*], || $body);
        }
    };
}

/// The name of a test, as the test harness knows it.
macro_rules! name {
    ($name:ident) => {
        concat!(module_path!(), "::", stringify!($name)).split_once("::").expect("the crate comes first").1
    };
}

pub(crate) use {alone, name};

/// A second process, which plays a role of `program`.
pub(crate) struct Program {
    child: Child,
    /// The output, line by line.
    out: mpsc::Receiver<String>,
    err: mpsc::Receiver<String>,
}

/// Far longer than any role takes.
const PATIENCE: Duration = Duration::from_secs(120);

fn lines(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            if tell.send(line.expect("the output is text")).is_err() {
                return;
            }
        }
    });
    told
}

impl Program {
    /// Starts the process.
    pub(crate) fn start(role: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = command(crate::program::NAME, variables);
        command.env(ROLE, role);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the test's own program starts");
        let out = lines(child.stdout.take().expect("a pipe"));
        let err = lines(child.stderr.take().expect("a pipe"));
        Self { child, out, err }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of the output; `None` if the process has exited.
    #[track_caller]
    fn line(&self) -> Option<String> {
        match self.out.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("no more output: {:?}", self.err.try_iter().last()),
        }
    }

    /// Waits for a line that ends with `what`: it may begin with the name of the test, which the test harness prints.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str) {
        while !self.line().expect("the process is running").ends_with(what) {}
    }

    /// Waits until the process exits. Returns its status, the rest of its output, and its standard error.
    #[track_caller]
    pub(crate) fn end(mut self) -> (ExitStatus, String, String) {
        let mut out = String::new();
        while let Some(line) = self.line() {
            out = out + &line + "\n";
        }
        let status = self.child.wait().expect("an exit status");
        let err: Vec<_> = self.err.iter().collect();
        (status, out, err.join("\n"))
    }

    /// Waits until the process exits, and asserts that both the process and the role succeeded. Returns its output and
    /// its standard error.
    #[track_caller]
    pub(crate) fn succeed(self) -> (String, String) {
        let (status, out, err) = self.end();
        assert!(status.success() && out.contains(crate::program::OVER), "{status}\n{out}\n{err}");
        (out, err)
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.id().to_string()]).status().expect("there is a `kill`");
        assert!(sent.success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A failed test must not leave a process behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until `condition` holds, for at most a minute, which is far longer than it takes.
#[track_caller]
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..60_000 {
        if condition() {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("did not happen within a minute: {what}");
}
