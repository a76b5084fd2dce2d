//! Propagated tags, and the baggage that other services receive.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry_sdk::trace::Sampler;
use throughline::testing::Capture;
use throughline::{KeyValue, Value, biz_tags, in_span, in_span_async, traced, traced_spawn};

#[test]
fn propagate_writes_baggage_even_if_nothing_is_sampled() {
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

/// Other tags of the call make no difference.
#[test]
fn only_the_member_that_a_tag_contradicts_is_removed() {
    let call = || {
        let members = ["region", "tier"].map(|key| KeyValue::new(key, "old"));
        let _attached = Context::current().with_baggage(members).attach();
        let inside = || ["region", "tier", "order_no"].map(sent);
        throughline::span("order").biz_tag("order_no", 7).biz_tag("region", "new").run(inside)
    };
    for capture in [Capture::new(), Capture::with_sampler(Sampler::AlwaysOff)] {
        assert_eq!(capture.run(|| in_span("request", call)), [None, Some("old".to_owned()), None]);
    }
}

/// The value of `key` that a downstream service would receive if it were called here.
fn sent(key: &str) -> Option<String> {
    let mut headers = HashMap::<String, String>::new();
    throughline::propagation::inject(&mut headers);
    let read = throughline::propagation::extract(&headers);
    read.baggage().get(key).map(ToString::to_string)
}

/// The value of `key` in the current tags.
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

/// The spans here and the baggage sent downstream never have different values for a key.
#[tokio::test]
async fn a_tag_that_overrides_a_propagated_one_replaces_it_in_the_baggage() {
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
            // A tag with the same value does not remove the member, which is propagated.
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

/// A member that was received is treated like one that was propagated here.
#[test]
fn a_tag_replaces_a_received_member_even_if_nothing_is_sampled() {
    #[traced]
    #[biz_tags(tenant_id)]
    fn serve(tenant_id: &str) -> Option<String> {
        let _ = tenant_id;
        sent("tenant_id")
    }
    for sampler in [Sampler::AlwaysOn, Sampler::AlwaysOff] {
        let capture = Capture::with_sampler(sampler);
        let sent = capture.run(|| {
            in_span("root", || {
                let _attached = Context::current().with_baggage([KeyValue::new("tenant_id", "globex")]).attach();
                ["acme", "globex"].map(serve)
            })
        });
        assert_eq!(sent, [None, Some("globex".to_owned())]);
    }
}

/// If a value does not fit into the baggage, the old one must not be sent instead.
#[test]
fn neither_a_value_that_does_not_fit_nor_the_one_it_replaces_is_sent() {
    #[biz_tags(propagate(tenant_id))]
    fn alone(tenant_id: &str) -> Option<String> {
        Context::current().baggage().get("tenant_id").map(ToString::to_string)
    }

    #[traced]
    #[biz_tags(propagate(tenant_id))]
    fn in_a_span(tenant_id: &str) -> Option<String> {
        Context::current().baggage().get("tenant_id").map(ToString::to_string)
    }
    let filling = (0..7).map(|at| KeyValue::new(format!("filling{at}"), "x".repeat(1_100)));
    let members: Vec<_> = filling.chain([KeyValue::new("tenant_id", "acme")]).collect();
    let capture = Capture::new();
    capture.run(|| {
        let _attached = Context::current().with_baggage(members).attach();
        assert_eq!((alone("acme"), in_a_span("acme")), (Some("acme".to_owned()), Some("acme".to_owned())));
        assert_eq!((alone("fits"), in_a_span("fits")), (Some("fits".to_owned()), Some("fits".to_owned())));
        let long = "y".repeat(1_000);
        assert_eq!((alone(&long), in_a_span(&long)), (None, None));
        assert_eq!(Context::current().baggage().len(), 8);
    });
}

#[test]
fn a_tag_replaces_the_member_of_a_caller_and_leaves_the_others() {
    #[traced(parent = headers)]
    #[biz_tags(tenant_id)]
    fn handle(headers: &HashMap<String, String>, tenant_id: &str) -> (Option<String>, Option<String>) {
        let _ = (headers, tenant_id);
        (sent("tenant_id"), sent("region"))
    }
    for flags in ["00", "01"] {
        let headers = HashMap::from([
            ("traceparent".to_owned(), format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}")),
            ("baggage".to_owned(), "tenant_id=evil,region=eu".to_owned()),
        ]);
        let handled = Capture::new().run(|| handle(&headers, "acme"));
        assert_eq!(handled, (None, Some("eu".to_owned())), "flags {flags}");
    }
}
