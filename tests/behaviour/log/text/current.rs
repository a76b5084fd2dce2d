//! `current`, for the application's own formatters.

use std::fmt;

use throughline::log::current;
use throughline::span;
use throughline::testing::Capture;
use tracing::{Subscriber, info};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

use super::subscriber;
use crate::log::{Output, ids};

/// The use case of [`current`].
#[test]
fn a_formatter_of_the_user_can_print_what_is_current() {
    struct Own;
    impl<S, N> FormatEvent<S, N> for Own
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        N: for<'a> FormatFields<'a> + 'static,
    {
        fn format_event(
            &self,
            ctx: &FmtContext<'_, S, N>,
            mut writer: Writer<'_>,
            event: &tracing::Event<'_>,
        ) -> fmt::Result {
            ctx.format_fields(writer.by_ref(), event)?;
            writeln!(writer, " [{}]", current())
        }
    }
    let output = Output::default();
    let subscriber = subscriber().with_ansi(false).event_format(Own).with_writer(output.writer()).finish();
    let capture = Capture::new();
    crate::subscriber::with_default(subscriber, || {
        info!("outside");
        capture.run(|| span("order").biz_tag("note", "two\nwords").biz_tag("n", 7).run(|| info!("inside")));
    });
    let expected = format!("outside []\ninside [{} note=\"two\\nwords\" n=7]\n", ids(&capture.span("order")));
    assert_eq!(output.text(), expected);
}

#[test]
fn current_tells_the_parts() {
    assert!(current().is_empty());
    assert_eq!((current().trace_id(), current().span_id(), current().trace_flags()), (None, None, None));
    let capture = Capture::new();
    let seen = capture.run(|| span("order").biz_tag("n", 7).run(current));
    let order = capture.span("order");
    assert_eq!(seen.trace_id(), Some(order.trace_id()));
    assert_eq!(seen.span_id(), Some(order.span_id()));
    assert_eq!(seen.trace_flags(), Some(opentelemetry::TraceFlags::SAMPLED));
    assert_eq!(seen.tags(), [opentelemetry::KeyValue::new("n", 7)]);
    assert!(!seen.is_empty());
    let without_tags = capture.run(|| throughline::in_span("payment", current));
    assert!(!without_tags.is_empty() && without_tags.tags().is_empty());
    let without_span = throughline::in_tags(&[("n", &7)], current);
    assert!(!without_span.is_empty() && without_span.trace_id().is_none());
}
