//! A collector in a separate process, so that it can be killed and its memory is not counted as the application's.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::collector::Reserved;
use crate::{Behaviour, Collector, Line, Tally, Traces};

/// The argument that makes the program a collector.
pub const COLLECTOR: &str = "collector";

/// A collector in a separate process. It writes accepted spans to a file before it responds, so that the file is
/// correct even if the process is killed.
pub struct Remote {
    program: PathBuf,
    stored: PathBuf,
    address: SocketAddr,
    running: Option<(Child, ChildStdin)>,
    _reserved: Reserved,
}

impl Remote {
    /// Starts `program` as a collector.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn start(program: &Path) -> io::Result<Self> {
        Self::start_with(program, true)
    }

    /// Starts a collector that does not store spans.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn start_without_storage(program: &Path) -> io::Result<Self> {
        Self::start_with(program, false)
    }

    fn start_with(program: &Path, has_storage: bool) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let stored = if has_storage {
            std::env::temp_dir().join(format!("throughline-load-{}-{number}", std::process::id()))
        } else {
            PathBuf::from("/dev/null")
        };
        if has_storage {
            File::create(&stored)?;
        }
        let reserved = Reserved::new()?;
        let mut remote =
            Self { program: program.to_owned(), stored, address: reserved.address, running: None, _reserved: reserved };
        remote.begin()?;
        Ok(remote)
    }

    /// Starts the collector again, on the same address.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn begin(&mut self) -> io::Result<()> {
        let mut child = Command::new(&self.program)
            .arg(COLLECTOR)
            .arg(self.address.to_string())
            .arg(&self.stored)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let ends = || io::Error::other("the collector has exited");
        let (input, output) = (child.stdin.take().ok_or_else(ends)?, child.stdout.take().ok_or_else(ends)?);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        self.address = line.trim().parse().map_err(io::Error::other)?;
        self.running = Some((child, input));
        Ok(())
    }

    /// Kills the process.
    pub fn kill(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the behaviour from now on.
    ///
    /// # Errors
    ///
    /// If it has exited.
    pub fn set(&mut self, behaviour: Behaviour) -> io::Result<()> {
        let (_, input) = self.running.as_mut().ok_or_else(|| io::Error::other("the collector has exited"))?;
        writeln!(input, "{}", to_command(behaviour))
    }

    /// Counts the traces and spans that were accepted.
    ///
    /// # Errors
    ///
    /// If its file cannot be read.
    pub fn tally(&self) -> io::Result<Tally> {
        let mut traces = Traces::default();
        let mut file = BufReader::new(File::open(&self.stored)?);
        let mut line = [0; Line::BYTES];
        loop {
            match file.read_exact(&mut line) {
                Ok(()) => traces.add([Line::from_bytes(&line)]),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(traces.tally()),
                Err(error) => return Err(error),
            }
        }
    }

    /// The number of accepted spans, including duplicates.
    pub fn spans(&self) -> u64 {
        fs::metadata(&self.stored).map_or(0, |file| file.len() / Line::BYTES as u64)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.kill();
        if self.stored.starts_with(std::env::temp_dir()) {
            let _ = fs::remove_file(&self.stored);
        }
    }
}

fn to_command(behaviour: Behaviour) -> String {
    match behaviour {
        Behaviour::Unavailable => "unavailable".to_owned(),
        Behaviour::Reject => "reject".to_owned(),
        Behaviour::Slow(time) => format!("slow {}", time.as_micros()),
        Behaviour::HalfOpen => "half-open".to_owned(),
        _ => "accept".to_owned(),
    }
}

fn from_command(line: &str) -> Option<Behaviour> {
    Some(match line.split_once(' ').unwrap_or((line, "")) {
        ("unavailable", _) => Behaviour::Unavailable,
        ("reject", _) => Behaviour::Reject,
        ("slow", time) => Behaviour::Slow(Duration::from_micros(time.parse().ok()?)),
        ("half-open", _) => Behaviour::HalfOpen,
        ("accept", _) => Behaviour::Accept,
        _ => return None,
    })
}

/// The program of the collector: listens, prints its address, and reads commands from standard input until that ends.
pub fn serve(address: Option<String>, stored: Option<String>) -> ExitCode {
    match try_serve(address, stored) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the collector has failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn try_serve(address: Option<String>, stored: Option<String>) -> io::Result<()> {
    let wrong = || io::Error::other("expected an address and a file");
    let address = address.and_then(|address| address.parse().ok()).ok_or_else(wrong)?;
    let file = Mutex::new(OpenOptions::new().append(true).open(stored.ok_or_else(wrong)?)?);
    let collector = Collector::start_at(address, move |request| {
        let lines: Vec<u8> = Line::all(&request.spans).flat_map(Line::to_bytes).collect();
        // In a single call, so that a request is stored as a whole or not at all if the process is killed.
        file.lock().expect("no writer panics").write_all(&lines).expect("enough disk space");
    })?;
    println!("{}", collector.address());
    for line in io::stdin().lines() {
        if let Some(behaviour) = from_command(&line?) {
            collector.set(behaviour);
        }
    }
    Ok(())
}
