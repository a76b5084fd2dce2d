//! Which traces are buffered, for how long, and when they are printed.

use super::*;

#[test]
fn a_flush_shows_open_spans_and_the_trace_continues_afterwards() {
    let console = Fixture::new(|console| console);
    let root = console.named(&Context::new(), 0, "request");
    let job = console.named(&root, 1, "job");
    end(&console.named(&root, 1, "done"), 2);
    console.provider.force_flush().unwrap();
    let shown = console.screen.take();
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines[0].ends_with(" so far · 3 spans"), "{shown}");
    assert!(lines[1].starts_with("request ") && lines[1].ends_with("  … still running"), "{shown}");
    assert!(lines[2].starts_with("├── job") && lines[2].ends_with("  … still running"), "{shown}");
    assert!(lines[3].starts_with("└── done") && lines[3].ends_with("1.0 ms"), "{shown}");
    console.provider.force_flush().unwrap();
    assert_eq!(console.screen.take(), "", "there are no new spans");

    end(&root, 10);
    end(&job, 20);
    assert_eq!(
        console.screen.take(),
        text(&[
            "trace 00000001000000000000000000000000, continued from request · 20.0 ms · 2 spans",
            "request  10.0 ms",
            "└── job  19.0 ms  (detached, +1.0 ms)",
            "",
        ])
    );

    let open = console.named(&Context::new(), 0, "open");
    console.provider.shutdown().unwrap();
    assert!(console.screen.take().ends_with("  … still running\n\n"));
    end(&open, 1);
    assert_eq!(console.screen.take(), "");
}

#[test]
fn the_wait_ends_once_the_request_is_over() {
    let console = Fixture::new(|console| console.max_wait(Duration::ZERO));
    let root = console.named(&Context::new(), 0, "request");
    let job = console.named(&root, 2, "job");
    let other = console.named(&root, 2, "other_job");
    end(&console.named(&root, 3, "step"), 4);
    assert_eq!(console.screen.take(), "", "the root is open");
    end(&root, 10);
    let shown = console.screen.take();
    assert!(shown.contains("├── job") && shown.contains("… still running  (detached, +2.0 ms)"), "{shown}");

    end(&console.named(&job, 100, "step"), 101);
    let shown = console.screen.take();
    assert!(shown.starts_with("trace 00000001000000000000000000000000, continued from request · "), "{shown}");
    assert!(shown.contains("\njob ") && shown.contains("└── step") && !shown.contains("other_job"), "{shown}");
    end(&job, 1_000);
    end(&other, 2_000);
    assert_eq!(
        console.screen.take(),
        text(&[
            "trace 00000001000000000000000000000000, continued from request · 1.00 s · 1 span",
            "job  998.0 ms",
            "",
            "trace 00000001000000000000000000000000, continued from request · 2.00 s · 1 span",
            "other_job  2.00 s",
            "",
        ])
    );
}

fn data(trace: u128, span: u64, parent: u64) -> SpanData {
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(trace),
            SpanId::from(span),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ),
        parent_span_id: SpanId::from(parent),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: if parent == 0 { "accept" } else { "connection" }.into(),
        start_time: time(0),
        end_time: time(1),
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

/// An accept loop in a span, with a connection every second, is printed before it ends.
#[test]
fn a_trace_whose_root_stays_open_is_printed_at_increasing_intervals() {
    let mut traces = TraceBuffer::default();
    let begun = Instant::now();
    assert!(traces.span_started(data(1, 1, 0)).is_none());
    let mut shown = Vec::new();
    for second in 1..=1_000 {
        let connection = data(1, second + 1, 1);
        assert!(traces.span_started(connection.clone()).is_none());
        for part in traces.span_ended(connection, begun + Duration::from_secs(second)) {
            assert_eq!(part.continues.is_some(), !shown.is_empty());
            let open: Vec<_> = part.spans.iter().filter(|span| span.open).map(|span| &*span.data.name).collect();
            assert_eq!(open, ["accept"]);
            shown.push((second, part.spans.len() - 1));
        }
    }
    // The second, and the number of connections, each of which is printed once.
    assert_eq!(shown, [(6, 6), (17, 11), (38, 21), (79, 41), (160, 81), (321, 161), (642, 321), (963, 321)]);
    let last = traces.span_ended(data(1, 1, 0), begun + Duration::from_secs(1_001));
    assert_eq!(last.iter().map(|part| part.spans.len()).collect::<Vec<_>>(), [38]);
    assert!(last[0].spans.iter().all(|span| !span.open));
}

/// It starts with the trace, so only its time in the queue is shown.
#[test]
fn the_first_span_of_a_trace_is_not_shown_as_detached() {
    let console = Fixture::new(|console| console);
    let waited = |micros: i64| KeyValue::new("throughline.job.queue_time_us", micros);
    for (micros, line) in [(5, "job  9.0 ms\n"), (12_000, "job  9.0 ms  (queued 12.0 ms)\n")] {
        let job = console.named(&Context::new(), 0, "job");
        job.span().set_attribute(waited(micros));
        end(&job, 9);
        let shown = console.screen.take();
        assert!(shown.contains(line), "{shown}");
    }
    let context = SpanContext::new(TraceId::from(9), SpanId::from(9), TraceFlags::SAMPLED, true, TraceState::NONE);
    let job = console.named(&Context::new().with_remote_span_context(context), 0, "job");
    job.span().set_attribute(waited(5));
    end(&job, 9);
    let shown = console.screen.take();
    assert!(shown.contains("job  9.0 ms  (remote parent)\n"), "{shown}");
}

#[test]
fn the_wait_is_also_checked_when_other_traces_end() {
    let names = |parts: &[Part]| -> Vec<String> {
        parts.iter().flat_map(|part| &part.spans).map(|span| span.data.name.to_string()).collect()
    };
    let mut traces = TraceBuffer::default();
    traces.max_wait = Duration::from_secs(20);
    let ended = Instant::now();
    for span in [data(1, 1, 0), SpanData { name: "job".into(), ..data(1, 2, 1) }] {
        assert!(traces.span_started(span).is_none());
    }
    assert_eq!(names(&traces.span_ended(data(1, 1, 0), ended)), [""; 0]);
    for (after, printed) in [(19, &["another"][..]), (20, &["another", "accept", "job"])] {
        let another = SpanData { name: "another".into(), ..data(2, after, 0) };
        assert!(traces.span_started(another.clone()).is_none());
        assert_eq!(names(&traces.span_ended(another, ended + Duration::from_secs(after))), printed);
    }
}

#[test]
fn traces_that_are_due_at_once_are_printed_in_the_order_in_which_they_started() {
    let mut traces = TraceBuffer::default();
    let ended = Instant::now();
    for trace in 1..=50 {
        for span in [data(trace, 1, 0), data(trace, 2, 1)] {
            assert!(traces.span_started(span).is_none());
        }
        assert!(traces.span_ended(data(trace, 1, 0), ended).is_empty());
    }
    let another = data(51, 1, 0);
    assert!(traces.span_started(another.clone()).is_none());
    let parts = traces.span_ended(another, ended + Duration::from_secs(5));
    let printed: Vec<_> = parts.iter().skip(1).map(|part| part.trace).collect();
    assert_eq!(printed, (1..=50_u128).map(TraceId::from).collect::<Vec<_>>());
}

#[test]
fn a_trace_that_continues_after_it_was_printed_says_so() {
    let console = Fixture::new(|console| console);
    let root = console.named(&Context::new(), 0, "request");
    end(&root, 1);
    drop(console.screen.take());
    end(&console.named(&root, 5, "consume"), 7);
    assert_eq!(
        console.screen.take(),
        text(&[
            "trace 00000001000000000000000000000000, continued from request · 7.0 ms · 1 span",
            "consume  2.0 ms",
            "",
        ])
    );
}

#[test]
fn the_oldest_trace_makes_room() {
    let console = Fixture::new(|console| console);
    let first = console.named(&Context::new(), 0, "first");
    let rest: Vec<_> = (1..MAX_TRACES).map(|_| console.named(&Context::new(), 0, "rest")).collect();
    assert_eq!(console.screen.take(), "");
    let _one_more = console.named(&Context::new(), 0, "one more");
    let shown = console.screen.take();
    assert!(shown.contains("\nfirst ") && shown.contains("… still running"), "{shown}");
    // Printed traces are evicted first, so no trace is printed early.
    for span in &rest {
        end(span, 1);
    }
    assert_eq!(console.screen.take().matches("\nrest").count(), MAX_TRACES - 1);
    end(&first, 1);
    assert_eq!(
        console.screen.take(),
        text(&["trace 00000001000000000000000000000000, continued · 1.0 ms · 1 span", "first  1.0 ms", ""])
    );
}

#[test]
fn a_large_trace_is_printed_in_parts_and_counts_omitted_spans() {
    let console = Fixture::new(|console| console);
    let root = console.named(&Context::new(), 0, "root");
    for _ in 0..MAX_SPANS {
        end(&console.named(&root, 1, "step"), 2);
    }
    let shown = console.screen.take();
    assert_eq!(shown.matches("── step").count(), MAX_SPANS - 1);

    let open: Vec<_> = (0..MAX_SPANS).map(|_| console.named(&root, 3, "open")).collect();
    drop(console.screen.take());
    for span in &open {
        end(span, 4);
    }
    assert_eq!(console.screen.take(), "", "the root is open");
    end(&root, 5);
    let shown = console.screen.take();
    let (head, tree) = shown.split_once('\n').unwrap();
    assert!(head.ends_with(" spans · 1 span omitted"), "{head}");
    assert_eq!(tree.matches("── open").count(), MAX_SPANS - 1);
}

/// Otherwise, each of them would print a part without spans.
#[test]
fn omitted_open_spans_are_counted_on_one_line() {
    const MORE: usize = 100;
    let console = Fixture::new(|console| console);
    let root = console.named(&Context::new(), 0, "root");
    let open: Vec<_> = (0..MAX_SPANS - 1 + MORE).map(|_| console.named(&root, 1, "open")).collect();
    let shown = console.screen.take();
    assert_eq!(shown.matches("trace ").count(), 1, "{}", &shown[..1_000.min(shown.len())]);
    assert_eq!(shown.matches("── open").count(), MAX_SPANS - 1);
    for span in &open {
        end(span, 2);
    }
    assert_eq!(console.screen.take(), "", "the root is open");
    end(&root, 3);
    let shown = console.screen.take();
    let head = shown.lines().next().unwrap();
    assert!(head.ends_with(&format!(" spans · {MORE} spans omitted")), "{head}");
    assert_eq!(shown.matches("── open").count(), MAX_SPANS - 1);
}
