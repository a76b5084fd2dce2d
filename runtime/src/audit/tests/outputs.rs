//! Reports as text and as JSON.

use super::*;

fn report() -> Report {
    let server = || span(1, 0, "POST /orders").kind(SpanKind::Server);
    let charge = span(4, 3, "charge card").of("payments").at("src/pay.rs", 31).in_trace(2);
    audit(
        Rules::new(),
        [server(), span(2, 1, "load\norder"), server().in_trace(2), span(2, 1, "reserve").in_trace(2), charge],
    )
}

#[test]
fn a_trace_that_enters_a_service_twice_is_counted_once() {
    let charge = |id| span(id, 1, "charge").of("payments");
    let report = audit(Rules::new(), [span(1, 0, "order"), charge(2), charge(3), span(4, 2, "callback")]);
    let counts = |service: &str| {
        let service = report.service(service).expect("the service is counted");
        (service.counts.traces, service.counts.spans)
    };
    assert_eq!((counts("orders"), counts("payments")), ((1, 2), (1, 2)));
    let charge = report.service("payments").and_then(|service| service.entry("charge")).expect("the entry is counted");
    assert_eq!((charge.counts.traces, charge.counts.spans), (1, 2));
}

#[test]
fn the_last_value_of_an_attribute_wins() {
    let span = span(1, 0, "order").tag("order_no", 1).tag("order_no", 2);
    assert_eq!(span.attribute("order_no"), Some(&Value::I64(2)));
}

#[test]
fn text() {
    let expected = "\
completeness 50.000 %: 1 of 2 traces, 5 spans

service, entry           traces  spans  complete  breaks
orders                        2      4  50.000 %       0
  POST /orders [server]       2      4  50.000 %       0
payments                      1      1   0.000 %       1
  charge card                 1      1   0.000 %       1

missing-parent ×1: the parent of a span was never received
";
    let text = report().to_string();
    assert!(text.starts_with(expected), "{text}");
    let expected = "
  ×1 `charge card` at src/pay.rs:31, in service `payments`
    its parent 0000000000000003 was never received (trace 00000000000000000000000000000002)

trace 00000000000000000000000000000002
POST /orders [server] (orders) 98.0 ms
└── reserve (orders) 96.0 ms
charge card (payments) 92.0 ms  <-- missing-parent: its parent 0000000000000003 was never received
";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn a_break_below_an_entry_names_the_entry() {
    let report = audit(
        Rules::new(),
        [span(1, 0, "POST /orders").times(1_000, 1_100), span(2, 1, "clean up").times(1_200, 1_201)],
    );
    let expected = "\n  ×1 `clean up`, in service `orders`, entered by `POST /orders`\n    it began";
    assert!(report.to_string().contains(expected), "{report}");
}

#[test]
fn counts_are_singular_or_plural() {
    let report = audit(Rules::new(), [span(1, 0, "work")]);
    assert!(report.to_string().starts_with("completeness 100.000 %: 1 of 1 trace, 1 span\n"), "{report}");
    let mut report = audit(Rules::new(), []);
    (report.skipped.traces_pending, report.skipped.traces_given_up, report.skipped.spans_late) = (1, 2, 1);
    for line in [
        "not judged: 1 trace that may still get spans\n",
        "not judged: 2 traces given up, because there were too many at once\n",
        "not judged: 1 span that came after the trace had been judged\n",
    ] {
        assert!(report.to_string().contains(line), "{report}");
    }
}

#[test]
fn an_empty_report_has_no_completeness() {
    let report = audit(Rules::new(), []);
    assert_eq!(report.to_string(), "completeness n/a: no trace has been judged\n");
    assert_eq!(report.total.percent(), "n/a");
    let mut waiting = Audit::new(Rules::new());
    waiting.push(span(1, 0, "work"));
    let text = waiting.report().to_string();
    let expected = "completeness n/a: no trace has been judged\nnot judged: 1 trace that may still get spans\n";
    assert_eq!(text, expected);
}

#[test]
fn only_the_first_broken_traces_are_drawn() {
    let broken = |number| span(2, 1, "work").in_trace(number);
    let text = |traces| audit(Rules::new().max_examples(100), (1..=traces).map(broken)).to_string();
    assert_eq!((text(10).matches("\ntrace ").count(), text(10).contains(" more broken")), (10, false));
    assert_eq!(text(12).matches("\ntrace ").count(), 10);
    assert!(text(11).ends_with("\n1 more broken trace\n") && text(12).ends_with("\n2 more broken traces\n"));
}

#[test]
fn a_truncated_trace_says_how_many_spans_are_shown() {
    let report =
        |shown| audit(Rules::new().max_spans_shown(shown), [span(1, 0, "a"), span(2, 1, "b"), span(9, 8, "c")]);
    let few = report(2);
    let shown: Vec<_> = few.traces[0].spans.iter().map(|span| &*span.name).collect();
    assert_eq!((shown, few.traces[0].spans_left_out), (vec!["a", "c"], 1));
    let head = format!("\ntrace {:032}", 1);
    assert!(few.to_string().contains(&format!("{head}, 2 of 3 spans\na (orders)")), "{few}");
    assert_eq!(few.to_json()["traces"][0]["spans_left_out"], 1);
    let all = report(3);
    assert!(all.to_string().contains(&format!("{head}\na (orders)")), "{all}");
    assert_eq!(all.traces[0].spans_left_out, 0);
}

/// Some tracers use whole statements as names. The formatter panics if a column is wider than 65,535 characters.
#[test]
fn long_names_are_truncated() {
    let long = |letter: &str| letter.repeat(70_000);
    // More names than the limit, so that some are in a description, too.
    let spans = (1..).zip(["a", "b", "d"]).map(|(trace, name)| span(2, 1, &long(name)).of(&long("s")).in_trace(trace));
    let report = audit(Rules::new().max_names(2), spans.chain([span(3, 0, "c").in_trace(4)]));
    let text = report.to_string();
    let cell = format!("\n  {}…", "a".repeat(256));
    assert!(text.contains(&cell) && text.contains("more than 2 span names, such as `"), "{text}");
    assert!(text.lines().all(|line| line.len() < 2_500), "{}", text.lines().map(str::len).max().unwrap_or_default());
    assert_eq!(report.to_json()["services"][1]["name"], long("s"), "data is exact");
}

#[test]
fn untrusted_text_is_escaped() {
    let report = audit(Rules::new(), [span(2, 1, "a\nb\u{1b}[31m").of("c\nd").at("e\nf", 1)]);
    let text = report.to_string();
    assert!(!text.contains("a\nb") && !text.contains("c\nd") && !text.contains("e\nf") && !text.contains('\u{1b}'));
}

#[test]
fn completeness_is_rounded_down() {
    let mut audit = Audit::new(Rules::new());
    for number in 2..=200_001 {
        audit.push(span(1, u64::from(number == 2), "work").in_trace(number));
    }
    let total = audit.finish().total;
    assert_eq!((total.complete, total.traces), (199_999, 200_000));
    assert_eq!(total.percent(), "99.999 %");
}

#[test]
fn json() {
    let json = report().to_json();
    let found = &json["breaks"][0];
    assert_eq!(json["schema"], "throughline.audit/1");
    assert_eq!(json["total"]["completeness"], 0.5);
    assert_eq!(json["services"][0]["entries"][0]["kind"], "server");
    assert_eq!(found["kind"], "missing-parent");
    assert_eq!(found["place"]["file"], "src/pay.rs");
    assert_eq!(found["place"]["line"], 31);
    assert_eq!(found["examples"][0]["trace_id"], "00000000000000000000000000000002");
    assert_eq!(found["examples"][0]["span_ids"][0], "0000000000000004");
    let trace = &json["traces"][0];
    assert_eq!(trace["marks"][0]["span"], 2);
    assert_eq!(trace["spans"][2]["parent_id"], "0000000000000003");
    assert_eq!(trace["spans"][2]["start_unix_nano"], "1004000000");
    assert_eq!(trace["spans"][2]["end_unix_nano"], "1096000000");
}

#[test]
fn attributes_keep_their_types_in_json() {
    use opentelemetry::Array;

    let broken = span(2, 1, "work")
        .tag("text", "a")
        .tag("number", 7)
        .tag("ratio", 0.5)
        .tag("yes", true)
        .tag("numbers", Value::Array(Array::I64(vec![1, 2])))
        .tag("ratios", Value::Array(Array::F64(vec![0.5])))
        .tag("flags", Value::Array(Array::Bool(vec![true, false])))
        .linked();
    let json = audit(Rules::new(), [broken]).to_json();
    let span = &json["traces"][0]["spans"][0];
    let expected = serde_json::json!({
        "text": "a", "number": 7, "ratio": 0.5, "yes": true, "numbers": [1, 2], "ratios": [0.5], "flags": [true, false]
    });
    assert_eq!(span["attributes"], expected);
    assert_eq!(span["links"][0]["span_id"], "0000000000000007");
    assert_eq!((&span["is_error"], &span["parent_id"]), (&false.into(), &"0000000000000001".into()));
}

#[test]
fn names_of_kinds_round_trip() {
    for kind in BreakKind::ALL {
        assert_eq!(kind.name().parse(), Ok(*kind));
        for text in [kind.title(), kind.cause(), kind.remedy()] {
            assert!(!text.is_empty() && !text.ends_with('.') && text.starts_with(char::is_lowercase), "{text}");
        }
    }
    let error = "missing".parse::<BreakKind>().map_err(|error| error.to_string());
    assert!(
        error.is_err_and(|error| error.starts_with("unknown kind of break `missing`; expected one of `unparented"))
    );
}

/// `docs/audit.md` has exactly one section for each kind, with the texts from the code.
#[test]
fn the_page_explains_each_kind() {
    let page = include_str!("../../../../docs/audit.md");
    let sections: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let names: Vec<_> = BreakKind::ALL.iter().map(|kind| format!("`{kind}`")).collect();
    assert_eq!(sections, names);
    let words: Vec<_> = page.split_whitespace().collect();
    let page = words.join(" ");
    for kind in BreakKind::ALL {
        for text in [kind.title(), kind.cause(), kind.remedy()] {
            assert!(page.contains(text), "docs/audit.md lacks a text of {kind}: {text}");
        }
    }
}

#[test]
fn durations_are_below_a_thousand_of_their_unit() {
    let texts =
        [999, 1_000, 999_949, 999_950, 999_949_999, 999_950_000, 61_000_000_000].map(super::super::text::duration);
    assert_eq!(texts, ["999 ns", "1.0 µs", "999.9 µs", "1.0 ms", "999.9 ms", "1.0 s", "61.0 s"]);
}
