//! `throughline` as annotated crates see it. Their tests do not set it up, so a provider is installed before `main`,
//! and at the end of the process, the numbers of started and ended spans are appended to the file that
//! `THROUGHLINE_ANNOTATED` names. With `THROUGHLINE_ANNOTATED_NAMES`, the names of spans that have not ended follow,
//! one per line. For Linux.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span as SdkSpan, SpanData, SpanProcessor};

pub use throughline::*;

static STARTED: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);
/// The number of open spans by name; only kept with `THROUGHLINE_ANNOTATED_NAMES`, because it is slow.
static OPEN: Mutex<BTreeMap<String, i64>> = Mutex::new(BTreeMap::new());

// SAFETY: the section lists the functions that a Linux program calls before `main`, and this is such a function.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = set_up;

extern "C" fn set_up() {
    let names = std::env::var_os("THROUGHLINE_ANNOTATED_NAMES").is_some();
    throughline::install(&SdkTracerProvider::builder().with_span_processor(Counter { names }).build());
    // SAFETY: the callback has the required signature, and does not unwind.
    unsafe { atexit(write_down) };
}

unsafe extern "C" {
    fn atexit(callback: extern "C" fn()) -> i32;
}

extern "C" fn write_down() {
    let Some(path) = std::env::var_os("THROUGHLINE_ANNOTATED") else { return };
    let mut text = format!("{} {}\n", STARTED.load(Ordering::Relaxed), ENDED.load(Ordering::Relaxed));
    for (name, open) in OPEN.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|(_, open)| **open != 0) {
        let _ = writeln!(text, "  {name}: {open}");
    }
    if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path) {
        // An error, such as a full disk, cannot be reported.
        let _ = file.write_all(text.as_bytes());
    }
}

#[derive(Debug)]
struct Counter {
    names: bool,
}

impl Counter {
    fn count(&self, name: &str, by: i64) {
        if self.names {
            *OPEN.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default() += by;
        }
    }
}

impl SpanProcessor for Counter {
    fn on_start(&self, span: &mut SdkSpan, _: &opentelemetry::Context) {
        STARTED.fetch_add(1, Ordering::Relaxed);
        if self.names {
            let name = span.exported_data().map(|data| data.name.into_owned());
            self.count(name.as_deref().unwrap_or_default(), 1);
        }
    }

    fn on_end(&self, span: SpanData) {
        ENDED.fetch_add(1, Ordering::Relaxed);
        self.count(&span.name, -1);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
