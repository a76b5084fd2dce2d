//! The printed form of a trace.

use super::*;

#[test]
fn a_trace_is_printed_when_its_last_span_has_ended() {
    let console = Fixture::new(|console| console);
    let tags = vec![KeyValue::new("tenant_id", "acme"), KeyValue::new("order_no", 1001)];
    let server = SpanBuilder::from_name("create_order").with_kind(SpanKind::Server).with_attributes(tags.clone());
    let root = console.start(&Context::new(), 0, server);
    let stock = SpanBuilder::from_name("reserve_stock").with_attributes(tags.clone());
    let stock = console.start(&root, 1, stock);
    stock.span().set_status(Status::error("sold out"));
    stock.span().set_attribute(KeyValue::new("error.type", "shop::OutOfStock"));
    end(&stock, 4);
    let noise = ["code.line.number", "url.path", "http.request.method", "db.query.text", "messaging.system", "busy_ns"];
    let noise = noise.into_iter().chain(["throughline.job.queue_time_us", "throughline.db.affected_rows"]);
    let noise = noise.map(|key| KeyValue::new(key, 1)).chain([KeyValue::new("http.response.status_code", 409)]);
    root.span().set_attributes(noise);
    assert_eq!(console.screen.take(), "");
    end(&root, 12);
    assert_eq!(
        console.screen.take(),
        text(&[
            "trace 00000001000000000000000000000000 · 12.0 ms · 2 spans, 1 failed",
            "create_order [server]  12.0 ms  tenant_id=acme order_no=1001 http.response.status_code=409",
            "└── reserve_stock       3.0 ms  ✗ error: sold out  tenant_id=acme order_no=1001",
            "",
        ])
    );
}

#[test]
fn a_trace_waits_for_detached_jobs_and_shows_them_below_their_request() {
    let console = Fixture::new(|console| console);
    let root = console.named(&Context::new(), 0, "request");
    let remote = Context::new().with_remote_span_context(root.span().span_context().clone());
    let receipt = console.named(&remote, 3, "send_receipt");
    let quick = console.named(&remote, 4, "quick");
    end(&console.named(&receipt, 5, "smtp"), 25);
    quick.span().set_attribute(KeyValue::new("throughline.job.queue_time_us", 12_000));
    end(&quick, 8);
    end(&root, 10);
    assert_eq!(console.screen.take(), "");
    end(&receipt, 30);
    assert_eq!(
        console.screen.take(),
        text(&[
            "trace 00000001000000000000000000000000 · 30.0 ms · 4 spans",
            "request           10.0 ms",
            "├── send_receipt  27.0 ms  (detached, +3.0 ms)",
            "│   └── smtp      20.0 ms",
            "└── quick          4.0 ms  (detached, +4.0 ms, queued 12.0 ms)",
            "",
        ])
    );
}

#[test]
fn a_long_name_does_not_shift_all_durations() {
    let console = Fixture::new(|console| console);
    let root = console.named(&Context::new(), 0, "root");
    let long = "n".repeat(80);
    end(&console.start(&root, 1, SpanBuilder::from_name(long.clone())), 2);
    end(&root, 4);
    let shown = console.screen.take();
    let expected = format!("\nroot{}4.0 ms\n└── {long}  1.0 ms\n", " ".repeat(60 - 4 + 2));
    assert!(shown.contains(&expected), "{shown}");
}

#[test]
fn attributes_in_our_namespace_have_short_names() {
    let console = Fixture::new(|console| console);
    let root = console.named(&Context::new(), 0, "root");
    let facts = [
        ("throughline.return", 7),
        ("throughline.messaging.redelivered", 1),
        ("cancelled", 2),
        ("throughline.mine", 3),
    ];
    root.span().set_attributes(facts.map(|(key, value)| KeyValue::new(key, value)));
    end(&root, 4);
    let shown = console.screen.take();
    assert!(shown.ends_with("root  4.0 ms  return=7 redelivered=1 cancelled=2 throughline.mine=3\n\n"), "{shown}");
}

#[test]
fn outcomes_have_marks() {
    let console = Fixture::new(|console| console);
    let root = console.named(&Context::new(), 0, "root");
    let panicked = console.named(&root, 1, "panicked");
    panicked.span().set_status(Status::error("ouch"));
    panicked.span().set_attribute(KeyValue::new("error.type", "panic"));
    end(&panicked, 2);
    let cancelled = console.named(&root, 2, "cancelled");
    cancelled.span().set_attribute(KeyValue::new("throughline.cancelled", true));
    end(&cancelled, 3);
    let silent = console.named(&root, 3, "silent");
    silent.span().set_status(Status::error(""));
    end(&silent, 4);
    end(&root, 4);
    assert_eq!(
        console.screen.take(),
        text(&[
            "trace 00000001000000000000000000000000 · 4.0 ms · 4 spans, 2 failed",
            "root           4.0 ms",
            "├── panicked   1.0 ms  ✗ panicked: ouch",
            "├── cancelled  1.0 ms  ⊘ cancelled",
            "└── silent     1.0 ms  ✗ error",
            "",
        ])
    );
}

#[test]
fn links_and_remote_parents_are_shown() {
    let console = Fixture::new(|console| console);
    let other = |trace: u128| {
        let context = SpanContext::new(
            TraceId::from(trace << 96),
            SpanId::from(9),
            TraceFlags::SAMPLED,
            true,
            TraceState::default(),
        );
        Link::with_context(context)
    };
    let remote = Context::new().with_remote_span_context(other(0xabcd_ef01).span_context);
    let links = (2..=6).map(other).collect();
    let root =
        console.start(&remote, 0, SpanBuilder::from_name("batch").with_kind(SpanKind::Consumer).with_links(links));
    let within = vec![Link::with_context(root.span().span_context().clone())];
    end(&console.start(&root, 0, SpanBuilder::from_name("retry").with_links(within)), 1);
    end(&root, 1);
    assert_eq!(
        console.screen.take(),
        text(&[
            "trace abcdef01000000000000000000000000 · 1.0 ms · 2 spans",
            "batch [consumer]  1.0 ms  (remote parent)  ~> trace 00000002…  ~> trace 00000003…  ~> trace 00000004…  ~> 2 more",
            "└── retry         1.0 ms  ~> batch",
            "",
        ])
    );
}

#[test]
fn values_cannot_forge_lines() {
    let console = Fixture::new(|console| console);
    let root = SpanBuilder::from_name("a\r\ntrace ffff · 1 span\u{1b}[2J");
    let root = console.start(&Context::new(), 0, root);
    root.span().set_attribute(KeyValue::new("note", "x\n└── pay_out  1.0 ms  role=admin"));
    root.span().set_attribute(KeyValue::new("key\u{8}\u{8}", "plain"));
    root.span().set_status(Status::error("bad\u{9b}31m\nfine"));
    root.span().set_attribute(KeyValue::new("long", "é".repeat(2_000)));
    end(&root, 1);
    let shown = console.screen.take();
    let long = "é".repeat(100);
    assert_eq!(
        shown,
        text(&[
            "trace 00000001000000000000000000000000 · 1.0 ms · 1 span, 1 failed",
            &format!(
                "a\\r\\ntrace ffff · 1 span\\u{{1b}}[2J  1.0 ms  ✗ error: bad\\u{{9b}}31m\\nfine  \
                 note=\"x\\n└── pay_out  1.0 ms  role=admin\" key\\u{{8}}\\u{{8}}=plain long={long}…"
            ),
            "",
        ])
    );
}
