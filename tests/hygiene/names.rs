//! User variables and items that have the same names as those in generated code.

use throughline::testing::Capture;
use throughline::{biz_tags, traced, traced_spawn};

mod __private {}

#[expect(dead_code, reason = "it is there to be in the way")]
const CALLSITE: &str = "mine";

const NAME: &str = "named by a constant";

fn callsite() -> u64 {
    100
}

fn seen(of: u64) -> u64 {
    of
}

fn display() -> u64 {
    1000
}

fn returns() -> u64 {
    10
}

#[traced(ret, tags(span, result = result + 1, tags, value))]
#[biz_tags(arg0, outcome, "callsite" = callsite())]
fn variables(span: u64, result: u64, tags: u64, value: u64, arg0: u64, _: u64, outcome: &str) -> u64 {
    let attached = span + result;
    let arg5 = tags + value + arg0 + outcome.len() as u64;
    seen(attached) + arg5 + callsite() + returns() + display()
}

#[traced(tags(result, tags, this = span))]
async fn variables_later((span, _): (u64, u64), result: u64, (_, tags): (u64, u64), arg2: u64) -> u64 {
    let arg0 = 1;
    span + result + tags + arg0 + arg2
}

#[traced_spawn(tags(span), parent = parent)]
async fn variables_detached(span: u64, handle: u64, parent: throughline::Snapshot, job: u64) -> u64 {
    let this = seen(handle);
    span + this + job
}

#[track_caller]
#[traced(ret, tags(span))]
fn variables_in_place(span: u64, value: u64) -> u64 {
    span + value
}

#[traced(name = NAME)]
fn named() {}

/// A function with the name of its attribute, and one with the name of the function that it calls.
mod functions {
    use throughline::{biz_tags, traced};

    #[traced]
    pub(super) fn traced(n: u64) -> u64 {
        n
    }

    #[biz_tags(biz_tags)]
    #[traced]
    pub(super) fn span(biz_tags: u64) -> u64 {
        biz_tags
    }
}

/// Renamed attributes.
mod renamed {
    use throughline::{biz_tags as facts, traced as in_a_span};

    #[in_a_span]
    pub(super) fn alone(n: u64) -> u64 {
        n
    }

    #[facts(n)]
    #[throughline::traced]
    pub(super) fn above_a_path(n: u64) -> u64 {
        n
    }
}

/// A macro that uses the same names as its caller.
macro_rules! around {
    ($span:ident, $body:expr) => {
        #[traced(tags($span, other = span))]
        fn by_a_macro(span: u64, $span: u64) -> u64 {
            let result = 1000;
            $body + span + result
        }
    };
}

around!(span, span * 10);

#[test]
fn names_refer_to_the_users_items() {
    let capture = Capture::new();
    capture.run(|| {
        assert_eq!(variables(1, 2, 3, 4, 5, 6, "outcome"), 1132);
        assert_eq!(variables_in_place(1, 2), 3);
        named();
        assert_eq!(functions::traced(1) + functions::span(2), 3);
        assert_eq!(renamed::alone(1) + renamed::above_a_path(2), 3);
        assert_eq!(by_a_macro(1, 2), 1021);
    });
    let span = capture.span("variables");
    let number = |key| span.attribute(key).map(ToString::to_string).unwrap_or_default();
    assert_eq!(
        ["span", "result", "tags", "value", "arg0", "outcome", "callsite", "throughline.return"].map(number),
        ["1", "3", "3", "4", "5", "outcome", "100", "1132"]
    );
    let span = capture.span("by_a_macro");
    assert_eq!(span.attribute("span"), Some(&2.into()));
    assert_eq!(span.attribute("other"), Some(&1.into()));
    assert_eq!(capture.span("span").attribute("biz_tags"), Some(&2.into()));
    assert_eq!(capture.span("above_a_path").attribute("n"), Some(&2.into()));
    assert_eq!(capture.named(NAME).len(), 1);
}

#[tokio::test]
async fn names_refer_to_the_users_items_in_async_code() {
    let capture = Capture::new();
    capture
        .run_async(async {
            assert_eq!(variables_later((1, 2), 3, (4, 5), 6).await, 16);
            let parent = throughline::Snapshot::capture();
            assert_eq!(variables_detached(1, 2, parent, 3).await.unwrap(), 6);
        })
        .await;
    assert_eq!(capture.span("variables_later").attribute("tags"), Some(&5.into()));
    assert_eq!(capture.span("variables_detached").attribute("span"), Some(&1.into()));
}
