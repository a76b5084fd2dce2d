//! A process that cannot start threads.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How much more memory the process may map: less than the stack of a thread.
const MARGIN: u64 = 1 << 20;

/// Prevents this process from starting threads until it is dropped, by a limit that leaves no room for a stack.
#[derive(Debug)]
pub struct NoThreads {
    previous: Rlimit,
    end: Arc<AtomicBool>,
    waiting: Vec<JoinHandle<()>>,
}

impl NoThreads {
    /// Sets the limit.
    ///
    /// # Errors
    ///
    /// If it cannot be set.
    pub fn begin() -> io::Result<Self> {
        let previous = getrlimit(Resource::As);
        let current = Some(mapped()? + MARGIN);
        setrlimit(Resource::As, Rlimit { current, maximum: previous.maximum })?;
        let end = Arc::<AtomicBool>::default();
        let wait = || {
            let end = Arc::clone(&end);
            move || {
                while !end.load(Ordering::Acquire) {
                    thread::park();
                }
            }
        };
        // The stacks of threads that have ended are reused.
        let waiting = std::iter::from_fn(|| thread::Builder::new().spawn(wait()).ok()).collect();
        Ok(Self { previous, end, waiting })
    }
}

impl Drop for NoThreads {
    fn drop(&mut self) {
        let _ = setrlimit(Resource::As, Rlimit { ..self.previous });
        self.end.store(true, Ordering::Release);
        for thread in self.waiting.drain(..) {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// The memory that the process has mapped, in bytes.
fn mapped() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.strip_suffix("kB")?.trim().parse().ok());
    size.map(|kilobytes: u64| kilobytes << 10).ok_or_else(|| io::Error::other("no `VmSize`"))
}
