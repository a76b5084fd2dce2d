//! An allocator with traced methods. Telemetry allocates, so this would recurse endlessly if a span could start while
//! another one starts or ends.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use throughline::testing::Capture;
use throughline::traced;

struct Traced;

#[traced(tags(size = layout.size(), text = format!("{}", layout.align())))]
unsafe impl GlobalAlloc for Traced {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    #[traced(name = "free", root)]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller says.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        throughline::span("grow").tag("to", throughline::display(size)).biz_tag("list", vec![size]).run(|| {
            // SAFETY: as the caller says.
            unsafe { System.realloc(pointer, layout, size) }
        })
    }
}

#[global_allocator]
static ALLOCATOR: Traced = Traced;

fn work() -> usize {
    let mut numbers = black_box(Vec::with_capacity(100));
    numbers.extend(0..10_000_usize);
    let texts: Vec<_> = numbers.iter().take(10).map(ToString::to_string).collect();
    black_box(texts).len()
}

#[test]
fn an_allocator_may_be_traced() {
    assert_eq!(work(), 10, "no provider is set up");
    let capture = Capture::new();
    assert_eq!(capture.run(work), 10);
    let spans = capture.spans();
    for name in ["Traced::alloc", "Traced::realloc", "grow", "free"] {
        assert!(spans.iter().any(|span| span.name == name), "{name}");
    }
    let alloc = spans.iter().find(|span| span.name == "Traced::alloc").expect("checked above");
    assert!(alloc.attribute("size").is_some() && alloc.attribute("text").is_some());
    // A thread allocates before its thread-locals are initialized, and after they are destroyed.
    let context = capture.context();
    thread::spawn(move || {
        let _attached = context.attach();
        work()
    })
    .join()
    .expect("no panic");
    assert_eq!(thread::spawn(work).join().expect("no panic"), 10);
}

#[derive(Debug)]
struct Discard;

impl SpanExporter for Discard {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }
}

/// Runs `f` on another thread, and aborts if it does not return: a panic would allocate, and wait for the same locks.
fn without_deadlock(f: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        f();
        let _ = done.send(());
    });
    let result = is_done.recv_timeout(Duration::from_secs(30));
    if result == Err(mpsc::RecvTimeoutError::Timeout) {
        std::process::abort();
    }
    result.expect("no panic");
}

/// A flush and the counts of the export lock the queue, to which the spans of an allocation are pushed.
#[test]
fn a_flush_on_a_traced_thread_does_not_deadlock() {
    without_deadlock(|| {
        let builder = throughline::telemetry::builder().variables(|_| None).exporter(Discard);
        let telemetry = builder.init().expect("a valid configuration");
        // On threads with different parts of the queue, each of which grows for the first time.
        for _ in 0..16 {
            let count = || {
                work();
                telemetry.export_stats();
            };
            thread::scope(|scope| drop(scope.spawn(count)));
        }
        let provider = telemetry.provider().expect("telemetry is enabled");
        for _ in 0..50 {
            throughline::in_span("root", || {
                work();
                provider.force_flush().expect("the exporter succeeds");
            });
        }
        assert!(telemetry.export_stats().finished > 1_000);
    });
}

/// A new instrumentation scope is added to a list that observers of spans read.
#[test]
fn a_new_tracer_on_a_traced_thread_does_not_deadlock() {
    without_deadlock(|| {
        let capture = Capture::new();
        capture.run(|| {
            for number in 0..50 {
                drop(capture.provider().tracer(format!("library {number}")));
            }
        });
        assert!(capture.spans().iter().any(|span| span.name == "Traced::alloc"));
    });
}
