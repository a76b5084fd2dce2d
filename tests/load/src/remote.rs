//! A collector in a process of its own, so that its memory is not the application's, and so that it
//! can be killed.

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

/// The argument that makes a program a collector.
pub const COLLECTOR: &str = "collector";

/// A collector in a process of its own. It writes what it takes to a file before it says that it
/// has taken it, so that the file tells the truth even when it is killed.
pub struct Remote {
    program: PathBuf,
    kept: PathBuf,
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

    /// Starts one that keeps nothing.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn start_forgetful(program: &Path) -> io::Result<Self> {
        Self::start_with(program, false)
    }

    fn start_with(program: &Path, keeps: bool) -> io::Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let kept = if keeps {
            std::env::temp_dir().join(format!("throughline-load-{}-{number}", std::process::id()))
        } else {
            PathBuf::from("/dev/null")
        };
        if keeps {
            File::create(&kept)?;
        }
        let reserved = Reserved::new()?;
        let mut remote =
            Self { program: program.to_owned(), kept, address: reserved.address, running: None, _reserved: reserved };
        remote.begin()?;
        Ok(remote)
    }

    /// Starts it again, at the same address.
    ///
    /// # Errors
    ///
    /// If it does not start.
    pub fn begin(&mut self) -> io::Result<()> {
        let mut child = Command::new(&self.program)
            .arg(COLLECTOR)
            .arg(self.address.to_string())
            .arg(&self.kept)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let ends = || io::Error::other("the collector has ended");
        let (input, output) = (child.stdin.take().ok_or_else(ends)?, child.stdout.take().ok_or_else(ends)?);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        self.address = line.trim().parse().map_err(io::Error::other)?;
        self.running = Some((child, input));
        Ok(())
    }

    /// Kills it, in the middle of whatever it does.
    pub fn kill(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it does from now on.
    ///
    /// # Errors
    ///
    /// If it has ended.
    pub fn set(&mut self, behaviour: Behaviour) -> io::Result<()> {
        let (_, input) = self.running.as_mut().ok_or_else(|| io::Error::other("the collector has ended"))?;
        writeln!(input, "{}", spelled(behaviour))
    }

    /// What it has taken.
    ///
    /// # Errors
    ///
    /// If its file cannot be read.
    pub fn tally(&self) -> io::Result<Tally> {
        let mut traces = Traces::default();
        let mut file = BufReader::new(File::open(&self.kept)?);
        let mut line = [0; Line::BYTES];
        loop {
            match file.read_exact(&mut line) {
                Ok(()) => traces.add([Line::from_bytes(&line)]),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(traces.tally()),
                Err(error) => return Err(error),
            }
        }
    }

    /// How many spans it has taken, those that came twice included.
    pub fn spans(&self) -> u64 {
        fs::metadata(&self.kept).map_or(0, |file| file.len() / Line::BYTES as u64)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.kill();
        if self.kept.starts_with(std::env::temp_dir()) {
            let _ = fs::remove_file(&self.kept);
        }
    }
}

fn spelled(behaviour: Behaviour) -> String {
    match behaviour {
        Behaviour::Refuse => "refuse".to_owned(),
        Behaviour::RefuseForGood => "refuse-for-good".to_owned(),
        Behaviour::Slow(time) => format!("slow {}", time.as_micros()),
        Behaviour::HalfOpen => "half-open".to_owned(),
        _ => "take".to_owned(),
    }
}

fn understood(line: &str) -> Option<Behaviour> {
    Some(match line.split_once(' ').unwrap_or((line, "")) {
        ("refuse", _) => Behaviour::Refuse,
        ("refuse-for-good", _) => Behaviour::RefuseForGood,
        ("slow", time) => Behaviour::Slow(Duration::from_micros(time.parse().ok()?)),
        ("half-open", _) => Behaviour::HalfOpen,
        ("take", _) => Behaviour::Take,
        _ => return None,
    })
}

/// The program: listens, prints where, and does what it reads until there is no more.
pub fn serve(address: Option<String>, kept: Option<String>) -> ExitCode {
    match try_serve(address, kept) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the collector cannot go on: {error}");
            ExitCode::FAILURE
        }
    }
}

fn try_serve(address: Option<String>, kept: Option<String>) -> io::Result<()> {
    let wrong = || io::Error::other("expected an address and a file");
    let address = address.and_then(|address| address.parse().ok()).ok_or_else(wrong)?;
    let file = Mutex::new(OpenOptions::new().append(true).open(kept.ok_or_else(wrong)?)?);
    let collector = Collector::start_at(address, move |request| {
        let lines: Vec<u8> = Line::all(&request.spans).flat_map(Line::to_bytes).collect();
        // At once, so that it is whole or absent when the process is killed.
        file.lock().expect("no writer panics").write_all(&lines).expect("there is room on the disk");
    })?;
    println!("{}", collector.address());
    for line in io::stdin().lines() {
        if let Some(behaviour) = understood(&line?) {
            collector.set(behaviour);
        }
    }
    Ok(())
}
