//! The outcome of a call is recorded on its span.

mod endings;
mod results;

use std::fmt;
use std::future::Future;

use futures::{FutureExt as _, Stream, StreamExt as _};
use opentelemetry::trace::Status;
use throughline::testing::{Capture, FinishedSpan};
use throughline::{Value, traced};

#[derive(Debug)]
struct OnlyDebug(#[expect(dead_code, reason = "read by `Debug`")] u8);

struct Neither;

#[derive(Debug)]
struct Shown;

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("card declined")
    }
}

impl std::error::Error for Shown {}

type Aliased<T> = Result<T, Shown>;

fn text(value: &str) -> Value {
    Value::String(value.to_owned().into())
}

fn one(run: impl FnOnce()) -> FinishedSpan {
    let capture = Capture::new();
    capture.run(run);
    assert_eq!(capture.open(), 0, "a span was left open");
    let spans = capture.spans();
    assert_eq!(spans.len(), 1, "{}", capture.tree());
    spans.into_iter().next().expect("there is one")
}

fn assert_failed(span: &FinishedSpan, description: &'static str, error_type: &str) {
    assert_eq!(span.status, Status::error(description));
    assert_eq!(span.attribute("error.type"), Some(&text(error_type)));
    let event = span.event("exception").expect("an exception event");
    let of =
        |key: &str| event.attributes.iter().find(|attribute| attribute.key.as_str() == key).map(|a| a.value.clone());
    assert_eq!(of("exception.type"), Some(text(error_type)));
    assert_eq!(of("error.type"), Some(text(error_type)));
    let message = (!description.is_empty()).then(|| text(description));
    assert_eq!(of("exception.message"), message);
}
