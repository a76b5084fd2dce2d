use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{
    Link, SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{
    IdGenerator, SamplingDecision, SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample, SpanData, SpanEvents,
    SpanLinks,
};

use super::Console;
use super::buffer::{MAX_SPANS, MAX_TRACES, Part, TraceBuffer};

mod kept;
mod printed;

/// A terminal that keeps its output.
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

/// Generates sequential trace and span IDs.
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
            .with_span_processor(adjust(Console::with_writer(screen.clone())))
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
fn a_closed_terminal_is_ignored() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    let provider = SdkTracerProvider::builder().with_span_processor(Console::with_writer(Closed)).build();
    provider.tracer("test").in_span("one", |_| ());
    provider.shutdown().unwrap();
}

/// One thread waits for the output. Others continue, and excess text is dropped and counted.
#[test]
fn a_slow_terminal_blocks_only_one_thread() {
    struct Slow(Screen, mpsc::Sender<()>, mpsc::Receiver<()>);
    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The first write waits. For later ones, the receiver is gone.
            if self.1.send(()).is_ok() {
                self.2.recv().unwrap();
            }
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    const TRACES: usize = 300;
    let (screen, (start, began), (go, wait)) = (Screen::default(), mpsc::channel(), mpsc::channel());
    let console = Console::with_writer(Slow(screen.clone(), start, wait));
    let provider = SdkTracerProvider::builder().with_span_processor(console).build();
    let tracer = provider.tracer("test");
    std::thread::scope(|scope| {
        scope.spawn(|| tracer.in_span("first", |_| ()));
        began.recv().unwrap();
        // 10 kB each.
        let tags: Vec<_> = (0..100).map(|key| KeyValue::new(format!("key{key}"), "x".repeat(90))).collect();
        for _ in 0..TRACES {
            tracer.in_span("more", |context| context.span().set_attributes(tags.iter().cloned()));
        }
        drop(began);
        go.send(()).unwrap();
    });
    provider.force_flush().unwrap();
    let shown = screen.take();
    let count = shown.matches("\nmore ").count();
    // The limit of a megabyte includes the escape sequences for colour, which are not written here.
    assert!((1 << 19..1 << 20).contains(&shown.len()) && count < TRACES, "{count} in {} bytes", shown.len());
    assert_eq!(shown.matches("\nfirst ").count(), 1);
    let last = shown.lines().last().unwrap();
    assert_eq!(last, format!("{} traces dropped: the output is too slow", TRACES - count));
}

#[test]
fn unsampled_spans_are_not_shown() {
    #[derive(Debug, Clone)]
    struct RecordOnly;
    impl ShouldSample for RecordOnly {
        fn should_sample(
            &self,
            _: Option<&Context>,
            _: TraceId,
            _: &str,
            _: &SpanKind,
            _: &[KeyValue],
            _: &[Link],
        ) -> SamplingResult {
            let (attributes, trace_state) = (Vec::new(), TraceState::NONE);
            SamplingResult { decision: SamplingDecision::RecordOnly, attributes, trace_state }
        }
    }
    let screen = Screen::default();
    let console = Console::with_writer(screen.clone());
    let provider = SdkTracerProvider::builder().with_sampler(RecordOnly).with_span_processor(console).build();
    let tracer = provider.tracer("test");
    tracer.in_span("quiet", |context| {
        assert!(context.span().is_recording());
        provider.force_flush().unwrap();
    });
    provider.shutdown().unwrap();
    assert_eq!(screen.take(), "");
}

/// Other threads do not wait for it either.
#[test]
fn a_writer_that_panics_does_not_stop_the_program() {
    struct Panics(Screen, bool);
    impl Write for Panics {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            assert!(std::mem::replace(&mut self.1, true), "the first write");
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let screen = Screen::default();
    let console = Console::with_writer(Panics(screen.clone(), false));
    let provider = SdkTracerProvider::builder().with_span_processor(console).build();
    provider.tracer("test").in_span("one", |_| ());
    provider.tracer("test").in_span("two", |_| ());
    provider.force_flush().unwrap();
    let shown = screen.take();
    assert!(shown.contains("\ntwo ") && !shown.contains("\none "), "{shown}");
}

/// Neither by printing its own spans, which would cause further ones, nor by waiting for itself.
#[test]
fn a_writer_that_is_traced_does_not_stop_the_program() {
    /// Is traced as often as it has providers.
    #[derive(Clone, Default)]
    struct Traced(Screen, Arc<Mutex<Vec<SdkTracerProvider>>>);
    impl Write for Traced {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            let provider = self.1.lock().unwrap().pop();
            if let Some(provider) = provider {
                provider.tracer("test").in_span("write", |_| ());
                provider.force_flush().unwrap();
            }
            Ok(())
        }
    }
    let writer = Traced::default();
    let provider = SdkTracerProvider::builder().with_span_processor(Console::with_writer(writer.clone())).build();
    *writer.1.lock().unwrap() = vec![provider.clone(); 4];
    provider.tracer("test").in_span("one", |_| ());
    provider.tracer("test").in_span("two", |_| ());
    assert_eq!(writer.1.lock().unwrap().len(), 2, "each trace is written once, and nothing else");
    let shown = writer.0.take();
    assert!(shown.contains("\none ") && shown.contains("\ntwo ") && !shown.contains("\nwrite "), "{shown}");
    // The writer keeps the provider alive, and the provider the writer.
    writer.1.lock().unwrap().clear();
}

#[test]
fn text_is_coloured_by_escape_sequences() {
    let screen = Screen::default();
    let provider = SdkTracerProvider::builder().with_span_processor(Console::new(screen.clone())).build();
    provider.tracer("test").in_span("one", |_| ());
    let shown = screen.take();
    assert!(shown.contains("\u{1b}[1mone\u{1b}[0m"), "{shown:?}");
}
