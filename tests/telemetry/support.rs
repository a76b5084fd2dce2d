//! A collector that stores everything, and a log that tests can read.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};

use throughline::telemetry::{Builder, Protocol};
use throughline_load::common::{AnyValue, KeyValue, any_value::Value};
use throughline_load::trace::{ResourceSpans, Span};
use throughline_load::{Behaviour, Collector, Line, Request, Tally, Traces};
use tracing_subscriber::fmt::MakeWriter;

/// A collector that stores the requests that it accepts.
pub(crate) struct Kept {
    pub(crate) collector: Collector,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Kept {
    pub(crate) fn start() -> Self {
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let keep = Arc::clone(&requests);
        let collector = Collector::start(move |request| keep.lock().expect("not poisoned").push(request));
        Self { collector: collector.expect("a free port"), requests }
    }

    pub(crate) fn set(&self, behaviour: Behaviour) {
        self.collector.set(behaviour);
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("not poisoned").clone()
    }

    fn resources(&self) -> Vec<ResourceSpans> {
        self.requests().into_iter().flat_map(|request| request.spans).collect()
    }

    /// The spans, in the order of their arrival.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.resources().into_iter().flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// The only span with this name.
    #[track_caller]
    pub(crate) fn span(&self, name: &str) -> Span {
        let mut spans: Vec<_> = self.spans().into_iter().filter(|span| span.name == name).collect();
        let names: Vec<_> = self.spans().into_iter().map(|span| span.name).collect();
        assert_eq!(spans.len(), 1, "{name} among {names:?}");
        spans.remove(0)
    }

    /// The number of spans.
    pub(crate) fn count(&self) -> usize {
        self.requests.lock().expect("not poisoned").iter().map(Request::len).sum()
    }

    /// The attributes of the resource, which all spans share.
    pub(crate) fn resource(&self) -> BTreeMap<String, String> {
        let mut resources: Vec<_> = self.resources().into_iter().filter_map(|spans| spans.resource).collect();
        resources.dedup();
        assert_eq!(resources.len(), 1, "one resource");
        attributes(&resources[0].attributes)
    }

    pub(crate) fn tally(&self) -> Tally {
        let mut traces = Traces::default();
        traces.add(Line::all(&self.resources()));
        traces.tally()
    }

    /// A builder that exports here and reads no variables.
    pub(crate) fn builder(&self) -> Builder {
        self.over(Protocol::Grpc)
    }

    pub(crate) fn over(&self, protocol: Protocol) -> Builder {
        let path = if protocol == Protocol::Grpc { "" } else { "/v1/traces" };
        throughline::telemetry::builder()
            .variables(|_| None)
            .collector(format!("{}{path}", self.collector.endpoint()), protocol)
    }
}

/// Attributes as text.
pub(crate) fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let map: BTreeMap<_, _> =
        attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute.value.as_ref()))).collect();
    assert_eq!(map.len(), attributes.len(), "each key once: {attributes:?}");
    map
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => format!("{value:?}"),
        Some(Value::ArrayValue(array)) => {
            let values: Vec<_> = array.values.iter().map(|value| text(Some(value))).collect();
            format!("[{}]", values.join(", "))
        }
        other => format!("{other:?}"),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Log output.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Stores the warnings of this process from now on.
    pub(crate) fn keep() -> Self {
        Self::keep_from(tracing::Level::WARN)
    }

    /// Stores what this process logs from now on, at this level and above.
    pub(crate) fn keep_from(level: tracing::Level) -> Self {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(log.clone())
            .with_ansi(false)
            .without_time()
            .with_max_level(level)
            .finish();
        tracing::subscriber::set_global_default(subscriber).expect("the first of this process");
        log
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("text")
    }

    pub(crate) fn count(&self, what: &str) -> usize {
        self.text().lines().filter(|line| line.contains(what)).count()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Runs `future` to its end on a runtime of its own.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// A trace of `1 + children` spans, each with that number as an attribute.
pub(crate) fn trace(children: u32) {
    let spans = i64::from(children) + 1;
    throughline::span("root").root().tag(throughline_load::EXPECTED, spans).run(|| {
        for _ in 0..children {
            throughline::span("child").tag(throughline_load::EXPECTED, spans).run(|| {});
        }
    });
}
