//! The panic hook is process-wide, so this is a single test.

use std::fmt::{self, Debug};
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use opentelemetry_sdk::trace::Sampler;
use throughline::testing::Capture;
use throughline::{ErrorText, biz_tags, set_error_text, traced};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

static CALLED: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug, Clone, Default)]
struct Fields(Vec<(String, String)>);

impl Fields {
    fn of(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| &**value)
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.push((field.name().to_owned(), value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push((field.name().to_owned(), fmt::format(format_args!("{value:?}"))));
    }
}

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Fields>>>);

impl Events {
    fn take(&self) -> Fields {
        let mut events = std::mem::take(&mut *self.0.lock().expect("no panic"));
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }
}

impl<S: Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "throughline::panics" {
            assert_eq!(*event.metadata().level(), Level::ERROR);
            let mut fields = Fields::default();
            event.record(&mut fields);
            self.0.lock().expect("no panic").push(fields);
        }
    }
}

#[traced]
#[biz_tags(tenant_id, note = "two words")]
fn fails(tenant_id: &str) -> String {
    let context = opentelemetry::Context::current();
    let span = opentelemetry::trace::TraceContextExt::span(&context).span_context().clone();
    std::thread::Builder::new()
        .name("worker".to_owned())
        .spawn(throughline::Snapshot::capture().wrap(|| panic!("no order for {}", "ada")))
        .expect("a thread")
        .join()
        .expect_err("it panics");
    format!("{} {}", span.trace_id(), span.span_id())
}

/// A hook cannot be set from a panicking thread. A later call from another one must install it nevertheless.
struct InstallsWhilePanicking;

impl Drop for InstallsWhilePanicking {
    fn drop(&mut self) {
        panic::catch_unwind(throughline::log::panics).expect_err("the thread is panicking");
    }
}

#[test]
fn a_panic_is_an_event_with_its_trace() {
    let events = Events::default();
    tracing_subscriber::registry().with(events.clone()).init();
    panic::set_hook(Box::new(|info| {
        eprintln!("{info}");
        CALLED.fetch_add(1, Ordering::Relaxed);
    }));
    panic::catch_unwind(|| {
        let _installs = InstallsWhilePanicking;
        panic!("expected");
    })
    .expect_err("it panics");
    assert_eq!(CALLED.swap(0, Ordering::Relaxed), 2, "this one, and that of `set_hook`");
    throughline::log::panics();
    throughline::log::panics();

    let ids = Capture::new().run(|| fails("acme"));
    let event = events.take();
    assert_eq!(event.of("message"), Some("panicked"));
    assert_eq!(event.of("error"), Some("no order for ada"));
    assert_eq!(event.of("error.type"), Some("panic"));
    assert_eq!(event.of("code.file.path"), Some(file!()));
    assert!(event.of("code.line.number").is_some_and(|line| line.parse::<u32>().is_ok()));
    assert_eq!(event.of("thread.name"), Some("worker"));
    assert_eq!(event.of("trace_id").zip(event.of("span_id")).map(|(trace, span)| format!("{trace} {span}")), Some(ids));
    assert_eq!(event.of("throughline.tags"), Some("tenant_id=acme note=\"two words\""));
    assert_eq!(CALLED.load(Ordering::Relaxed), 1, "the previous hook is called once");

    // In an unsampled trace, the event has the IDs, too.
    let ids = Capture::with_sampler(Sampler::AlwaysOff).run(|| fails("acme"));
    let event = events.take();
    assert_eq!(event.of("trace_id").zip(event.of("span_id")).map(|(trace, span)| format!("{trace} {span}")), Some(ids));

    // Without a provider, and with a payload that is not text.
    panic::catch_unwind(|| panic::panic_any(7)).expect_err("it panics");
    let event = events.take();
    assert_eq!(event.of("error"), Some("the panic's payload is not text"));
    assert_eq!((event.of("trace_id"), event.of("throughline.tags")), (None, None));

    set_error_text(ErrorText::redacted(|text| text.replace("ada", "…")));
    Capture::new().run(|| fails("acme"));
    assert_eq!(events.take().of("error"), Some("no order for …"));
    set_error_text(ErrorText::type_only());
    Capture::new().run(|| fails("acme"));
    let event = events.take();
    assert_eq!((event.of("error"), event.of("error.type")), (None, Some("panic")));

    // With one of our formatters, which write IDs and tags on the line, the event does not repeat them.
    drop(throughline::log::current());
    Capture::new().run(|| fails("acme"));
    let event = events.take();
    assert_eq!((event.of("trace_id"), event.of("throughline.tags")), (None, None));
    assert_eq!(CALLED.load(Ordering::Relaxed), 6);
}
