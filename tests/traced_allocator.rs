//! An allocator with traced methods. Telemetry allocates, so this would recurse endlessly if a span could start while
//! another one starts or ends.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;

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
    std::thread::spawn(move || {
        let _attached = context.attach();
        work()
    })
    .join()
    .expect("no panic");
    assert_eq!(std::thread::spawn(work).join().expect("no panic"), 10);
}
