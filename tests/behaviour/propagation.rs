//! A context on the wire.

use std::collections::{BTreeMap, HashMap};

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};
use throughline::propagation::{self, Format, Pairs, PairsMut, Propagator};
use throughline::testing::Capture;
use throughline::{Carrier, Snapshot, biz_tags, traced};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn extract(headers: &[(&str, &str)]) -> SpanContext {
    Propagator::default().extract(&Pairs(headers)).span().span_context().clone()
}

fn with(formats: impl IntoIterator<Item = Format>, headers: &[(&str, &str)]) -> SpanContext {
    Propagator::new(formats).extract(&Pairs(headers)).span().span_context().clone()
}

fn inject(propagator: &Propagator, context: &Context) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    propagator.inject(context, &mut PairsMut(&mut headers));
    headers
}

fn value<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn remote(flags: u8) -> Context {
    let span = SpanContext::new(
        TraceId::from_hex(TRACE).unwrap(),
        SpanId::from_hex(SPAN).unwrap(),
        TraceFlags::new(flags),
        true,
        TraceState::NONE,
    );
    Context::new().with_remote_span_context(span)
}

mod traceparent {
    use super::*;

    #[test]
    fn valid() {
        for (header, flags) in [
            (format!("00-{TRACE}-{SPAN}-00"), 0),
            (format!("00-{TRACE}-{SPAN}-01"), 1),
            (format!("00-{TRACE}-{SPAN}-02"), 2),
            (format!("00-{TRACE}-{SPAN}-03"), 3),
            // Flags that have no meaning yet are dropped.
            (format!("00-{TRACE}-{SPAN}-ff"), 3),
            (format!(" \t00-{TRACE}-{SPAN}-01\t "), 1),
            // Versions to come.
            (format!("cc-{TRACE}-{SPAN}-01"), 1),
            (format!("cc-{TRACE}-{SPAN}-01-"), 1),
            (format!("fe-{TRACE}-{SPAN}-01-what-the-future-brings"), 1),
        ] {
            let span = extract(&[("traceparent", &header)]);
            assert_eq!(span.trace_id().to_string(), TRACE, "{header}");
            assert_eq!(span.span_id().to_string(), SPAN, "{header}");
            assert_eq!(span.trace_flags().to_u8(), flags, "{header}");
            assert!(span.is_remote());
        }
    }

    #[test]
    fn invalid() {
        let zero_trace = "0".repeat(32);
        let zero_span = "0".repeat(16);
        for header in [
            String::new(),
            "00".into(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-001"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-01."),
            format!("00-{TRACE}-{SPAN}-.1"),
            format!("00-{TRACE}-{SPAN}-0."),
            format!("00-{TRACE}-{SPAN}-+1"),
            format!("00-{TRACE}-{SPAN}-0A"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("0-{TRACE}-{SPAN}-01"),
            format!("000-{TRACE}-{SPAN}-01"),
            format!(".0-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01.more"),
            format!("00-{zero_trace}-{SPAN}-01"),
            format!("00-{TRACE}-{zero_span}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}-+{}-01", &SPAN[1..]),
            format!("00-{TRACE}0-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}-{SPAN}0-01"),
            format!("00-{TRACE}-{}-01", &SPAN[1..]),
            format!("00_{TRACE}_{SPAN}_01"),
            format!("00-{TRACE}-{SPAN}-0\u{e9}"),
            format!("00-é{}-{SPAN}-01", &TRACE[2..]),
            format!("00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01"),
        ] {
            assert!(!extract(&[("traceparent", &header)]).is_valid(), "{header}");
        }
    }

    #[test]
    fn twice_is_none() {
        let header = format!("00-{TRACE}-{SPAN}-01");
        assert!(!extract(&[("traceparent", &header), ("traceparent", &header)]).is_valid());
        assert!(!extract(&[("traceparent", &header), ("TraceParent", "nonsense")]).is_valid());
    }

    #[test]
    fn the_name_in_any_case_and_no_other() {
        let header = format!("00-{TRACE}-{SPAN}-01");
        for name in ["TRACEPARENT", "TrAcEpArEnT"] {
            assert!(extract(&[(name, &header)]).is_valid());
        }
        for name in ["trace-parent", "trace.parent", "x-traceparent"] {
            assert!(!extract(&[(name, &header)]).is_valid());
        }
    }

    #[test]
    fn is_written_with_the_known_flags() {
        for (flags, written) in [(0u8, "00"), (1, "01"), (2, "02"), (3, "03"), (0xff, "03")] {
            let headers = inject(&Propagator::default(), &remote(flags));
            assert_eq!(headers, [("traceparent".to_owned(), format!("00-{TRACE}-{SPAN}-{written}"))]);
        }
        assert!(inject(&Propagator::default(), &Context::new()).is_empty());
    }

    #[test]
    fn the_random_flag_reaches_the_next_service() {
        let capture = Capture::new();
        capture.run(|| {
            let header = format!("00-{TRACE}-{SPAN}-03");
            let headers = [("traceparent", header.as_str())];
            let sent = throughline::span("server").parent(&headers).run(Carrier::capture);
            let sent = sent.traceparent.unwrap();
            assert!(sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-03"), "{sent}");
        });
    }
}

mod tracestate {
    use super::*;

    fn of(states: &[&str]) -> String {
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let mut headers = vec![("traceparent", parent.as_str())];
        headers.extend(states.iter().map(|state| ("tracestate", *state)));
        let context = Propagator::default().extract(&Pairs(&headers));
        assert!(context.span().span_context().is_valid(), "tracestate has no say in the parent's validity");
        let sent = inject(&Propagator::default(), &context);
        value(&sent, "tracestate").unwrap_or_default().to_owned()
    }

    #[test]
    fn valid_ones_are_passed_on_in_their_order() {
        let all: String = (' '..='~').filter(|c| !matches!(c, ',' | '=')).collect();
        let value = "v".repeat(256);
        for (states, sent) in [
            (vec!["foo=1,bar=2"], "foo=1,bar=2".to_owned()),
            (vec!["foo=1,bar=2", "rojo=1", "baz=3"], "foo=1,bar=2,rojo=1,baz=3".into()),
            (vec!["foo=1 \t , \t bar=2,\tbaz=3 "], "foo=1,bar=2,baz=3".into()),
            (vec!["", "foo=1", ""], "foo=1".into()),
            (vec!["foo=1,,bar=2, ,"], "foo=1,bar=2".into()),
            (vec![&format!("a_-*/0@b_-*/9={all}")], format!("a_-*/0@b_-*/9={all}").trim_end().into()),
            (vec!["0digit=1"], "0digit=1".into()),
            (vec![&format!("k={value}")], format!("k={value}")),
            (vec!["k= leading blanks count"], "k= leading blanks count".into()),
            (vec![""], String::new()),
        ] {
            assert_eq!(of(&states), sent, "{states:?}");
        }
    }

    #[test]
    fn one_invalid_member_discards_all() {
        let long = format!("{}=1", "z".repeat(257));
        let tenant = format!("{}@v=1", "t".repeat(255));
        let value = format!("k={}", "v".repeat(257));
        for bad in [
            "foo",
            "foo=",
            "=1",
            "foo=bar=baz",
            "foo =1",
            "FOO=1",
            "foo.bar=1",
            "_foo=1",
            "@foo=1",
            "@=1",
            "foo@bar.baz=1",
            "foo=a\u{7f}",
            "foo=é",
            "ok=",
            &long,
            &tenant,
            &value,
        ] {
            assert_eq!(of(&["ok=1", bad]), "", "{bad}");
            assert_eq!(of(&[&format!("ok=1,{bad}")]), "", "{bad}");
        }
    }

    #[test]
    fn thirty_two_members_at_most() {
        let members: Vec<_> = (0..33).map(|at| format!("bar{at:02}={at}")).collect();
        assert_eq!(of(&[&members[..20].join(","), &members[20..32].join(",")]), members[..32].join(","));
        assert_eq!(of(&[&members.join(",")]), "");
    }

    /// OpenTelemetry's `TraceState` refuses these, which level 2 of W3C Trace Context allows.
    #[test]
    fn keys_with_an_at_sign_are_passed_on() {
        let longest = format!("{}@{}", "t".repeat(241), "v".repeat(14));
        let tenant = format!("{}@v", "t".repeat(254));
        let system = format!("t@{}", "v".repeat(254));
        let simple = "z".repeat(256);
        for key in ["foo@", "0@", "foo@@bar", "foo@bar@baz", "t@_", "a@@@", &longest, &tenant, &system, &simple] {
            let state = format!("foo=1,{key}=2,bar=3");
            assert_eq!(of(&[&state]), state);
            assert_eq!(of(&[&format!("{key}=2")]), format!("{key}=2"));
        }
    }

    /// One vendor's mistake does not cost the state of the others.
    #[test]
    fn of_members_with_one_key_the_first_is_kept() {
        for (states, sent) in [
            (&["foo=1,foo=1"][..], "foo=1"),
            (&["foo=1,foo=2"], "foo=1"),
            (&["foo=1", "foo=1"], "foo=1"),
            (&["foo=1", "bar=2", "foo=3,bar=4,baz=5"], "foo=1,bar=2,baz=5"),
            (&["t@=1,foo=2,t@=3"], "t@=1,foo=2"),
        ] {
            assert_eq!(of(states), sent, "{states:?}");
        }
        let members: Vec<_> = (0..32).map(|at| format!("bar{at:02}={at}")).collect();
        assert_eq!(of(&[&members.join(","), &members.join(",")]), members.join(","), "32 keys, each twice");
    }

    #[derive(Debug, Clone)]
    struct Adds;

    impl ShouldSample for Adds {
        fn should_sample(
            &self,
            parent: Option<&Context>,
            _: TraceId,
            _: &str,
            _: &opentelemetry::trace::SpanKind,
            _: &[opentelemetry::KeyValue],
            _: &[opentelemetry::trace::Link],
        ) -> SamplingResult {
            let state = parent.map(|parent| parent.span().span_context().trace_state().clone()).unwrap_or_default();
            SamplingResult {
                decision: SamplingDecision::RecordAndSample,
                attributes: Vec::new(),
                trace_state: state.insert("ours", "1").unwrap(),
            }
        }
    }

    #[test]
    fn a_sampler_adds_in_front() {
        let capture = Capture::with_sampler(Adds);
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let longest = format!("t@{}=1", "v".repeat(14));
        for (state, sent) in [
            ("foo=1".to_owned(), "ours=1,foo=1".to_owned()),
            (format!("{longest},foo=1"), format!("ours=1,foo=1,{longest}")),
        ] {
            let headers = [("traceparent", &parent), ("tracestate", &state)];
            let carrier = capture.run(|| throughline::span("server").parent(&headers).run(Carrier::capture));
            assert_eq!(carrier.tracestate, Some(sent));
        }
    }

    #[test]
    fn goes_through_snapshots_and_jobs() {
        let capture = Capture::new();
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let longest = format!("foo=1,t@{}=1", "v".repeat(14));
        let headers = [("traceparent", &parent), ("tracestate", &longest)];
        let sent = capture.run(|| {
            let snapshot = throughline::span("server").parent(&headers).run(Snapshot::capture);
            std::thread::spawn(snapshot.wrap(|| throughline::in_span("job", Carrier::capture))).join().unwrap()
        });
        assert_eq!(sent.tracestate, Some(longest));
    }

    #[test]
    fn stays_in_its_trace() {
        let capture = Capture::new();
        let parent = format!("00-{TRACE}-{SPAN}-01");
        let longest = format!("foo=1,t@{}=1", "v".repeat(14));
        let headers = [("traceparent", &parent), ("tracestate", &longest)];
        let sent = capture.run(|| {
            throughline::span("server")
                .parent(&headers)
                .run(|| throughline::span("tick").root().run(|| (Carrier::capture(), Snapshot::capture())))
        });
        assert_eq!(sent.0.tracestate, None, "the state of one trace is not sent in another");
        assert_eq!(sent.1.run(Carrier::capture), sent.0);
    }

    #[test]
    fn is_nothing_without_traceparent() {
        assert_eq!(extract(&[("tracestate", "foo=1")]), SpanContext::NONE);
    }
}

mod b3 {
    use super::*;

    fn single(header: &str) -> SpanContext {
        with([Format::B3], &[("b3", header)])
    }

    #[test]
    fn single_header() {
        for (header, sampled) in [
            (format!("{TRACE}-{SPAN}-1"), true),
            (format!("{TRACE}-{SPAN}-d"), true),
            (format!("{TRACE}-{SPAN}-0"), false),
            (format!("{TRACE}-{SPAN}-1-00000000000000cd"), true),
            // The decision is left to us.
            (format!("{TRACE}-{SPAN}"), true),
        ] {
            let span = single(&header);
            assert_eq!(
                (span.trace_id().to_string(), span.span_id().to_string()),
                (TRACE.into(), SPAN.into()),
                "{header}"
            );
            assert_eq!(span.trace_flags().to_u8(), u8::from(sampled), "{header}");
        }
        let short = single("a3ce929d0e0e4736-00f067aa0ba902b7-1");
        assert_eq!(short.trace_id().to_string(), "0000000000000000a3ce929d0e0e4736");
    }

    #[test]
    fn invalid_single_headers() {
        for header in [
            "",
            "0",
            "1",
            "d",
            "-",
            "--",
            "---",
            TRACE,
            &format!("{TRACE}-"),
            &format!("{TRACE}-{SPAN}-"),
            &format!("{TRACE}-{SPAN}-true"),
            &format!("{TRACE}-{SPAN}-2"),
            &format!("{TRACE}-{SPAN}-1-"),
            &format!("{TRACE}-{SPAN}-1-cd"),
            &format!("{TRACE}-{SPAN}-1-{SPAN}-1"),
            &format!("{}-{SPAN}-1", TRACE.to_uppercase()),
            &format!("{TRACE}0-{SPAN}-1"),
            &format!("{}-{SPAN}-1", &TRACE[1..]),
            &format!("+{}-{SPAN}-1", &TRACE[1..]),
            &format!("{}-{SPAN}-1", "0".repeat(32)),
            &format!("{TRACE}-{}-1", "0".repeat(16)),
            "é-é-é",
        ] {
            assert!(!single(header).is_valid(), "{header}");
        }
    }

    #[test]
    fn multiple_headers() {
        let of = |more: &[(&str, &str)]| {
            let mut headers = vec![("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN)];
            headers.extend(more);
            with([Format::B3Multi], &headers)
        };
        for (more, sampled) in [
            (vec![("X-B3-Sampled", "1")], true),
            (vec![("X-B3-Sampled", "true")], true),
            (vec![("X-B3-Sampled", "0")], false),
            (vec![("X-B3-Sampled", "false")], false),
            (vec![("X-B3-Flags", "1"), ("X-B3-Sampled", "0")], true),
            (vec![("X-B3-Flags", "0"), ("X-B3-Sampled", "0")], false),
            (vec![("X-B3-ParentSpanId", "anything")], true),
        ] {
            assert_eq!(of(&more).trace_flags().to_u8(), u8::from(sampled), "{more:?}");
            assert!(of(&more).is_valid());
        }
        assert!(!of(&[("X-B3-Sampled", "d")]).is_valid());
        assert!(!with([Format::B3Multi], &[("X-B3-TraceId", TRACE)]).is_valid());
        assert!(!with([Format::B3Multi], &[("X-B3-SpanId", SPAN)]).is_valid());
        assert!(!with([Format::B3Multi], &[("X-B3-Sampled", "0")]).is_valid());
    }

    /// Whichever is written: the services in front of this one may be of another mind.
    #[test]
    fn both_encodings_are_read() {
        let other = "1".repeat(32);
        let multi = [("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN), ("X-B3-Sampled", "1")];
        for format in [Format::B3, Format::B3Multi] {
            let of = |more: &[(&str, &str)]| with([format], &[&multi[..], more].concat()).trace_id().to_string();
            assert_eq!(of(&[]), TRACE, "{format:?}");
            assert_eq!(of(&[("b3", &format!("{other}-{SPAN}-1"))]), other, "the one header counts before the others");
            assert_eq!(of(&[("b3", "nonsense")]), TRACE);
            let single = format!("{other}-{SPAN}-1");
            assert_eq!(with([format], &[("b3", &single)]).trace_id().to_string(), other);
        }
    }

    #[test]
    fn the_debug_flag_goes_on_with_its_trace() {
        let single = format!("{TRACE}-{SPAN}-d");
        let multi = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-flags", "1")];
        let w3c = format!("00-{TRACE}-{SPAN}-01");
        for (headers, debugged) in [
            (&[("b3", single.as_str())][..], true),
            (&multi, true),
            (&[("traceparent", &w3c), ("b3", &single)], true),
            (&[("traceparent", &w3c.replace("-01", "-00")), ("b3", &single)], false),
            (&[("traceparent", &w3c.replace('0', "1")), ("b3", &single)], false),
            (&[("b3", &single.replace("-d", "-1"))], false),
        ] {
            let formats = [Format::TraceContext, Format::B3, Format::B3Multi];
            let propagator = Propagator::new(formats);
            let incoming = propagator.extract(&Pairs(headers));
            let sent = |context: &Context| {
                let sent = inject(&propagator, context);
                let single = value(&sent, "b3").unwrap().ends_with("-d");
                assert_eq!(value(&sent, "x-b3-flags"), single.then_some("1"));
                // Debugging implies sampling, which is then not said besides.
                assert_eq!(value(&sent, "x-b3-sampled").is_none(), single);
                single
            };
            assert_eq!(sent(&incoming), debugged, "{headers:?}");
            let capture = Capture::new();
            let (below, in_job, elsewhere) = capture.run(|| {
                throughline::span("server").parent(&incoming).run(|| {
                    let snapshot = Snapshot::capture();
                    let in_job = std::thread::spawn(move || snapshot.run(Context::current)).join().unwrap();
                    (Context::current(), in_job, throughline::span("tick").root().run(Context::current))
                })
            });
            assert_eq!((sent(&below), sent(&in_job)), (debugged, debugged), "{headers:?}");
            assert!(!sent(&elsewhere), "another trace");
        }
    }

    #[test]
    fn written() {
        let single = inject(&Propagator::new([Format::B3]), &remote(3));
        assert_eq!(single, [("b3".to_owned(), format!("{TRACE}-{SPAN}-1"))]);
        let multi = inject(&Propagator::new([Format::B3Multi]), &remote(0));
        let expected = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-sampled", "0")];
        assert_eq!(multi, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let both = Propagator::new([Format::B3, Format::B3Multi]);
        assert!(inject(&both, &Context::new()).is_empty());
        let all: Vec<_> = both.fields().collect();
        let names = ["b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags", "x-b3-parentspanid"];
        assert_eq!(all, names, "each once, also what is only cleared");
    }
}

mod jaeger {
    use super::*;

    fn of(header: &str) -> SpanContext {
        with([Format::Jaeger], &[("uber-trace-id", header)])
    }

    #[test]
    fn valid() {
        for (header, sampled) in [
            (format!("{TRACE}:{SPAN}:0:1"), true),
            (format!("{TRACE}:{SPAN}:{SPAN}:0"), false),
            (format!("{TRACE}:{SPAN}:0:3"), true),
            (format!("{TRACE}:{SPAN}:0:02"), false),
            (format!("{TRACE}%3A{SPAN}%3a0%3A1"), true),
        ] {
            let span = of(&header);
            assert_eq!(
                (span.trace_id().to_string(), span.span_id().to_string()),
                (TRACE.into(), SPAN.into()),
                "{header}"
            );
            assert_eq!(span.trace_flags().to_u8(), u8::from(sampled), "{header}");
        }
        assert_eq!(of("af7651916cd43dd:3:0:1").trace_id().to_string(), "00000000000000000af7651916cd43dd");
    }

    #[test]
    fn invalid() {
        for header in [
            "",
            ":",
            ":::",
            "0:0:0:0",
            "0:1:0:1",
            "1:0:0:1",
            "1:1:0",
            "1:1:0:1:1",
            "1:1:0:100",
            "1:1:0:",
            "1:1::1",
            "g:1:0:1",
            "1:1:x:1",
            "+1:1:0:1",
            "%ff:1:0:1",
            "é:1:0:1",
            &format!("0{TRACE}:{SPAN}:0:1"),
            &format!("{TRACE}:0{SPAN}:0:1"),
            &"1".repeat(10_000),
        ] {
            assert!(!of(header).is_valid(), "{header}");
        }
    }

    #[test]
    fn written() {
        let headers = inject(&Propagator::new([Format::Jaeger]), &remote(1));
        assert_eq!(headers, [("uber-trace-id".to_owned(), format!("{TRACE}:{SPAN}:0:1"))]);
    }
}

mod composite {
    use super::*;

    const ALL: [Format; 5] = [Format::Jaeger, Format::Baggage, Format::B3Multi, Format::B3, Format::TraceContext];

    /// One header set per format, each with an id that tells it from the others.
    fn headers() -> Vec<(&'static str, String)> {
        let id = |digit: &str| digit.repeat(32);
        vec![
            ("traceparent", format!("00-{}-{SPAN}-01", id("1"))),
            ("b3", format!("{}-{SPAN}-1", id("2"))),
            ("x-b3-traceid", id("3")),
            ("x-b3-spanid", SPAN.into()),
            ("uber-trace-id", format!("{}:{SPAN}:0:1", id("4"))),
        ]
    }

    #[test]
    fn the_first_valid_one_counts_whatever_the_order_of_naming() {
        for (broken, digit) in ["1", "2", "3", "4"].into_iter().enumerate() {
            // The formats before it are there, and not valid.
            let headers: Vec<_> = headers()
                .into_iter()
                .map(|(name, value)| (name, if order(name) < broken { format!("x{value}") } else { value }))
                .collect();
            for formats in [ALL.to_vec(), ALL.into_iter().rev().collect()] {
                let span = Propagator::new(formats).extract(&Pairs(&headers)).span().span_context().clone();
                assert_eq!(span.trace_id().to_string(), digit.repeat(32));
            }
        }
    }

    fn order(header: &str) -> usize {
        ["traceparent", "b3", "x-b3-", "uber-"].iter().position(|start| header.starts_with(start)).unwrap()
    }

    #[test]
    fn all_are_written() {
        let context = remote(1).with_baggage([opentelemetry::KeyValue::new("k", "v")]);
        let propagator = Propagator::new(ALL);
        let written = inject(&propagator, &context);
        let names: Vec<_> = written.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            ["traceparent", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "uber-trace-id", "baggage"]
        );
        let fields: Vec<_> = propagator.fields().collect();
        assert!(names.iter().all(|name| fields.contains(name)), "{fields:?}");
    }

    #[test]
    fn only_the_named_ones_are_read() {
        assert!(!with([Format::B3], &[("traceparent", &format!("00-{TRACE}-{SPAN}-01"))]).is_valid());
        assert!(!with([], &[("traceparent", &format!("00-{TRACE}-{SPAN}-01"))]).is_valid());
        assert!(inject(&Propagator::new([]), &remote(1)).is_empty());
    }

    #[test]
    fn names() {
        for format in ALL {
            assert_eq!(format.name().parse(), Ok(format));
        }
        let error = "zipkin".parse::<Format>().unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown propagation format `zipkin`; expected one of `tracecontext`, `b3`, `b3multi`, `jaeger`, `baggage`"
        );
    }
}

mod baggage {
    use super::*;

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
    fn is_read() {
        assert_eq!(read(&["a=1,b=2"]), map([("a", "1"), ("b", "2")]));
        assert_eq!(read(&["a=1", " b = 2 ;p=3;q"]), map([("a", "1"), ("b", "2")]));
        assert_eq!(read(&["name=Amélie%20%22A%2CB%22"]), map([]), "only ASCII may stand there as it is");
        assert_eq!(read(&["name=Am%C3%A9lie%20%22A%2CB%22"]), map([("name", "Amélie \"A,B\"")]));
        assert_eq!(read(&["a=%ff"]), map([("a", "\u{fffd}")]));
        assert_eq!(read(&["a=x=y"]), map([("a", "x=y")]));
        assert_eq!(read(&["a="]), map([("a", "")]));
        assert_eq!(read(&["a=1,a=2"]), map([("a", "2")]));
    }

    #[test]
    fn invalid_members_are_left_out_alone() {
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
    fn comes_back_as_it_was() {
        let odd = "a b,c;d=e\"f\\g%h\u{e9}\n\u{1f600}";
        let context = Context::new().with_baggage([opentelemetry::KeyValue::new("odd", odd)]);
        let headers = inject(&Propagator::default(), &context);
        let header = value(&headers, "baggage").unwrap();
        assert!(header.bytes().all(|byte| matches!(byte, b'!'..=b'~')), "{header}");
        assert_eq!(read(&[header]), map([("odd", odd)]));
    }

    #[test]
    fn at_most_64_members_and_8192_bytes_come_in() {
        let many: Vec<_> = (0..100).map(|at| format!("k{at}=v")).collect();
        assert_eq!(read(&[&many.join(",")]).len(), 64);
        let halves: Vec<_> = many.chunks(50).map(|half| half.join(",")).collect();
        assert_eq!(read(&[&halves[0], &halves[1]]).len(), 64);
        let fits = format!("k={}", "v".repeat(8190));
        assert_eq!(read(&[&fits]).len(), 1);
        assert_eq!(read(&[&format!("{fits}v")]).len(), 0);
        assert_eq!(read(&[&format!("first=1,{fits}")]), map([("first", "1")]));
    }

    /// The same on the way out, where a value grows when it is encoded.
    #[test]
    fn whole_members_are_left_out_when_they_do_not_fit() {
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
    fn only_what_is_allowed_leaves_and_enters() {
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
    fn becomes_tags_where_asked_for() {
        let capture = Capture::new();
        let propagator = Propagator::default().baggage_as_tags(["tenant_id"]);
        let context = propagator.extract(&Pairs(&[("baggage", "tenant_id=acme,other=1")]));
        capture.run(|| {
            throughline::span("server").parent(&context).run(|| throughline::in_span("below", || ()));
        });
        capture.assert_tree_with(&["tenant_id", "other"], "server tenant_id=acme\n└── below tenant_id=acme");
    }

    #[test]
    fn tags_have_the_type_that_is_named() {
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
        // What is not of its type stays text.
        let text = ["A-1001", "1,5", "yes", "7"];
        let written = "order_no=A-1001,total=1%2C5,gift=yes,tenant_id=7";
        assert_eq!(of(typed(), written), text.map(|text| Some(text.into())));
        // Types are named by the receiver, or there are none.
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
        // And on: through a snapshot that was taken there.
        let sent = carrier.run(|| Snapshot::capture().run(Carrier::capture));
        assert_eq!(sent.baggage, carrier.baggage);
    }
}

mod carriers {
    use super::*;

    fn parent_of(capture: &Capture) -> (String, String) {
        let span = capture.span("receive");
        (span.trace_id().to_string(), span.parent_id().map(|id| id.to_string()).unwrap_or_default())
    }

    #[test]
    fn are_parents() {
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
    fn are_links() {
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
    fn without_a_context_are_entries() {
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
    fn are_written() {
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

    #[test]
    fn a_trace_that_is_not_sampled_says_so() {
        let capture = Capture::with_sampler(Sampler::AlwaysOff);
        let carrier = capture.run(|| throughline::in_span("quiet", Carrier::capture));
        assert!(carrier.traceparent.as_deref().is_some_and(|line| line.ends_with("-00")), "{carrier:?}");
        let recorder = Capture::new();
        recorder.run(|| throughline::span("receive").parent(&carrier).run(|| ()));
        assert!(recorder.spans().is_empty(), "the caller's decision holds");
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
    fn a_carrier_keeps_its_places_in_a_format_without_names() {
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
            // A row of something else behind it, as in the payload of a job.
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
    fn as_a_text_map_propagator_of_opentelemetry() {
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
}
