//! W3C Baggage, and tags that are propagated in it.

use std::collections::BTreeMap;

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::TextMapPropagator as _;
use throughline::propagation::{Pairs, Propagator};
use throughline::testing::Capture;
use throughline::{Carrier, ContextExt as _, Snapshot, biz_tags, traced};

use super::{SPAN, TRACE, inject, value};

fn read(headers: &[&str]) -> BTreeMap<String, String> {
    let pairs: Vec<_> = headers.iter().map(|header| ("baggage", *header)).collect();
    members(&Propagator::default().extract(&Pairs(&pairs)))
}

fn members(context: &Context) -> BTreeMap<String, String> {
    context.baggage().iter().map(|(key, (value, _))| (key.to_string(), value.to_string())).collect()
}

fn map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[test]
fn members_are_extracted() {
    assert_eq!(read(&["a=1,b=2"]), map([("a", "1"), ("b", "2")]));
    assert_eq!(read(&["a=1", " b = 2 ;p=3;q"]), map([("a", "1"), ("b", "2")]));
    assert_eq!(read(&["name=Amélie%20%22A%2CB%22"]), map([]), "other characters must be encoded");
    assert_eq!(read(&["name=Am%C3%A9lie%20%22A%2CB%22"]), map([("name", "Amélie \"A,B\"")]));
    assert_eq!(read(&["a=%ff"]), map([("a", "\u{fffd}")]));
    assert_eq!(read(&["a=x=y"]), map([("a", "x=y")]));
    assert_eq!(read(&["a="]), map([("a", "")]));
    assert_eq!(read(&["a=1,a=2"]), map([("a", "2")]));
}

#[test]
fn invalid_members_are_ignored_individually() {
    for bad in ["", ",", "x", "=1", "x y=1", "x=1 2", "x=\"1\"", "x=a\\b", "é=1", "x(=1"] {
        assert_eq!(read(&[&format!("a=1,{bad},b=2")]), map([("a", "1"), ("b", "2")]), "{bad}");
    }
}

#[test]
fn properties_are_kept() {
    let context = Propagator::default().extract(&Pairs(&[("baggage", "a=1;ttl=30;secret")]));
    assert_eq!(inject(&Propagator::default(), &context), [("baggage".into(), "a=1;ttl=30;secret".into())]);
}

#[test]
fn values_round_trip() {
    let odd = "a b,c;d=e\"f\\g%h\u{e9}\n\u{1f600}";
    let context = Context::new().with_baggage([opentelemetry::KeyValue::new("odd", odd)]);
    let headers = inject(&Propagator::default(), &context);
    let header = value(&headers, "baggage").unwrap();
    assert!(header.bytes().all(|byte| matches!(byte, b'!'..=b'~')), "{header}");
    assert_eq!(read(&[header]), map([("odd", odd)]));
}

#[test]
fn at_most_64_members_and_8192_bytes_are_extracted() {
    let many: Vec<_> = (0..100).map(|at| format!("k{at}=v")).collect();
    assert_eq!(read(&[&many.join(",")]).len(), 64);
    let halves: Vec<_> = many.chunks(50).map(|half| half.join(",")).collect();
    assert_eq!(read(&[&halves[0], &halves[1]]).len(), 64);
    let fits = format!("k={}", "v".repeat(8190));
    assert_eq!(read(&[&fits]).len(), 1);
    assert_eq!(read(&[&format!("{fits}v")]).len(), 0);
    assert_eq!(read(&[&format!("first=1,{fits}")]), map([("first", "1")]));
}

/// The limits apply to the encoded values, which may be longer.
#[test]
fn members_that_do_not_fit_are_omitted_as_a_whole() {
    let blanks = " ".repeat(2700);
    let context = Context::new().with_baggage([
        opentelemetry::KeyValue::new("a", blanks.clone()),
        opentelemetry::KeyValue::new("b", blanks),
        opentelemetry::KeyValue::new("c", "1"),
    ]);
    let headers = inject(&Propagator::default(), &context);
    let header = value(&headers, "baggage").unwrap();
    assert!(header.len() <= 8192);
    assert_eq!(read(&[header]).keys().collect::<Vec<_>>(), ["a", "c"]);
}

#[test]
fn up_to_64_members_and_8192_bytes_are_injected() {
    let sent = |members: &[(String, String)]| {
        let members = members.iter().map(|(key, value)| opentelemetry::KeyValue::new(key.clone(), value.clone()));
        let headers = inject(&Propagator::default(), &Context::new().with_baggage(members));
        value(&headers, "baggage").unwrap().to_owned()
    };
    let large = |bytes: usize| ("a".to_owned(), "v".repeat(bytes - 2));
    assert_eq!(sent(&[large(8192)]).len(), 8192);
    let mut many: Vec<_> = (0..64).map(|at| (format!("k{at:02}"), "v".to_owned())).collect();
    assert_eq!(sent(&many).split(',').count(), 64);
    // A member that does not fit takes no room from others.
    many[0].1 = " ".repeat(2800);
    assert_eq!(sent(&many).split(',').count(), 63);
}

#[test]
fn only_allowed_members_are_sent_and_accepted() {
    let strict = Propagator::default().send_baggage(["a"]).accept_baggage(["b"]);
    let all = Propagator::default().extract(&Pairs(&[("baggage", "a=1,b=2")]));
    assert_eq!(inject(&strict, &all), [("baggage".into(), "a=1".into())]);
    assert_eq!(members(&strict.extract(&Pairs(&[("baggage", "a=1,b=2")]))), map([("b", "2")]));
    let none = Propagator::default().send_baggage([""; 0]).accept_baggage([""; 0]);
    assert!(inject(&none, &all).is_empty());
    assert!(members(&none.extract(&Pairs(&[("baggage", "a=1,b=2")]))).is_empty());
    assert!(members(&Propagator::default().extract_identity(&Pairs(&[("baggage", "a=1")]))).is_empty());
}

#[test]
fn members_become_tags_if_configured() {
    let capture = Capture::new();
    let propagator = Propagator::default().baggage_as_tags(["tenant_id"]);
    let context = propagator.extract(&Pairs(&[("baggage", "tenant_id=acme,other=1")]));
    capture.run(|| {
        throughline::span("server").parent(&context).run(|| throughline::in_span("below", || ()));
    });
    capture.assert_tree_with(&["tenant_id", "other"], "server tenant_id=acme\n└── below tenant_id=acme");
}

/// OpenTelemetry's own API extracts into the current context.
#[test]
fn tags_in_scope_are_kept() {
    fn receive(headers: &[(&str, &str)]) -> String {
        let propagator = Propagator::default().baggage_as_tags(["tenant_id", "region"]);
        let context = propagator.extract_with_context(&Context::current(), &Pairs(headers));
        let mut tags: Vec<_> = context.tags().iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect();
        tags.sort();
        tags.join(" ")
    }
    #[biz_tags(order_no = 7, tenant_id = "acme")]
    fn of_the_context(headers: &[(&str, &str)]) -> String {
        receive(headers)
    }
    #[traced]
    #[biz_tags(order_no = 7, tenant_id = "acme")]
    fn of_the_span(headers: &[(&str, &str)]) -> String {
        receive(headers)
    }
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let (parent, baggage) = (("traceparent", parent.as_str()), ("baggage", "tenant_id=caller,region=eu,other=1"));
    for (headers, expected) in [
        (&[][..], "order_no=7 tenant_id=acme"),
        (&[parent], "order_no=7 tenant_id=acme"),
        (&[baggage], "order_no=7 region=eu tenant_id=caller"),
        (&[parent, baggage], "order_no=7 region=eu tenant_id=caller"),
    ] {
        let of = |tagged: fn(&[(&str, &str)]) -> String| {
            Capture::new().run(|| throughline::in_span("poll", || tagged(headers)))
        };
        assert_eq!([of(of_the_context), of(of_the_span)], [expected; 2], "{headers:?}");
    }
}

#[test]
fn tags_have_the_configured_type() {
    use opentelemetry::Value;
    use throughline::propagation::TagType;
    #[biz_tags(propagate(order_no, total, gift, tenant_id))]
    fn send(order_no: u64, total: f64, gift: bool, tenant_id: &str) -> Carrier {
        Carrier::capture()
    }
    let headers = send(1001, 0.5, true, "7");
    let baggage = headers.baggage.as_deref().expect("baggage");
    let of = |propagator: Propagator, baggage: &str| {
        let capture = Capture::new();
        let context = propagator.extract(&Pairs(&[("baggage", baggage)]));
        capture.run(|| throughline::span("server").parent(&context).run(|| throughline::in_span("below", || ())));
        ["order_no", "total", "gift", "tenant_id"].map(|key| capture.span("below").attribute(key).cloned())
    };
    let typed = || {
        Propagator::default().baggage_as_tags([
            ("order_no", TagType::Integer),
            ("total", TagType::Float),
            ("gift", TagType::Bool),
            ("tenant_id", TagType::Text),
        ])
    };
    let expected = [Value::I64(1001), Value::F64(0.5), Value::Bool(true), "7".into()];
    assert_eq!(of(typed(), baggage), expected.map(Some));
    // A value that is not of the type remains text.
    let text = ["A-1001", "1,5", "yes", "7"];
    let written = "order_no=A-1001,total=1%2C5,gift=yes,tenant_id=7";
    assert_eq!(of(typed(), written), text.map(|text| Some(text.into())));
    // Without a configured type, tags are text.
    let text = ["1001", "0.5", "true", "7"];
    let untyped = Propagator::default().baggage_as_tags(["order_no", "total", "gift", "tenant_id"]);
    assert_eq!(of(untyped, baggage), text.map(|text| Some(text.into())));
    let owned = Propagator::default().baggage_as_tags(vec![("order_no".to_owned(), TagType::Integer)]);
    assert_eq!(of(owned, baggage), [Some(Value::I64(1001)), None, None, None]);
}

#[test]
fn propagated_tags_arrive() {
    #[biz_tags(propagate(tenant_id), order_no)]
    fn send(tenant_id: &str, order_no: u64) -> Carrier {
        Carrier::capture()
    }
    let carrier = send("acme & co", 7);
    assert_eq!(carrier.baggage.as_deref(), Some("tenant_id=acme%20&%20co"));
    assert_eq!(members(&carrier.to_context()), map([("tenant_id", "acme & co")]));
    // They are sent further, through a snapshot taken there.
    let sent = carrier.run(|| Snapshot::capture().run(Carrier::capture));
    assert_eq!(sent.baggage, carrier.baggage);
}
