//! Reports of messaging integrations.

use throughline::messaging::{self, Producer};
use throughline::testing::Capture;
use throughline::{Outcome, semconv};

use crate::output::Output;

#[test]
fn dropped_headers_are_on_the_span_and_warned_about_once() {
    let (capture, output) = (Capture::new(), Output::default());
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(output.writer()).finish();
    crate::subscriber::with_default(subscriber, || {
        for headers in [&["traceparent", "baggage"][..], &[], &["baggage"]] {
            let mut span = capture.run(|| Producer::new("mail", "orders").start());
            messaging::report_dropped(&span.context(), "mail", headers.iter().map(ToString::to_string));
            span.end(Outcome::ok);
        }
    });
    let dropped =
        |key| capture.spans().iter().map(|span| span.attribute(key).map(ToString::to_string)).collect::<Vec<_>>();
    let expected = [Some(r#"["traceparent","baggage"]"#.to_owned()), None, Some(r#"["baggage"]"#.to_owned())];
    assert_eq!(dropped(semconv::THROUGHLINE_MESSAGING_DROPPED_HEADERS), expected);
    let expected = "a message for `mail` was sent without the headers `traceparent`, `baggage`, with which";
    let lines = output.lines();
    assert!(matches!(&lines[..], [line] if line.contains(expected)), "{lines:?}");
}

#[test]
fn a_producer_span_that_is_dropped_is_cancelled_unless_that_is_off() {
    let capture = Capture::new();
    capture.run(|| {
        drop(Producer::new("mail", "orders.7").target("orders.{no}").start());
        drop(Producer::new("mail", "bills").cancel_off().start());
    });
    let sent = capture.span("send orders.{no}");
    assert!(sent.is_cancelled());
    let destination = sent.attribute(semconv::MESSAGING_DESTINATION_NAME).map(ToString::to_string);
    assert_eq!(destination.as_deref(), Some("orders.7"));
    assert!(!capture.span("send bills").is_cancelled());
}
