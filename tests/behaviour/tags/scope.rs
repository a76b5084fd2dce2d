//! The spans that have a tag.

use throughline::testing::Capture;
use throughline::{Context, KeyValue, SpanBuilder, TagValue, Value, biz_tags, in_span, in_tags, traced};

#[test]
fn tags_reach_every_span_below_and_inner_ones_win() {
    #[traced]
    #[biz_tags(tenant_id)]
    fn outer(tenant_id: &str) {
        middle();
        inner("other");
        let _ = tenant_id;
    }
    #[traced]
    fn middle() {
        in_span("leaf", || {});
    }
    #[traced(tags(own = 1u8))]
    #[biz_tags(tenant_id, order_no = 7)]
    fn inner(tenant_id: &str) {
        in_span("below", || {});
        let _ = tenant_id;
    }
    let capture = Capture::new();
    capture.run(|| outer("acme"));
    in_span("outside", || {});
    capture.assert_tree_with(
        &["tenant_id", "order_no", "own"],
        "
        outer tenant_id=acme
        ├── middle tenant_id=acme
        │   └── leaf tenant_id=acme
        └── inner tenant_id=other order_no=7 own=1
            └── below tenant_id=other order_no=7
        ",
    );
}

#[test]
fn of_equal_keys_the_last_one_counts() {
    let capture = Capture::new();
    let twice: [(&str, &dyn TagValue); 3] = [("tenant_id", &"acme"), ("order_no", &1), ("tenant_id", &"globex")];
    let tags = capture.run(|| in_tags(&twice, || (throughline::current_tags(), in_span("below", || {}))).0);
    assert_eq!(*tags, [KeyValue::new("order_no", 1), KeyValue::new("tenant_id", "globex")]);
    assert_eq!(capture.span("below").attribute("tenant_id"), Some(&Value::from("globex")));
}

/// One thread may work on several requests in turn.
#[test]
fn interleaved_calls_have_their_own_tags() {
    #[traced]
    #[biz_tags(tenant_id)]
    fn serve(tenant_id: &str) -> Context {
        let _ = tenant_id;
        throughline::current_context()
    }
    let capture = Capture::new();
    capture.run(|| {
        let calls = ["acme", "globex"].map(serve);
        for call in calls.iter().chain(&calls) {
            let _attached = call.clone().attach();
            in_span("step", || in_span("leaf", || {}));
        }
    });
    for name in ["step", "leaf"] {
        let spans = capture.spans();
        let tags = spans.iter().filter(|span| span.name == name).map(|span| span.attribute("tenant_id").cloned());
        let expected = ["acme", "globex", "acme", "globex"].map(|tenant| Some(Value::from(tenant)));
        assert_eq!(tags.collect::<Vec<_>>(), expected, "{name}");
    }
}

#[test]
fn both_orders_have_one_meaning() {
    #[traced(kind = server)]
    #[biz_tags(tenant_id)]
    fn above(tenant_id: &str) {
        in_span("a", || {});
        let _ = tenant_id;
    }
    #[biz_tags(tenant_id)]
    #[traced(kind = server)]
    fn below(tenant_id: &str) {
        in_span("b", || {});
        let _ = tenant_id;
    }
    let capture = Capture::new();
    capture.run(|| {
        above("x");
        below("x");
    });
    capture.assert_tree_with(
        &["tenant_id"],
        "
        above [server] tenant_id=x
        └── a tenant_id=x
        below [server] tenant_id=x
        └── b tenant_id=x
        ",
    );
}

#[tokio::test]
async fn alone_it_tags_the_current_span_and_all_below() {
    #[biz_tags(tenant_id)]
    async fn handler(tenant_id: String) -> usize {
        tokio::task::yield_now().await;
        in_span("async", || {});
        tenant_id.len()
    }
    #[biz_tags(tenant_id)]
    fn sync_handler(tenant_id: &str) {
        in_span("sync", || {});
        let _ = tenant_id;
    }
    let capture = Capture::new();
    let run = async {
        throughline::in_span_async("http async", handler("acme".to_owned())).await;
        in_span("http sync", || sync_handler("globex"));
    };
    capture.run_async(run).await;
    capture.assert_tree_with(
        &["tenant_id"],
        "
        http async tenant_id=acme
        └── async tenant_id=acme
        http sync tenant_id=globex
        └── sync tenant_id=globex
        ",
    );
    assert!(throughline::current_tags().is_empty());
}

#[test]
fn alone_it_does_not_repeat_tags_of_the_span() {
    #[traced]
    #[biz_tags(tenant_id)]
    fn request(tenant_id: &str) {
        again(tenant_id);
    }
    #[biz_tags(tenant_id, order_no = 7)]
    fn again(tenant_id: &str) {
        let _ = tenant_id;
    }
    let capture = Capture::new();
    capture.run(|| request("acme"));
    let span = capture.span("request");
    let keys: Vec<_> = span.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
    assert_eq!(keys.iter().filter(|key| **key == "tenant_id").count(), 1, "{keys:?}");
    assert_eq!(span.attribute("order_no"), Some(&Value::I64(7)));
}

#[test]
fn alone_and_without_a_span_it_tags_what_starts_below() {
    #[biz_tags(tenant_id = 1)]
    fn entry() {
        in_span("root", || {});
    }
    let capture = Capture::new();
    capture.run(entry);
    assert_eq!(capture.span("root").attribute("tenant_id"), Some(&Value::I64(1)));
}

#[test]
fn alone_below_an_identity_without_a_span_it_tags_what_starts_below() {
    #[biz_tags(tenant_id = 1)]
    fn on_a_thread() {
        in_span("work", || {});
    }
    let capture = Capture::new();
    let snapshot = capture.run(|| in_span("request", throughline::Snapshot::capture));
    snapshot.run(on_a_thread);
    capture.assert_tree_with(&["tenant_id"], "request\n└── work tenant_id=1");
}

#[test]
fn current_tags_are_readable() {
    #[biz_tags(tenant_id = "acme", order_no = 1)]
    fn read() -> Vec<String> {
        throughline::current_tags().iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect()
    }
    assert_eq!(Capture::new().run(read), ["tenant_id=acme", "order_no=1"]);
}

#[test]
fn a_block_has_tags_too() {
    let capture = Capture::new();
    capture.run(|| {
        throughline::span("outer").tag("own", 1u8).biz_tag("tenant_id", "acme").run(|| in_span("inner", || {}));
    });
    capture.assert_tree_with(
        &["own", "tenant_id"],
        "
        outer own=1 tenant_id=acme
        └── inner tenant_id=acme
        ",
    );
}

/// Also below a span that has ended, and after the span itself was given another value.
#[test]
fn tags_are_inherited_at_any_time() {
    #[traced]
    #[biz_tags(tenant_id, order_no)]
    fn outer(tenant_id: &str, order_no: u64) -> throughline::Context {
        throughline::record("order_no", order_no + 1);
        let _ = tenant_id;
        throughline::current_context()
    }
    let capture = Capture::new();
    capture.run(|| {
        in_span("root", || {
            let ended = outer("acme", 7);
            drop(ended.clone());
            for name in ["first", "second"] {
                SpanBuilder::new(name).parent(&ended).run(|| in_span("below", || {}));
            }
            in_span("sibling", || {});
        });
    });
    capture.assert_tree_with(
        &["tenant_id", "order_no"],
        "
        root
        ├── outer tenant_id=acme order_no=8
        │   ├── first tenant_id=acme order_no=7 ~> root
        │   │   └── below tenant_id=acme order_no=7
        │   └── second tenant_id=acme order_no=7 ~> root
        │       └── below tenant_id=acme order_no=7
        └── sibling
        ",
    );
}
