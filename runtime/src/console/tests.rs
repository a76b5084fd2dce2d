use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{
    Link, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, SdkTracer, SdkTracerProvider, SpanData, SpanEvents, SpanLinks};

use super::Console;
use super::buffer::{MAX_SPANS, MAX_TRACES, Part, TraceBuffer};

/// What the terminal would show.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Screen {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Traces and spans are numbered.
#[derive(Debug, Default)]
struct Numbered(AtomicU64, AtomicU64);

impl IdGenerator for Numbered {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(u128::from(self.0.fetch_add(1, Ordering::Relaxed) + 1) << 96)
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(self.1.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

struct Fixture {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    screen: Screen,
}

impl Fixture {
    fn new(adjust: impl FnOnce(Console) -> Console) -> Self {
        let screen = Screen::default();
        let provider = SdkTracerProvider::builder()
            .with_id_generator(Numbered::default())
            .with_span_processor(adjust(Console::to(screen.clone())))
            .build();
        Self { tracer: provider.tracer("test"), provider, screen }
    }

    /// Starts a span `at` milliseconds.
    fn start(&self, parent: &Context, at: u64, builder: SpanBuilder) -> Context {
        let span = self.tracer.build_with_context(builder.with_start_time(time(at)), parent);
        parent.with_span(span)
    }

    fn named(&self, parent: &Context, at: u64, name: &'static str) -> Context {
        self.start(parent, at, SpanBuilder::from_name(name))
    }
}

fn time(at: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(at)
}

fn end(span: &Context, at: u64) {
    span.span().end_with_timestamp(time(at));
}

fn text(lines: &[&str]) -> String {
    lines.join("\n") + "\n"
}

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
fn detached_jobs_hold_the_trace_and_stand_below_their_request() {
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
fn attributes_of_our_namespace_are_shown_by_short_words() {
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

#[test]
fn a_flush_shows_what_is_running_and_the_rest_continues() {
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
    assert_eq!(console.screen.take(), "", "nothing is new");

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

/// An accept loop in a span, with a connection every second: nobody must wait for its end.
#[test]
fn a_trace_whose_entry_stays_open_is_shown_so_far_ever_more_rarely() {
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
    // When, and how many connections: each once.
    assert_eq!(shown, [(6, 6), (17, 11), (38, 21), (79, 41), (160, 81), (321, 161), (642, 321), (963, 321)]);
    let last = traces.span_ended(data(1, 1, 0), begun + Duration::from_secs(1_001));
    assert_eq!(last.iter().map(|part| part.spans.len()).collect::<Vec<_>>(), [38]);
    assert!(last[0].spans.iter().all(|span| !span.open));
}

/// What begins a trace stands at its start; what it has waited is worth a word.
#[test]
fn the_first_span_of_a_trace_is_no_detached_one() {
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
fn a_printed_trace_that_goes_on_says_so() {
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
    // The next to go are those that were printed: nothing is lost for room they do not need.
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
fn a_large_trace_is_printed_in_parts_and_counts_what_it_leaves_out() {
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

#[test]
fn a_held_console_prints_on_flush() {
    let console = Fixture::new(Console::hold);
    let one = console.named(&Context::new(), 0, "one");
    end(&console.named(&Context::new(), 1, "two"), 2);
    end(&one, 3);
    assert_eq!(console.screen.take(), "");
    console.provider.force_flush().unwrap();
    let shown = console.screen.take();
    assert!(shown.contains("\none  3.0 ms\n\ntrace 0000000200"), "{shown}");
}

#[test]
fn a_closed_terminal_is_no_failure() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let provider = SdkTracerProvider::builder().with_span_processor(Console::to(Closed)).build();
    provider.tracer("test").in_span("one", |_| ());
    provider.shutdown().unwrap();
}

#[test]
fn a_writer_that_is_traced_does_not_stop_the_program() {
    #[derive(Clone, Default)]
    struct Traced(Screen, Arc<Mutex<Option<SdkTracer>>>);
    impl Write for Traced {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once, or it would go on for ever.
            let tracer = self.1.lock().unwrap().take();
            tracer.inspect(|tracer| tracer.in_span("write", |_| ()));
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let writer = Traced::default();
    let provider = SdkTracerProvider::builder().with_span_processor(Console::to(writer.clone())).build();
    *writer.1.lock().unwrap() = Some(provider.tracer("test"));
    provider.tracer("test").in_span("one", |_| ());
    let shown = writer.0.take();
    assert!(shown.contains("\none ") && shown.contains("\nwrite "), "{shown}");
}

#[test]
fn colours_are_only_in_the_codes() {
    let screen = Screen::default();
    let provider = SdkTracerProvider::builder().with_span_processor(Console::new(screen.clone())).build();
    provider.tracer("test").in_span("one", |_| ());
    let shown = screen.take();
    assert!(shown.contains("\u{1b}[1mone\u{1b}[0m"), "{shown:?}");
}
