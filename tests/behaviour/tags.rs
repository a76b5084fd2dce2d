//! Business tags.
#![allow(clippy::unused_async, reason = "the functions are there to be traced, and are as short as can be")]

use std::sync::{Arc, Mutex};

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId, Tracer as _};
use opentelemetry::{Array, Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingResult, ShouldSample};
use throughline::testing::Capture;
use throughline::{Value, biz_tags, in_span, in_span_async, traced, traced_spawn};

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what `attribute` gives")]
fn text(value: &str) -> Option<Value> {
    Some(Value::String(value.to_owned().into()))
}

struct Request {
    order: Order,
    user: Option<String>,
}

struct Order {
    no: u64,
}

struct Path<T>(T);

#[test]
fn every_form() {
    #[traced]
    #[biz_tags(
        tenant_id,
        order_no = req.order.no,
        "biz.channel" = "web",
        shown = %req.order.no,
        debugged = ?req.user,
        user = req.user else "anonymous",
        absent = None::<u8>,
        list = vec![1u8, 2],
        sum = 1 + 2,
        flag = req.order.no > 3,
        nested = { 4u8 },
    )]
    fn place(Path(tenant_id): Path<String>, req: Request) {
        drop((tenant_id, req));
    }
    let capture = Capture::new();
    capture.run(|| place(Path("acme".to_owned()), Request { order: Order { no: 1001 }, user: None }));
    let span = capture.span("place");
    assert_eq!(span.attribute("tenant_id").cloned(), text("acme"));
    assert_eq!(span.attribute("order_no"), Some(&Value::I64(1001)));
    assert_eq!(span.attribute("biz.channel").cloned(), text("web"));
    assert_eq!(span.attribute("shown").cloned(), text("1001"));
    assert_eq!(span.attribute("debugged").cloned(), text("None"));
    assert_eq!(span.attribute("user").cloned(), text("anonymous"));
    assert_eq!(span.attribute("absent"), None);
    assert_eq!(span.attribute("list"), Some(&Value::Array(Array::I64(vec![1, 2]))));
    assert_eq!(span.attribute("sum"), Some(&Value::I64(3)));
    assert_eq!(span.attribute("flag"), Some(&Value::Bool(true)));
    assert_eq!(span.attribute("nested"), Some(&Value::I64(4)));
}

#[test]
fn self_is_an_argument() {
    struct Account {
        id: u32,
    }
    impl Account {
        #[traced]
        #[biz_tags(account = self.id)]
        fn open(&mut self) -> &mut u32 {
            &mut self.id
        }
    }
    let capture = Capture::new();
    capture.run(|| *Account { id: 5 }.open() += 1);
    assert_eq!(capture.span("open").attribute("account"), Some(&Value::I64(5)));
}

#[test]
fn tags_of_patterns_that_leave_something_behind() {
    #[traced]
    #[biz_tags(kept, both = kept + other)]
    fn pick((kept, _): (u8, String), mut other: u8) -> u8 {
        other += 1;
        kept + other
    }
    let capture = Capture::new();
    assert_eq!(capture.run(|| pick((1, String::new()), 2)), 4);
    assert_eq!(capture.span("pick").attribute("kept"), Some(&Value::I64(1)));
    assert_eq!(capture.span("pick").attribute("both"), Some(&Value::I64(3)));
}

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
fn alone_it_does_not_repeat_what_the_span_has() {
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
fn required() {
    #[traced]
    #[biz_tags(required(tenant_id, other = Some(1)), required(stand_in = None::<u8> else 9))]
    fn place(tenant_id: Option<&str>) {
        let _ = tenant_id;
    }
    let capture = Capture::new();
    capture.run(|| place(None));
    let span = capture.span("place");
    let missing: Vec<_> = span
        .events
        .events
        .iter()
        .filter(|event| event.name == "throughline.tag.missing")
        .map(|event| event.attributes.clone())
        .collect();
    assert_eq!(
        missing,
        [
            vec![KeyValue::new("throughline.tag.key", "tenant_id")],
            vec![KeyValue::new("throughline.tag.key", "stand_in")]
        ]
    );
    assert_eq!(span.attribute("other"), Some(&Value::I64(1)));
    assert_eq!(span.attribute("stand_in"), Some(&Value::I64(9)));
}

#[test]
fn hash_and_mask_never_show_the_clear_text() {
    #[traced]
    #[biz_tags(hash(user_id), mask(phone, card = 1234_5678_9012u64), hash(absent = None::<u8>))]
    fn pay(user_id: &str, phone: &str) {
        in_span("below", || {});
        let _ = (user_id, phone);
    }
    let capture = Capture::new();
    capture.run(|| pay("u-1", "13800138000"));
    for name in ["pay", "below"] {
        let span = capture.span(name);
        let Some(Value::String(hash)) = span.attribute("user_id") else { panic!("no hash") };
        assert!(hash.as_str().len() == 32 && hash.as_str() != "u-1");
        assert_eq!(span.attribute("phone").cloned(), text("*******8000"));
        assert_eq!(span.attribute("card").cloned(), text("********9012"));
        assert_eq!(span.attribute("absent"), None);
        assert!(!format!("{:?}", span.attributes).contains("13800138000"));
    }
}

#[test]
fn propagate_writes_baggage_also_when_nothing_is_sampled() {
    #[traced]
    #[biz_tags(propagate(tenant_id, required(order_no = 7)), local = 1)]
    fn place(tenant_id: &str) -> (Option<String>, Option<String>, Option<String>) {
        let _ = tenant_id;
        let current = Context::current();
        let of = |key: &str| current.baggage().get(key).map(ToString::to_string);
        (of("tenant_id"), of("order_no"), of("local"))
    }
    let expected = (Some("acme".to_owned()), Some("7".to_owned()), None);
    let sampled = Capture::new();
    assert_eq!(sampled.run(|| place("acme")), expected);
    assert_eq!(sampled.span("place").attribute("order_no"), Some(&Value::I64(7)));

    let off = Capture::with_sampler(Sampler::AlwaysOff);
    assert_eq!(off.run(|| in_span("root", || place("acme"))), expected);
    assert!(off.spans().is_empty());
    assert!(Context::current().baggage().is_empty());
}

#[test]
fn modifiers_nest() {
    #[traced]
    #[biz_tags(propagate(required(tenant_id), mask(phone)), hash(required(user = 5)))]
    fn place(tenant_id: Option<&str>, phone: &str) -> String {
        let _ = (tenant_id, phone);
        Context::current().baggage().to_string()
    }
    let capture = Capture::new();
    let baggage = capture.run(|| place(None, "13800138000"));
    assert!(baggage.contains("8000") && !baggage.contains("1380013"), "{baggage}");
    assert_eq!(capture.span("place").events.events.len(), 1);
}

/// What a service below would read of `key` if it were called here.
fn sent(key: &str) -> Option<String> {
    let mut headers = std::collections::HashMap::<String, String>::new();
    throughline::propagation::inject(&mut headers);
    let read = throughline::propagation::extract(&headers);
    read.baggage().get(key).map(ToString::to_string)
}

/// The value that `key` has in the tags here.
fn tagged(key: &str) -> Option<String> {
    throughline::current_tags().iter().find(|tag| tag.key.as_str() == key).map(|tag| tag.value.to_string())
}

#[derive(Debug, Clone, Copy)]
enum Inner {
    Plain,
    Alone,
    Hashed,
    Masked,
    Propagated,
    Own,
    Builder,
    Job,
}

/// A trace never says two things of one key: not in the spans here and in the baggage below.
#[tokio::test]
async fn a_tag_that_replaces_a_propagated_one_replaces_it_in_the_baggage() {
    type Seen = (Option<String>, Option<String>);
    fn seen() -> Seen {
        (sent("tenant_id"), tagged("tenant_id"))
    }
    #[traced]
    #[biz_tags(tenant_id)]
    fn plain(tenant_id: Option<&str>) -> Seen {
        let _ = tenant_id;
        seen()
    }
    #[biz_tags(tenant_id)]
    async fn alone(tenant_id: Option<&str>) -> Seen {
        let _ = tenant_id;
        seen()
    }
    #[traced]
    #[biz_tags(hash(tenant_id))]
    fn hashed(tenant_id: Option<&str>) -> Seen {
        let _ = tenant_id;
        seen()
    }
    #[traced]
    #[biz_tags(mask(tenant_id))]
    fn masked(tenant_id: Option<&str>) -> Seen {
        let _ = tenant_id;
        seen()
    }
    #[traced]
    #[biz_tags(propagate(tenant_id))]
    fn propagated(tenant_id: Option<&str>) -> Seen {
        let _ = tenant_id;
        seen()
    }
    #[traced(tags(tenant_id))]
    fn own(tenant_id: Option<&str>) -> Seen {
        let _ = tenant_id;
        seen()
    }
    #[traced_spawn]
    #[biz_tags(tenant_id)]
    async fn job(tenant_id: Option<&'static str>) -> Seen {
        let _ = tenant_id;
        seen()
    }
    #[traced]
    #[biz_tags(propagate(tenant_id, region = "eu"))]
    async fn outer(tenant_id: &str, inner: Inner, value: Option<&'static str>) -> Seen {
        let _ = tenant_id;
        let result = match inner {
            Inner::Plain => plain(value),
            Inner::Alone => alone(value).await,
            Inner::Hashed => hashed(value),
            Inner::Masked => masked(value),
            Inner::Propagated => propagated(value),
            Inner::Own => own(value),
            Inner::Builder => throughline::span("builder").biz_tag("tenant_id", value).run(seen),
            Inner::Job => job(value).await.expect("no panic"),
        };
        assert_eq!(seen(), (Some("acme".into()), Some("acme".into())), "what holds outside goes on there");
        assert_eq!(sent("region").as_deref(), Some("eu"));
        result
    }
    let is = |text: &str| Some(text.to_owned());
    for sampler in [Sampler::AlwaysOn, Sampler::AlwaysOff] {
        let capture = Capture::with_sampler(sampler);
        let run = async |inner, value| {
            let outer = in_span_async("root", async move { outer("acme", inner, value).await });
            capture.run_async(outer).await
        };
        for inner in [Inner::Plain, Inner::Alone, Inner::Builder, Inner::Job] {
            assert_eq!(run(inner, Some("globex")).await, (None, is("globex")), "{inner:?}");
            // What says the same takes nothing away: it was to be sent.
            assert_eq!(run(inner, Some("acme")).await, (is("acme"), is("acme")), "{inner:?}");
            assert_eq!(run(inner, None).await, (is("acme"), is("acme")), "{inner:?}: no value is no other value");
        }
        for inner in [Inner::Hashed, Inner::Masked] {
            let (sent, tagged) = run(inner, Some("acme")).await;
            assert_eq!(sent, None, "{inner:?}: clear text goes on below");
            assert!(tagged.is_some_and(|tagged| tagged != "acme"), "{inner:?}");
        }
        assert_eq!(run(Inner::Propagated, Some("globex")).await, (is("globex"), is("globex")));
        assert_eq!(run(Inner::Own, Some("globex")).await, (is("acme"), is("acme")), "it is of that span alone");
    }
}

/// A member that a caller has sent is no different from one that was propagated here.
#[test]
fn a_tag_replaces_the_member_of_a_caller_and_leaves_the_others() {
    #[traced(parent = headers)]
    #[biz_tags(tenant_id)]
    fn handle(
        headers: &std::collections::HashMap<String, String>,
        tenant_id: &str,
    ) -> (Option<String>, Option<String>) {
        let _ = (headers, tenant_id);
        (sent("tenant_id"), sent("region"))
    }
    for flags in ["00", "01"] {
        let headers = std::collections::HashMap::from([
            ("traceparent".to_owned(), format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}")),
            ("baggage".to_owned(), "tenant_id=evil,region=eu".to_owned()),
        ]);
        let handled = Capture::new().run(|| handle(&headers, "acme"));
        assert_eq!(handled, (None, Some("eu".to_owned())), "flags {flags}");
    }
}

#[test]
fn spans_of_the_opentelemetry_api_have_the_tags() {
    #[traced]
    #[biz_tags(tenant_id)]
    fn place(capture: &Capture, tenant_id: &str) {
        let tracer = capture.tracer("library");
        drop(tracer.start("plain"));
        let own = tracer.span_builder("own").with_attributes([KeyValue::new("tenant_id", "set by the library")]);
        let context = Context::current_with_span(own.start(&tracer));
        let _attached = context.attach();
        in_span("below", || {});
        let _ = tenant_id;
    }
    let capture = Capture::new();
    capture.run(|| place(&capture, "acme"));
    capture.assert_tree_with(
        &["tenant_id"],
        "
        place tenant_id=acme
        ├── plain tenant_id=acme
        └── own tenant_id=\"set by the library\"
            └── below tenant_id=acme
        ",
    );
    // Once each: ours have them at their start, the others from the processor.
    for span in capture.spans() {
        let count = span.attributes.iter().filter(|attribute| attribute.key.as_str() == "tenant_id").count();
        assert_eq!(count, 1, "{}", span.name());
    }
}

#[test]
fn the_sampler_sees_the_tags() {
    #[derive(Clone, Debug, Default)]
    struct Seeing(Arc<Mutex<Vec<Asked>>>);

    /// The name of the span and the keys of its tags.
    type Asked = (String, Vec<String>);

    impl ShouldSample for Seeing {
        fn should_sample(
            &self,
            parent: Option<&Context>,
            trace_id: TraceId,
            name: &str,
            kind: &SpanKind,
            attributes: &[KeyValue],
            links: &[Link],
        ) -> SamplingResult {
            let keys = attributes.iter().map(|attribute| attribute.key.to_string());
            let tags = keys.filter(|key| !key.starts_with("code.")).collect();
            self.0.lock().expect("no panic in a sampler").push((name.to_owned(), tags));
            Sampler::AlwaysOn.should_sample(parent, trace_id, name, kind, attributes, links)
        }
    }

    #[traced(tags(own = 1))]
    #[biz_tags(tenant_id)]
    fn place(tenant_id: &str) {
        in_span("below", || {});
        let _ = tenant_id;
    }
    let sampler = Seeing::default();
    Capture::with_sampler(sampler.clone()).run(|| place("acme"));
    let seen = sampler.0.lock().expect("no panic in a sampler").clone();
    let below = ("below".to_owned(), vec!["tenant_id".to_owned()]);
    assert_eq!(seen, [("place".to_owned(), vec!["own".to_owned(), "tenant_id".to_owned()]), below]);
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
