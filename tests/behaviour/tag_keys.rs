//! A span has one value per key. Explicit attributes take precedence over our own.

use opentelemetry::KeyValue;
use throughline::testing::{Capture, FinishedSpan};
use throughline::{Value, biz_tags, traced, traced_spawn};

fn of(span: &FinishedSpan, key: &str) -> Vec<Value> {
    span.attributes.iter().filter(|it: &&KeyValue| it.key.as_str() == key).map(|it| it.value.clone()).collect()
}

fn text(value: &str) -> Vec<Value> {
    vec![Value::String(value.to_owned().into())]
}

#[test]
fn tags_override_the_source_location() {
    #[traced(tags("code.function.name" = "mine", "code.line.number" = 7))]
    fn own() {}
    #[traced]
    #[biz_tags("code.function.name" = "mine", "code.file.path" = "mine.rs", "code.column.number" = 3)]
    fn scoped() {
        child();
    }
    #[traced]
    fn child() {}
    #[traced(root)]
    #[biz_tags(propagate("code.function.name" = "mine"))]
    fn with_rest() {}
    // In a set of keys that may have false positives, these two are the same.
    #[traced(tags("current.customer" = 1))]
    #[biz_tags("code.line.number" = 7)]
    fn similar() {}
    let capture = Capture::new();
    capture.run(|| {
        own();
        scoped();
        with_rest();
        similar();
        throughline::span("block").biz_tag("code.line.number", 7).run(|| {});
        throughline::span("built").tag("code.file.path", "mine.rs").run(|| {});
    });
    let own = capture.span("own");
    assert_eq!(of(&own, "code.function.name"), text("mine"));
    assert_eq!(of(&own, "code.line.number"), [Value::I64(7)]);
    assert_eq!(of(&own, "code.file.path"), text(file!()));
    let scoped = capture.span("scoped");
    assert_eq!(of(&scoped, "code.function.name"), text("mine"));
    assert_eq!(of(&scoped, "code.file.path"), text("mine.rs"));
    assert_eq!(of(&scoped, "code.column.number"), [Value::I64(3)]);
    assert_eq!(of(&scoped, "code.line.number").len(), 1);
    // An inherited tag does not override the child's own location.
    let function = of(&capture.span("child"), "code.function.name");
    assert!(function.len() == 1 && function != text("mine"), "{function:?}");
    assert_eq!(of(&capture.span("with_rest"), "code.function.name"), text("mine"));
    let similar = capture.span("similar");
    assert_eq!(
        [of(&similar, "code.line.number"), of(&similar, "current.customer")],
        [[Value::I64(7)], [Value::I64(1)]]
    );
    assert_eq!(of(&capture.span("block"), "code.line.number"), [Value::I64(7)]);
    assert_eq!(of(&capture.span("block"), "code.file.path"), text(file!()));
    assert_eq!(of(&capture.span("built"), "code.file.path"), text("mine.rs"));
}

#[tokio::test]
async fn tags_override_the_outcome() {
    #[traced(tags("error.type" = "declined"))]
    fn fails() -> Result<(), String> {
        Err("no".to_owned())
    }
    #[traced(tags("error.type" = "declined", "code.function.name" = "mine", "code.line.number" = 7))]
    fn fails_elsewhere() -> Result<(), String> {
        Err("no".to_owned())
    }
    #[traced(ret, tags("throughline.return" = "mine", r#return = "theirs"))]
    fn returns() -> u8 {
        7
    }
    #[traced]
    #[biz_tags("error.type" = "scoped", "throughline.return" = 1)]
    fn outer() -> Result<u8, String> {
        inner()
    }
    #[traced(ret)]
    fn inner() -> Result<u8, String> {
        Err("no".to_owned())
    }
    #[traced_spawn(tags("throughline.job.queue_time_us" = 0, "throughline.cancelled" = false, cancelled = "by hand"))]
    async fn job() {
        std::future::pending::<()>().await;
    }
    let capture = Capture::new();
    capture.run(|| {
        drop(fails());
        drop(fails_elsewhere());
        returns();
        drop(outer());
    });
    let job = capture.run(job);
    tokio::task::yield_now().await;
    job.abort();
    assert!(job.await.expect_err("it is aborted").is_cancelled());

    let fails = capture.span("fails");
    assert_eq!(of(&fails, "error.type"), text("declined"));
    assert!(fails.is_error() && fails.event("exception").is_some());
    assert_eq!(of(&capture.span("fails_elsewhere"), "error.type"), text("declined"));
    assert_eq!(of(&capture.span("returns"), "throughline.return"), text("mine"));
    assert_eq!(of(&capture.span("returns"), "return"), text("theirs"), "an ordinary tag");
    for name in ["outer", "inner"] {
        assert_eq!(of(&capture.span(name), "error.type"), text("scoped"), "{name}");
    }
    let job = capture.span("job");
    assert_eq!(of(&job, "throughline.job.queue_time_us"), [Value::I64(0)]);
    assert_eq!(of(&job, "throughline.cancelled"), [Value::Bool(false)]);
    assert_eq!(of(&job, "cancelled"), text("by hand"), "an ordinary tag");
    assert!(!job.is_cancelled(), "the user has said so");
}

#[test]
fn a_tag_overrides_the_mark_of_a_detached_span() {
    #[traced(tags("throughline.detached" = false))]
    fn own() {}
    #[traced]
    fn marked() {}
    let capture = Capture::new();
    let snapshot = capture.run(|| throughline::in_span("request", throughline::Snapshot::capture));
    snapshot.run(|| {
        own();
        marked();
    });
    assert_eq!(of(&capture.span("own"), "throughline.detached"), [Value::Bool(false)]);
    assert_eq!(of(&capture.span("marked"), "throughline.detached"), [Value::Bool(true)]);
}
