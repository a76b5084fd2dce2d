//! How much error text is recorded is a process-wide setting, so this is a single test.

use opentelemetry::trace::Status;
use throughline::testing::{Capture, FinishedSpan};
use throughline::{ErrorText, record_error, set_error_text, traced};

#[traced]
fn fails() -> Result<(), String> {
    Err("user ada has no card".to_owned())
}

#[traced(err = debug)]
fn debugs() -> Result<(), String> {
    Err("user ada has no card".to_owned())
}

#[traced]
fn panics() {
    panic!("user {} is locked", "ada")
}

#[traced]
fn handles() {
    record_error(&std::io::Error::other("user ada is gone"));
}

#[traced(stream)]
fn streams() -> impl futures::Stream<Item = Result<(), String>> {
    futures::stream::iter([Err("user ada has no card".to_owned())])
}

/// The URLs recorded by the client and the server of an HTTP call.
fn urls() -> Vec<String> {
    use tower::{Layer as _, ServiceExt as _};
    type Answer = Result<http::Response<http_body_util::Empty<bytes::Bytes>>, std::convert::Infallible>;

    let capture = Capture::new();
    let handler = tower::service_fn(|_: http::Request<()>| std::future::ready(Answer::Ok(http::Response::default())));
    let server = throughline_http::ServerLayer::new().layer(handler);
    let client = throughline_http::ClientLayer::new().layer(server);
    let request = http::Request::get("http://localhost/users/ada?name=ada&token=t").body(()).expect("a request");
    futures::executor::block_on(capture.run_async(client.oneshot(request))).expect("an answer");
    let keys = ["url.full", "url.path", "url.query"];
    let attributes = capture.spans().into_iter().flat_map(|span| span.attributes.clone());
    let mut urls: Vec<_> =
        attributes.filter(|it| keys.contains(&it.key.as_str())).map(|it| it.value.to_string()).collect();
    urls.sort();
    urls
}

/// The texts recorded by spans of all kinds of failures.
fn shown() -> Vec<(String, String)> {
    let capture = Capture::new();
    capture.run(|| {
        drop(fails());
        drop(debugs());
        let _caught = std::panic::catch_unwind(panics);
        handles();
        assert_eq!(futures::executor::block_on_stream(std::pin::pin!(streams())).count(), 1);
    });
    capture.spans().iter().flat_map(texts).collect()
}

fn texts(span: &FinishedSpan) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    if let Status::Error { description } = &span.status {
        texts.push((format!("{} status", span.name), description.to_string()));
    }
    let events = span.events.events.iter().flat_map(|event| &event.attributes);
    texts.extend(
        events
            .filter(|attribute| attribute.key.as_str().strip_suffix(".type").is_none())
            .map(|attribute| (format!("{} {}", span.name, attribute.key), attribute.value.to_string())),
    );
    texts
}

/// An error with a source.
#[derive(Debug)]
struct Declined(std::io::Error);

impl std::fmt::Display for Declined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("user ada is declined")
    }
}

impl std::error::Error for Declined {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// The number of recorded texts that contain the user, for an error in a field of a `tracing` span and in two events,
/// the second of which is the outcome of the span: with the tracing layer, and with `SpanEvents`.
fn logged() -> (usize, usize) {
    use tracing_subscriber::layer::SubscriberExt as _;

    let error = Declined(std::io::Error::other("user ada has no card"));
    let error: &(dyn std::error::Error + 'static) = &error;
    let capture = Capture::new();
    let log = || {
        let _entered = tracing::info_span!("span", cause = error).entered();
        tracing::error!(error, cause = error, "it goes on");
        tracing::error!(error);
    };
    let layer = tracing_subscriber::registry().with(throughline::tracing_layer());
    tracing::subscriber::with_default(layer, || capture.run(log));
    let span = capture.span("span");
    assert!(matches!(span.status, Status::Error { .. }), "{:?}", span.status);
    let of_events = span.events.events.iter().flat_map(|event| &event.attributes);
    let texts: Vec<_> = span.attributes.iter().chain(of_events).map(|it| it.value.to_string()).collect();
    let of_span = texts.iter().filter(|text| text.contains("ada")).count() + usize::from(texts_name_status(&span));

    let capture = Capture::new();
    let subscriber = tracing_subscriber::registry().with(throughline::log::SpanEvents::new());
    tracing::subscriber::with_default(subscriber, || capture.run(|| throughline::in_span("span", log)));
    let events = capture.span("span").events.events.clone();
    let texts = events.iter().flat_map(|event| &event.attributes).map(|it| it.value.to_string());
    (of_span, texts.filter(|text| text.contains("ada")).count())
}

/// The texts in the events on the spans of two failed requests, one of which has called a server that does not answer.
fn failed_requests() -> Vec<(String, String)> {
    use tower::{Layer as _, ServiceExt as _};
    use tracing_subscriber::layer::SubscriberExt as _;
    type Answer = http::Response<http_body_util::Empty<bytes::Bytes>>;

    let layer = throughline_http::ServerLayer::new();
    let request = || http::Request::new(());
    let named = layer.layer(tower::service_fn(|_: http::Request<()>| {
        let mut answer = Answer::default();
        *answer.status_mut() = http::StatusCode::BAD_GATEWAY;
        answer.extensions_mut().insert(throughline_http::Cause::new("user ada is gone"));
        std::future::ready(Ok::<_, std::convert::Infallible>(answer))
    }));
    let failing = tower::service_fn(|_: http::Request<()>| {
        std::future::ready(Err::<Answer, _>(std::io::Error::other("user ada is gone")))
    });
    let calling = layer.layer(tower::service_fn(move |request: http::Request<()>| async move {
        let called = throughline_http::ClientLayer::new().layer(failing).oneshot(request).await;
        let mut answer = called.unwrap_or_default();
        *answer.status_mut() = http::StatusCode::BAD_GATEWAY;
        Ok::<_, std::convert::Infallible>(answer)
    }));
    let capture = Capture::new();
    let subscriber = tracing_subscriber::registry().with(throughline::log::SpanEvents::new());
    tracing::subscriber::with_default(subscriber, || {
        futures::executor::block_on(capture.run_async(named.oneshot(request()))).expect("an answer");
        futures::executor::block_on(capture.run_async(calling.oneshot(request()))).expect("an answer");
        let failed = futures::executor::block_on(capture.run_async(layer.layer(failing).oneshot(request())));
        assert!(failed.is_err());
    });
    let spans = capture.spans();
    let attributes = spans.iter().flat_map(|span| &span.events.events).flat_map(|event| &event.attributes);
    attributes
        .map(|it| (it.key.to_string(), it.value.to_string()))
        .filter(|(key, _)| matches!(&**key, "exception.message" | "error"))
        .collect()
}

fn texts_name_status(span: &FinishedSpan) -> bool {
    matches!(&span.status, Status::Error { description } if description.contains("ada"))
}

/// The texts recorded for errors in events whose text is too long to be recorded as a whole: two that are outcomes of a
/// `tracing` span, and two that are not, with the tracing layer and with `SpanEvents`.
fn long() -> Vec<String> {
    use tracing_subscriber::layer::SubscriberExt as _;

    // The credentials are where the text is truncated.
    let text = format!("{} postgres://ada:{}@db/orders", "x".repeat(990), "hunter2".repeat(10));
    let error = std::io::Error::other(text);
    let error: &(dyn std::error::Error + 'static) = &error;
    let log_errors = || {
        tracing::info_span!("display").in_scope(|| tracing::error!(%error));
        tracing::info_span!("error").in_scope(|| tracing::error!(error));
        tracing::info_span!("handled").in_scope(|| tracing::error!(error, "it goes on"));
        throughline::in_span("handled too", || tracing::error!(error, "it goes on"));
    };
    let mut long = Vec::new();
    let layer = tracing_subscriber::registry().with(throughline::tracing_layer());
    let events = tracing_subscriber::registry().with(throughline::log::SpanEvents::new());
    for subscriber in [tracing::Dispatch::new(layer), tracing::Dispatch::new(events)] {
        let capture = Capture::new();
        tracing::dispatcher::with_default(&subscriber, || capture.run(log_errors));
        for span in capture.spans() {
            long.extend(texts(&span).into_iter().map(|(_, text)| text).filter(|text| text.len() > 900));
        }
    }
    long
}

#[test]
fn the_setting_applies_to_all_error_text() {
    let init = |variable: &'static str| {
        let get = move |name: &str| match name {
            "THROUGHLINE_ERROR_TEXT" => Some(variable.to_owned()),
            "OTEL_SDK_DISABLED" => Some("true".to_owned()),
            _ => None,
        };
        throughline::telemetry::builder().variables(get)
    };
    let full = shown();
    assert_eq!(full.len(), 9, "{full:?}");
    let wrong = init("none").init().expect_err("no such choice");
    assert_eq!(wrong.to_string(), "`THROUGHLINE_ERROR_TEXT` is `none`; expected one of `full`, `type`");
    drop(init("full").init().expect("valid configuration"));
    assert_eq!(shown(), full);
    // Code takes precedence over the variable.
    drop(init("full").error_text(ErrorText::type_only()).init().expect("valid configuration"));
    assert!(shown().iter().all(|(_, text)| text.is_empty()));
    set_error_text(ErrorText::full());
    drop(init("type").init().expect("valid configuration"));
    assert_eq!(shown(), full);
    assert!(full.iter().all(|(_, text)| text.contains("ada")), "{full:?}");
    // Each with its source: one of the span, two of the first event, and one of the second; and the status.
    assert_eq!(logged(), (9, 6));
    let full_requests = failed_requests();
    let of = |key: &str| full_requests.iter().filter(|(it, _)| it == key).count();
    assert_eq!((of("exception.message"), of("error")), (3, 3), "{full_requests:?}");
    assert!(full_requests.iter().all(|(_, text)| text.contains("ada")), "{full_requests:?}");

    // A secret is recognized although the text is truncated in the middle of it.
    let long_texts = long();
    assert_eq!(long_texts.len(), 7, "{long_texts:?}");
    for text in &long_texts {
        assert!(text.contains("postgres://REDACTED:") && !text.contains("hunter2"), "{}", &text[980..]);
        assert!(text.len() <= throughline::MAX_TEXT_BYTES + '…'.len_utf8());
    }

    set_error_text(ErrorText::type_only());
    let types = shown();
    assert_eq!(types.len(), 4, "a status has no text, and an event no message: {types:?}");
    assert!(types.iter().all(|(_, text)| text.is_empty()), "{types:?}");
    assert_eq!(logged(), (0, 0));
    assert_eq!(failed_requests(), [], "neither a message nor an empty one");

    set_error_text(ErrorText::redacted(|text| text.replace("ada", "…")));
    let redacted = shown();
    assert_eq!(redacted.len(), full.len());
    assert_eq!(logged(), (0, 0));
    for ((at, full), (_, redacted)) in full.iter().zip(&redacted) {
        assert_eq!(full.replace("ada", "…"), *redacted, "{at}");
    }

    assert_eq!(urls(), ["/users/…", "http://localhost/users/…?name=…&token=REDACTED", "name=…&token=REDACTED"]);

    // The whole text is redacted before it is truncated, and if the function panics, none of it is recorded.
    set_error_text(ErrorText::redacted(|text| {
        assert!(!text.contains("ada"), "a bug");
        text.len().to_string()
    }));
    assert!(shown().iter().all(|(_, text)| text == "<panicked while redacting>"));
    let capture = Capture::new();
    drop(capture.run(|| throughline::try_in_span("long", || Err::<(), _>("x".repeat(3000)))));
    assert_eq!(capture.span("long").status, Status::error("3000"));

    set_error_text(ErrorText::full());
    assert_eq!(shown(), full);
}
