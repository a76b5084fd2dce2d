//! A process that cannot start threads.

use std::env;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How much more memory the process may map: less than the stack of a thread.
const MARGIN: u64 = 1 << 25;

/// The required size of a stack.
const MIN_STACK: u64 = 2 * MARGIN;

/// Prevents this process from starting threads until it is dropped, by a limit that leaves no room for a stack.
///
/// The stacks must be larger than what the process allocates in the meantime, so it has to be started with
/// `RUST_MIN_STACK=67108864`; and with `MALLOC_ARENA_MAX=1`, because there is no room for another arena of glibc either,
/// without which each small allocation takes a page.
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
    /// If it cannot be set, or if the stacks are too small.
    pub fn begin() -> io::Result<Self> {
        let stack: Option<u64> = env::var("RUST_MIN_STACK").ok().and_then(|size| size.parse().ok());
        if stack.is_none_or(|stack| stack < MIN_STACK) {
            return Err(io::Error::other(format!("`RUST_MIN_STACK` is not {MIN_STACK}")));
        }
        let previous = getrlimit(Resource::As);
        let end = Arc::<AtomicBool>::default();
        let mut waiting = Vec::new();
        loop {
            // Each time anew: a thread that starts takes some of the memory, or the stack of one that has ended.
            let current = Some(mapped()? + MARGIN);
            setrlimit(Resource::As, Rlimit { current, maximum: previous.maximum })?;
            let end = Arc::clone(&end);
            let wait = move || {
                while !end.load(Ordering::Acquire) {
                    thread::park();
                }
            };
            let Ok(thread) = thread::Builder::new().spawn(wait) else { break };
            waiting.push(thread);
        }
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
