//! Spans of both kinds, in any order.

use std::pin::Pin;

use throughline::testing::Capture;
use throughline::{biz_tags, traced};
use tracing::{Instrument as _, info_span, instrument};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::{dispatch, text, with_layer};

/// A level of nesting: a `tracing` span, or one of ours.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Instrumented,
    Annotated,
}

const KINDS: [Kind; 2] = [Kind::Instrumented, Kind::Annotated];

fn nested(kinds: &[Kind]) {
    let Some((kind, rest)) = kinds.split_first() else { return };
    match kind {
        Kind::Instrumented => info_span!("span").in_scope(|| nested(rest)),
        Kind::Annotated => throughline::in_span("span", || nested(rest)),
    }
}

fn nested_async(kinds: &[Kind]) -> Pin<Box<dyn Future<Output = ()> + '_>> {
    Box::pin(async move {
        let Some((kind, rest)) = kinds.split_first() else { return };
        tokio::task::yield_now().await;
        let inner = async {
            nested_async(rest).await;
            tokio::task::yield_now().await;
        };
        match kind {
            Kind::Instrumented => inner.instrument(info_span!("span")).await,
            Kind::Annotated => throughline::in_span_async("span", inner).await,
        }
    })
}

fn every_three() -> impl Iterator<Item = [Kind; 3]> {
    (0..8).map(|bits: usize| [KINDS[bits & 1], KINDS[bits >> 1 & 1], KINDS[bits >> 2 & 1]])
}

const TREE: &str = "span\n└── span\n    └── span";

#[test]
fn both_kinds_nest_in_any_order() {
    for kinds in every_three() {
        let capture = Capture::new();
        with_layer(&capture, || nested(&kinds));
        assert_eq!(capture.tree(), TREE, "{kinds:?}");
    }
}

#[tokio::test]
async fn both_kinds_nest_in_any_order_across_awaits() {
    let _default =
        tracing::dispatcher::set_default(&dispatch(tracing_subscriber::registry().with(throughline::tracing_layer())));
    for kinds in every_three() {
        let capture = Capture::new();
        capture.run_async(nested_async(&kinds)).await;
        assert_eq!(capture.tree(), TREE, "{kinds:?}");
    }
}

#[test]
fn business_tags_are_on_every_span() {
    #[traced]
    #[biz_tags(tenant_id)]
    fn place(tenant_id: &str) {
        load(1001);
    }
    #[instrument]
    fn load(order_no: u64) {
        throughline::in_tags(&[("shard", &3)], query);
    }
    #[instrument]
    fn query() {}
    let capture = Capture::new();
    with_layer(&capture, || place("acme"));
    capture.assert_tree("place\n└── load\n    └── query");
    for name in ["place", "load", "query"] {
        assert_eq!(text(&capture.span(name), "tenant_id"), Some("acme"), "{name}");
    }
    assert_eq!(capture.span("query").attribute("shard"), Some(&3.into()));
}

#[test]
fn a_detached_job_is_a_child_and_does_not_keep_the_span_open() {
    let capture = Capture::new();
    let (started, done) = (std::sync::mpsc::channel(), std::sync::mpsc::channel::<()>());
    let job = with_layer(&capture, || {
        info_span!("request").in_scope(|| {
            throughline::spawn_thread(move || {
                started.0.send(()).expect("a receiver");
                done.1.recv().expect_err("the sender goes");
            })
        })
    });
    started.1.recv().expect("it runs");
    assert_eq!(capture.tree(), "request");
    drop(done.0);
    job.join().expect("no panic");
    assert_eq!(capture.spans().len(), 2);
    assert!(capture.spans()[1].is_child_of(&capture.span("request")));
}
