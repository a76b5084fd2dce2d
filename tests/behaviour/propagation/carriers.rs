//! The carriers that a context is injected into and extracted from.

use std::collections::{BTreeMap, HashMap};

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::trace::Sampler;
use throughline::propagation::{self, PairsMut, Propagator};
use throughline::testing::Capture;
use throughline::{Carrier, Origin as _, traced};

use super::{SPAN, TRACE, remote};

fn parent_of(capture: &Capture) -> (String, String) {
    let span = capture.span("receive");
    (span.trace_id().to_string(), span.parent_id().map(|id| id.to_string()).unwrap_or_default())
}

#[test]
fn carriers_are_parents() {
    macro_rules! check {
        ($($headers:expr),* $(,)?) => {$({
            #[traced(parent = headers)]
            fn receive(headers: impl throughline::Origin) {}
            let capture = Capture::new();
            let headers = $headers;
            capture.run(|| receive(&headers));
            assert_eq!(parent_of(&capture), (TRACE.to_owned(), SPAN.to_owned()), "{}", stringify!($headers));
        })*};
    }
    let line = format!("00-{TRACE}-{SPAN}-01");
    check!(
        HashMap::from([("traceparent".to_owned(), line.clone())]),
        HashMap::from([("Traceparent".to_owned(), line.as_str())]),
        HashMap::from([("TraceParent", line.as_str())]),
        BTreeMap::from([("traceparent", line.as_str())]),
        BTreeMap::from([("traceparent".to_owned(), line.clone())]),
        BTreeMap::from([("TRACEPARENT".to_owned(), line.clone())]),
        vec![("traceparent", line.as_str())],
        vec![("Traceparent".to_owned(), line.clone())],
        [("traceparent", line.as_str())],
        Carrier { traceparent: Some(line.clone()), ..Carrier::default() },
        Some(Carrier { traceparent: Some(line.clone()), ..Carrier::default() }),
        propagation::extract_with(|name| (name == "traceparent").then_some(line.as_str())),
    );
}

#[test]
fn carriers_are_links() {
    #[traced(links = batch)]
    fn settle(batch: &[Carrier]) {}
    let capture = Capture::new();
    let carriers = capture.run(|| ["a", "b"].map(|name| throughline::in_span(name, Carrier::capture)));
    capture.run(|| settle(&carriers));
    let settled = capture.span("settle");
    assert!(settled.is_linked_to(&capture.span("a")) && settled.is_linked_to(&capture.span("b")));
    assert_eq!(settled.attribute("messaging.batch.message_count"), None, "carriers are no messages");
}

#[test]
fn carriers_without_a_context_start_a_trace() {
    #[traced(parent = headers)]
    fn receive(headers: HashMap<String, String>) {}
    let capture = Capture::new();
    capture.run(|| {
        receive(HashMap::new());
        receive(HashMap::from([("traceparent".into(), "nonsense".into())]));
    });
    capture.assert_tree("receive\nreceive");
}

#[test]
fn contexts_are_injected() {
    let capture = Capture::new();
    let mut map = HashMap::new();
    let mut pairs = vec![("TraceParent".to_owned(), "old".to_owned()), ("other".to_owned(), "1".to_owned())];
    let mut lines = Vec::new();
    capture.run(|| {
        throughline::in_span("send", || {
            propagation::inject(&mut map);
            propagation::inject(&mut PairsMut(&mut pairs));
            propagation::inject_with(|name, value| lines.push((name.to_owned(), value)));
        });
    });
    let sent = capture.span("send");
    let line = format!("00-{}-{}-01", sent.trace_id(), sent.span_id());
    assert_eq!(map, HashMap::from([("traceparent".to_owned(), line.clone())]));
    assert_eq!(pairs, [("other".into(), "1".into()), ("traceparent".to_owned(), line.clone())]);
    assert_eq!(lines, [("traceparent".to_owned(), line)]);
}

/// A forwarded message has the trace state of another trace, which the new headers need not replace.
#[test]
fn the_state_of_another_trace_is_removed() {
    let propagator = Propagator::default();
    let mut pairs = vec![("TraceState".to_owned(), "old=1".to_owned()), ("other".to_owned(), "1".to_owned())];
    propagator.inject(&remote(1), &mut PairsMut(&mut pairs));
    let line = format!("00-{TRACE}-{SPAN}-01");
    assert_eq!(pairs, [("other".to_owned(), "1".to_owned()), ("traceparent".to_owned(), line.clone())]);

    let mut carrier = Carrier { tracestate: Some("old=1".to_owned()), ..Carrier::default() };
    propagator.inject(&remote(1), &mut carrier);
    assert_eq!(carrier, Carrier { traceparent: Some(line), ..Carrier::default() });

    // The state of the trace itself is kept.
    let incoming = [("traceparent", format!("00-{TRACE}-{SPAN}-01")), ("tracestate", "a=1".to_owned())];
    let context = propagator.extract(&propagation::Pairs(&incoming));
    propagator.inject(&context, &mut PairsMut(&mut pairs));
    propagator.inject(&context, &mut PairsMut(&mut pairs));
    let states: Vec<_> = pairs.iter().filter(|(name, _)| name == "tracestate").collect();
    assert_eq!(states, [&("tracestate".to_owned(), "a=1".to_owned())]);
    assert_eq!(Carrier::from_context(&context).tracestate.as_deref(), Some("a=1"));
}

/// The order of the names in a map is arbitrary.
#[test]
fn names_that_differ_in_case_are_one_header_of_a_map() {
    let parents = ["Traceparent", "TRACEPARENT"].map(|name| (name.to_owned(), format!("00-{TRACE}-{SPAN}-01")));
    let states = [("TraceState".to_owned(), "b=2".to_owned()), ("TRACESTATE".to_owned(), "a=1".to_owned())];
    assert!(!HashMap::from(parents.clone()).origin().span().span_context().is_valid(), "there are two");
    assert!(!BTreeMap::from(parents.clone()).origin().span().span_context().is_valid());
    let one = || parents[..1].iter().cloned().chain(states.iter().cloned());
    for context in [one().collect::<HashMap<_, _>>().origin(), one().collect::<BTreeMap<_, _>>().origin()] {
        assert_eq!(context.span().span_context().trace_state().header(), "a=1,b=2");
    }
}

#[test]
fn an_unsampled_trace_is_injected_as_such() {
    let capture = Capture::with_sampler(Sampler::AlwaysOff);
    let carrier = capture.run(|| throughline::in_span("quiet", Carrier::capture));
    assert!(carrier.traceparent.as_deref().is_some_and(|line| line.ends_with("-00")), "{carrier:?}");
    let recorder = Capture::new();
    recorder.run(|| throughline::span("receive").parent(&carrier).run(|| ()));
    assert!(recorder.spans().is_empty(), "the caller's decision holds");
}

/// Other propagators use it through `Injector` and `Extractor`.
#[test]
fn a_carrier_has_the_headers_that_are_set() {
    let parent = format!("00-{TRACE}-{SPAN}-01");
    let carrier = Carrier { traceparent: Some(parent), tracestate: Some("a=1".to_owned()), baggage: None };
    assert_eq!(carrier.to_context().span().span_context().trace_state().header(), "a=1");
    assert_eq!(Extractor::get(&carrier, "tracestate"), Some("a=1"));
    assert_eq!((Extractor::get(&carrier, "baggage"), Extractor::get(&carrier, "other")), (None, None));
    assert_eq!(Extractor::keys(&carrier), ["traceparent", "tracestate"]);
    assert_eq!(Extractor::keys(&propagation::Pairs(&[("a", "1"), ("B", "2")])), ["a", "B"]);
}

#[test]
fn a_carrier_can_be_stored() {
    let capture = Capture::new();
    let carrier = capture.run(|| throughline::in_span("order", Carrier::capture));
    let json = serde_json::to_string(&carrier).unwrap();
    assert!(json.starts_with("{\"traceparent\":\"00-") && !json.contains("tracestate"), "{json}");
    assert_eq!(serde_json::from_str::<Carrier>(&json).unwrap(), carrier);
    assert_eq!(serde_json::from_str::<Carrier>("{}").unwrap(), Carrier::default());
    assert!(Carrier::default().is_empty() && !carrier.is_empty());
    assert_eq!(serde_json::to_string(&Carrier::default()).unwrap(), "{}");
}

#[test]
fn a_positional_format_has_all_fields_of_a_carrier() {
    let text = |text: &str| Some(text.to_owned());
    let full = Carrier { traceparent: text("p"), tracestate: text("s"), baggage: text("b") };
    let holes = [
        full.clone(),
        Carrier { tracestate: None, ..full.clone() },
        Carrier { traceparent: None, tracestate: None, ..full.clone() },
        Carrier { baggage: None, ..full },
        Carrier::default(),
    ];
    for carrier in holes {
        // Another value follows, as in the payload of a job.
        let list = rmp_serde::to_vec(&(&carrier, 7_u8)).unwrap();
        assert_eq!(rmp_serde::from_slice::<(Carrier, u8)>(&list).unwrap(), (carrier.clone(), 7));
        let map = rmp_serde::to_vec_named(&carrier).unwrap();
        assert_eq!(rmp_serde::from_slice::<Carrier>(&map).unwrap(), carrier);
        let json = serde_json::to_string(&carrier).unwrap();
        assert_eq!(serde_json::from_str::<Carrier>(&json).unwrap(), carrier);
    }
}

#[tokio::test]
async fn a_carrier_gives_its_context_to_a_future() {
    let capture = Capture::new();
    let carrier = capture.run(|| throughline::in_span("order", Carrier::capture));
    capture.run_async(throughline::span("later").parent(&carrier).run_async(async {})).await;
    let nested = capture.run_async(async { carrier.run_async(async { Carrier::capture() }).await }).await;
    assert_eq!(nested, carrier);
    capture.assert_tree("order\n└── later");
}

#[test]
fn a_propagator_is_a_text_map_propagator_of_opentelemetry() {
    let propagator = Propagator::default();
    let mut map = HashMap::new();
    propagator.inject_context(&remote(1), &mut map);
    let before = Context::new().with_baggage([opentelemetry::KeyValue::new("kept", "1")]);
    let context = propagator.extract_with_context(&before, &map);
    assert_eq!(context.span().span_context().span_id().to_string(), SPAN);
    assert_eq!(context.baggage().len(), 1);
    assert!(Extractor::get(&map, "traceparent").is_some());
    Injector::set(&mut map, "traceparent", "nonsense".into());
    assert!(!propagator.extract_with_context(&before, &map).span().span_context().is_valid());
}
