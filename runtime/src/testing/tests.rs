//! Tests of the capture itself.

use std::panic::{AssertUnwindSafe, catch_unwind};

use opentelemetry::Value;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceId, TraceState, Tracer as _};

use super::*;
#[cfg(feature = "tokio")]
use crate::in_span_async;
use crate::{in_span, span};

pub(super) fn message(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    payload
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| Some((*payload.downcast_ref::<&str>()?).to_owned()))
        .expect("a message")
}

#[test]
fn spans_of_the_opentelemetry_api_nest_with_ours_and_have_the_tags() {
    let capture = Capture::new();
    let tracer = capture.tracer("library");
    capture.run(|| {
        span("ours").biz_tag("tenant_id", "acme").run(|| {
            tracer.in_span("theirs", |_| in_span("ours again", || ()));
        });
    });
    capture.assert_tree_with(
        &["tenant_id"],
        "
        ours tenant_id=acme
        └── theirs tenant_id=acme
            └── ours again tenant_id=acme
        ",
    );
}

#[test]
fn captures_are_isolated_from_each_other() {
    let (one, other) = (Capture::new(), Capture::new());
    std::thread::scope(|scope| {
        scope.spawn(|| one.run(|| in_span("one", || ())));
        scope.spawn(|| other.run(|| in_span("other", || in_span("below", || ()))));
    });
    assert_eq!(one.tree(), "one");
    assert_eq!(other.tree(), "other\n└── below");
    one.run(|| in_span("outer", || other.run(|| in_span("inner", || ()))));
    assert_eq!(one.tree(), "one\nouter");
    assert_eq!(other.named("inner").len(), 1);
}

/// `AssertUnwindSafe` is not needed.
#[test]
fn a_capture_is_unwind_safe() {
    let capture = Capture::new();
    catch_unwind(|| capture.run(|| in_span("order", || panic!("no stock")))).unwrap_err();
    capture.assert_tree("order !panicked: no stock");
}

#[test]
fn an_empty_capture_explains_which_spans_it_captures() {
    const HINT: &str = "; no sampled span has started in `run`, `run_async` or `context()` of this capture: a bare \
                        `tokio::spawn` or thread leaves it";
    let capture = Capture::new();
    in_span("outside", || ());
    assert_eq!(
        message(|| drop(capture.span("outside"))),
        format!("expected one finished span named `outside`, found 0; finished: none; open: none{HINT}")
    );
    assert!(message(|| capture.assert_tree("outside")).starts_with(&format!("the span trees differ{HINT}\n\n")));
    capture.run(|| in_span("inside", || ()));
    capture.clear();
    assert!(!message(|| capture.assert_tree("outside")).contains(HINT));
}

#[cfg(feature = "tokio")]
#[tokio::test(flavor = "current_thread")]
async fn detached_jobs_are_captured() {
    let capture = Capture::new();
    let job = capture.run(|| in_span("request", || span("job").spawn(in_span_async("step", async {}))));
    assert_eq!(capture.open(), 1);
    job.await.unwrap();
    assert_eq!(capture.open(), 0);
    assert_eq!(capture.tree(), "request\n└── job\n    └── step");
}

#[test]
fn lines_show_kind_outcome_and_links() {
    let capture = Capture::new();
    capture.run(|| {
        span("root").kind(SpanKind::Server).run(|| {
            let _ = span("failed").try_run(|| Err::<(), _>("bad\nrow"));
            let _ = catch_unwind(|| span("panicked").run(|| panic!("ouch")));
            drop(span("cancelled").start());
            span("linked").root().tag("note", "two words").run(|| ());
        });
        let remote = SpanContext::new(TraceId::from(7), SpanId::from(8), TraceFlags::SAMPLED, true, TraceState::NONE);
        span("continued").kind(SpanKind::Consumer).parent(&remote).link(&remote).run(|| ());
    });
    capture.assert_tree_with(
        &["note"],
        "
        root [server]
        ├── failed !error: bad\\nrow
        ├── panicked !panicked: ouch
        └── cancelled !cancelled
        linked note=\"two words\" ~> root
        continued [consumer] (remote parent) ~> (other)
        ",
    );
    assert!(capture.span("failed").is_error() && !capture.span("failed").is_panicked());
    assert!(capture.span("panicked").is_error() && capture.span("panicked").is_panicked());
    assert!(capture.span("cancelled").is_cancelled() && !capture.span("cancelled").is_error());
    assert!(capture.span("linked").is_linked_to(&capture.span("root")));
    assert!(capture.span("failed").is_child_of(&capture.span("root")));
    assert!(capture.span("failed").event("exception").is_some());
}

#[test]
fn an_absent_parent_is_explained() {
    let capture = Capture::new();
    capture.run(|| {
        in_span("parent", || {
            in_span("child", || ());
            assert_eq!(capture.tree(), "child (open parent)");
            assert_eq!(capture.open(), 1);
        });
    });
    assert_eq!(capture.take().len(), 2);
    assert_eq!(capture.tree(), "");
    capture.run(|| {
        in_span("parent", || {
            in_span("child", || ());
            capture.clear();
            in_span("child", || ());
            let snapshot = Snapshot::capture();
            in_span("lost", || ());
            span("late").parent(&snapshot).run(|| ());
        });
    });
    assert_eq!(capture.tree(), "parent\n├── child\n├── lost\n└── late");
    let request = capture.run(|| in_span("request", Snapshot::capture));
    capture.clear();
    capture.run(|| span("job").parent(&request).run(|| ()));
    assert_eq!(capture.tree(), "job (missing parent)");
}

#[test]
fn the_last_value_of_an_attribute_wins() {
    let capture = Capture::new();
    capture.run(|| span("twice").tag("n", 1).tag("n", 2).run(|| ()));
    assert_eq!(capture.span("twice").attribute("n"), Some(&Value::I64(2)));
    assert_eq!(capture.span("twice").attribute("m"), None);
}

/// The tree from a failure message passes when pasted into a test, indented or not.
#[test]
fn a_tree_with_trailing_spaces_equals_itself() {
    let capture = Capture::new();
    capture.run(|| in_span("order", || span("pay").try_run(|| Err::<(), _>("declined: ")).unwrap_err()));
    let tree = capture.tree();
    assert_eq!(tree, "order\n└── pay !error: declined: ");
    capture.assert_tree(&tree);
    capture.assert_tree(&format!("\n    {}\n    ", tree.replace('\n', "\n    ")));
    assert!(message(|| capture.assert_tree(tree.trim_end())).starts_with("the span trees differ"));
    // Trailing spaces that are only in the source are ignored.
    capture.clear();
    capture.run(|| in_span("order", || ()));
    capture.assert_tree("  order  \n  ");
}

#[test]
fn open_spans_are_listed_in_the_order_in_which_they_started() {
    let capture = Capture::new();
    let names: Vec<_> = (10..40).map(|number| format!("span {number}")).collect();
    let open: Vec<_> = names.iter().map(|name| capture.run(|| span(name.clone()).root().start())).collect();
    let none = message(|| drop(capture.span("three")));
    assert!(none.ends_with(&format!("finished: none; open: `{}`", names.join("`, `"))), "{none}");
    drop(open);
}

#[test]
fn the_message_for_a_missing_span_lists_the_others() {
    let capture = Capture::new();
    capture.run(|| {
        in_span("open", || {
            in_span("one", || ());
            in_span("two", || ());
            in_span("two", || ());
            let none = message(|| drop(capture.span("three")));
            assert_eq!(
                none,
                "expected one finished span named `three`, found 0; finished: `one`, `two`, `two`; open: `open`"
            );
            assert!(
                message(|| drop(capture.span("two"))).starts_with("expected one finished span named `two`, found 2;")
            );
        });
    });
    let differ = message(|| capture.assert_tree("open"));
    assert_eq!(
        differ,
        "the span trees differ

expected   actual
─────────┼────────
open       open
         > ├── one
         > ├── two
         > └── two

the actual tree, to paste:
open
├── one
├── two
└── two
"
    );
}
