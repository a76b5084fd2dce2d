//! Tags whose expressions panic: the function still runs, and the other tags are recorded.

use opentelemetry::KeyValue;
use throughline::testing::Capture;
use throughline::{TagValue, Value, biz_tags, traced, traced_spawn};

fn compute() -> u32 {
    panic!("no number today")
}

struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("in `Display`")
    }
}

impl std::fmt::Debug for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bro")?;
        panic!("in `Debug`")
    }
}

impl TagValue for Broken {
    fn tag_value(&self) -> Option<Value> {
        panic!("in `tag_value`")
    }
}

fn assert_reported(capture: &Capture, name: &str, keys: &[&'static str]) {
    let span = capture.span(name);
    let missing: Vec<_> = span
        .events
        .events
        .iter()
        .filter(|event| event.name == "throughline.tag.missing")
        .flat_map(|event| event.attributes.clone())
        .collect();
    assert_eq!(missing, keys.iter().map(|key| KeyValue::new("throughline.tag.key", *key)).collect::<Vec<_>>());
    for key in keys {
        assert_eq!(span.attribute(key), None);
    }
    assert!(!span.is_error() && !span.is_panicked());
    assert_eq!(span.attribute("before"), Some(&Value::I64(1)));
    assert_eq!(span.attribute("after"), Some(&Value::I64(2)));
}

#[tokio::test]
async fn an_expression_that_panics_is_a_missing_tag() {
    #[traced(tags(before = 1, own = compute(), after = 2))]
    fn function() -> u8 {
        7
    }
    #[traced]
    #[biz_tags(before = 1, scoped = compute(), typed = Broken, hash(hidden = compute()), after = 2)]
    async fn asynchronous() -> u8 {
        7
    }
    #[traced_spawn]
    #[biz_tags(before = 1, propagate(sent = compute()), stand_in = None::<u8> else compute(), after = 2)]
    async fn job() -> u8 {
        7
    }
    let capture = Capture::new();
    assert_eq!(capture.run(function), 7);
    assert_eq!(capture.run_async(asynchronous()).await, 7);
    assert_eq!(capture.run(job).await.expect("no panic"), 7);
    assert_reported(&capture, "function", &["own"]);
    assert_reported(&capture, "asynchronous", &["scoped", "typed", "hidden"]);
    assert_reported(&capture, "job", &["sent", "stand_in"]);
}

#[test]
fn a_tag_on_the_current_span_may_panic() {
    #[biz_tags(before = 1, lost = compute(), after = 2)]
    fn tagged() -> u8 {
        7
    }
    let capture = Capture::new();
    assert_eq!(capture.run(|| throughline::in_span("outside", tagged)), 7);
    assert_reported(&capture, "outside", &["lost"]);
}

#[test]
fn a_formatter_that_panics_leaves_a_placeholder() {
    #[traced]
    #[biz_tags(shown = %Broken, debugged = ?Broken)]
    fn function() {}
    let capture = Capture::new();
    capture.run(function);
    capture.run(|| {
        throughline::span("built")
            .tag("shown", throughline::display(Broken))
            .biz_tag("debugged", throughline::debug(Broken))
            .run(|| {});
    });
    for name in ["function", "built"] {
        let of = |key| capture.span(name).attribute(key).map(ToString::to_string);
        assert_eq!(of("shown").as_deref(), Some("<panicked while formatting>"));
        assert_eq!(of("debugged").as_deref(), Some("Bro<panicked while formatting>"));
    }
}

/// The value panics when it is formatted, not when it is converted.
#[test]
fn a_builder_takes_a_value_that_panics() {
    let capture = Capture::new();
    capture.run(|| throughline::span("built").tag("lost", Broken).tag("kept", 1).run(|| {}));
    assert_eq!(capture.span("built").attribute("lost"), None);
    assert_eq!(capture.span("built").attribute("kept"), Some(&Value::I64(1)));
}
