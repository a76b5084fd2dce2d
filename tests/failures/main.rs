//! Failures of detached jobs and of functions with `err = log` are logged. No log formatter of Throughline is used in
//! this process, so the events themselves have the IDs.

mod functions;
mod jobs;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex};

use opentelemetry_sdk::trace::Sampler;
use throughline::testing::Capture;
use throughline::{biz_tags, in_span_async, traced, traced_spawn};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The fields of an event.
type Fields = BTreeMap<String, String>;

/// A subscriber that keeps events, without support for traces.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Fields>>>);

impl Log {
    fn all(&self) -> Vec<Fields> {
        self.0.lock().expect("no panic").clone()
    }

    fn only(&self) -> Fields {
        let [fields] = &self.all()[..] else { panic!("not one event: {:#?}", self.all()) };
        fields.clone()
    }
}

struct Fill<'a>(&'a mut Fields);

impl Visit for Fill<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR && metadata.target().starts_with("throughline::")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::from([("target".to_owned(), event.metadata().target().to_owned())]);
        event.record(&mut Fill(&mut fields));
        self.0.lock().expect("no panic").push(fields);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Runs `future` on its own runtime. Returns its value, and the log.
fn logged<R>(capture: &Capture, future: impl Future<Output = R>) -> (R, Log) {
    let log = Log::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let value = tracing::subscriber::with_default(log.clone(), || runtime.block_on(capture.run_async(future)));
    (value, log)
}

#[derive(Debug)]
struct Failure(&'static str, Option<Box<Failure>>);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}

/// A chain of four errors, of which the second includes the text of the third.
fn refused() -> Failure {
    let os = Failure("Connection refused (os error 111)", None);
    let tcp = Failure("tcp connect error", Some(Box::new(os)));
    let connect = Failure("client: tcp connect error", Some(Box::new(tcp)));
    Failure("cannot publish", Some(Box::new(connect)))
}

const CHAIN: &str = "cannot publish: client: tcp connect error: Connection refused (os error 111)";

const SAMPLERS: [fn() -> Sampler; 2] = [|| Sampler::AlwaysOn, || Sampler::AlwaysOff];
