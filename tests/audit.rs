//! The audit of a service in normal operation reports nothing, and takes bounded memory.

use std::collections::HashMap;
use std::time::Duration;

use allocation_counter::measure;
use axum::Router;
use axum::body::Body;
use futures::stream::{self, StreamExt as _};
use http::{Request, StatusCode};
use throughline::audit::{Audit, BreakKind, Report, Rules, Span};
use throughline::testing::Capture;
use throughline::{Carried, JoinSetExt as _, Snapshot, SpanKind, biz_tags, propagation, traced, traced_spawn};
use throughline_http::{ClientLayer, ServerLayer};
use tokio::task::JoinSet;
use tower::{ServiceBuilder, ServiceExt as _};

type Headers = HashMap<String, String>;

/// Audits the captured spans.
fn audit(capture: &Capture, rules: Rules) -> Report {
    let mut audit = Audit::new(rules);
    for span in capture.spans() {
        audit.push(Span::from_span_data(&span, "orders"));
    }
    audit.finish()
}

#[traced]
async fn load(order_no: i64) -> i64 {
    tokio::task::yield_now().await;
    order_no
}

#[traced]
async fn flaky(attempt: u32) -> Result<(), String> {
    tokio::task::yield_now().await;
    if attempt < 2 { Err(format!("attempt {attempt}")) } else { Ok(()) }
}

#[traced(stream)]
fn rows() -> impl futures::Stream<Item = u32> {
    stream::iter(0..3).map(|row| {
        throughline::in_span("row", || ());
        row
    })
}

#[traced_spawn]
async fn send_receipt(pause: Duration) {
    tokio::time::sleep(pause).await;
    throughline::in_span("render", || ());
}

#[traced_spawn(blocking)]
fn compress() {
    throughline::in_span("deflate", || ());
}

#[traced_spawn(thread)]
fn archive() {
    throughline::in_span("write", || ());
}

#[traced_spawn(link)]
async fn reindex() {
    throughline::in_span("index", || ());
}

#[traced_spawn(root)]
async fn warm_up() {
    throughline::in_span("fetch", || ());
}

#[traced_spawn]
async fn fails() -> Result<(), String> {
    Err("no paper".to_owned())
}

#[traced_spawn]
async fn panics() {
    panic!("on purpose");
}

#[traced(kind = consumer, parent = message)]
fn consume(message: &Headers) {
    throughline::in_span("store", || ());
    let _ = message;
}

#[traced(kind = consumer, links = messages)]
fn consume_batch(messages: &[Headers]) {
    throughline::in_span("store all", || ());
}

#[traced(kind = consumer, parent = message)]
fn handle(message: Carried<u32>) -> u32 {
    throughline::in_span("count", || message.into_inner())
}

#[traced(root)]
fn nightly_report() {
    throughline::in_span("sum up", || ());
}

/// Everything that one request causes. Returns the work that outlives it.
#[biz_tags(tenant_id)]
#[traced]
async fn place(tenant_id: String, order_no: i64) -> (Vec<tokio::task::JoinHandle<()>>, Vec<Headers>, Carried<u32>) {
    load(order_no).await;
    for attempt in 0.. {
        if flaky(attempt).await.is_ok() {
            break;
        }
    }
    assert_eq!(rows().count().await, 3);
    // Cancelled by a timeout, and by the other branch of `select!`.
    drop(tokio::time::timeout(Duration::ZERO, throughline::in_span_async("hang", std::future::pending::<()>())).await);
    tokio::select! {
        biased;
        () = throughline::in_span_async("slower", std::future::pending()) => {}
        _ = load(order_no) => {}
    }
    let (left, right) = tokio::join!(load(1), throughline::in_span_async("other", load(2)));
    assert_eq!(left + right, 3);
    let mut set = JoinSet::new();
    for number in 0..3 {
        set.spawn_traced(load(number));
    }
    while let Some(done) = set.join_next().await {
        done.expect("no panic");
    }
    throughline::rayon::join(|| throughline::in_span("left", || ()), || ());
    let scoped = Snapshot::capture();
    std::thread::scope(|scope| {
        scope.spawn(|| scoped.run(|| throughline::in_span("scoped", || ())));
    });
    archive().join().expect("no panic");
    let jobs = vec![send_receipt(Duration::from_millis(20)), compress(), reindex(), warm_up(), panics()];
    drop(fails());
    let messages = (0..3).map(|_| {
        let mut message = Headers::new();
        throughline::span("send orders").kind(SpanKind::Producer).run(|| propagation::inject(&mut message));
        message
    });
    (jobs, messages.collect(), Carried::new(7))
}

/// Calls a service twice, with the client and server layers of `throughline-http`.
async fn call() -> StatusCode {
    let stock = Router::new().route("/stock", axum::routing::get(async || throughline::in_span("count", || "7")));
    let stock = stock.layer(ServerLayer::new());
    let client = ServiceBuilder::new().layer(ClientLayer::new()).service(stock);
    let request = || Request::get("http://stock.example/stock").body(Body::empty()).expect("a request");
    assert!(client.clone().oneshot(request()).await.is_ok());
    client.oneshot(request()).await.expect("the service never fails").status()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_in_normal_operation_is_unbroken() {
    const REQUESTS: i64 = 50;
    let capture = Capture::new();
    capture
        .run_async(async {
            for order_no in 0..REQUESTS {
                let request = throughline::span("POST /orders").kind(SpanKind::Server);
                let (jobs, messages, carried) = request
                    .run_async(async {
                        assert_eq!(call().await, StatusCode::OK);
                        place("acme".to_owned(), order_no).await
                    })
                    .await;
                // One of the messages is delivered twice.
                messages.iter().for_each(consume);
                consume(&messages[0]);
                consume_batch(&messages);
                assert_eq!(handle(carried), 7);
                nightly_report();
                for job in jobs {
                    let _ = job.await;
                }
            }
        })
        .await;
    capture.wait_async(Duration::from_secs(30)).await.expect("all jobs end");
    let report = audit(&capture, Rules::new().business_tag("tenant_id"));
    assert!(report.is_unbroken(), "{report}");
    assert_eq!(report.total.percent(), "100.000 %");
    // The request, the traces linked to it (the batch and `reindex`), `warm_up` and `nightly_report`.
    assert_eq!(report.total.traces, 5 * REQUESTS as u64);
    assert!(report.total.spans > 45 * REQUESTS as u64, "{report}");

    // The same spans without one that is lost.
    let mut audit = Audit::new(Rules::new());
    let spans = capture.spans();
    let lost = spans.iter().find(|span| span.name() == "place").expect("it was captured").span_id();
    for span in spans.iter().filter(|span| span.span_id() != lost) {
        audit.push(Span::from_span_data(span, "orders"));
    }
    let report = audit.finish();
    assert_eq!((report.breaks.len(), report.count(BreakKind::MissingParent)), (1, 1), "{report}");
    assert_eq!(report.total.traces - report.total.complete, 1);
}

/// A trace of ten spans like those of a decoder, which shares their names, without attributes.
fn trace(number: u128, names: &[std::sync::Arc<str>]) -> impl Iterator<Item = Span> {
    names.iter().zip(1_u64..).map(move |(name, id)| {
        let mut span = Span::new(number.into(), id.into(), std::sync::Arc::clone(name));
        span.parent_id = (id > 1).then(|| (id / 2).into());
        (span.start, span.end) = (id, Some(100 - id));
        span
    })
}

/// Memory is bounded by the buffer, of 65,536 spans as in a running process, however many traces there are.
#[test]
fn memory_is_bounded() {
    const WINDOW: usize = 1 << 16;
    let names: Vec<std::sync::Arc<str>> = (0..10).map(|number| format!("span {number}").into()).collect();
    let bytes_for = |traces: u128| {
        let counted = measure(|| {
            let mut audit = Audit::new(Rules::new().max_spans(WINDOW));
            (1..=traces).flat_map(|number| trace(number, &names)).for_each(|span| audit.push(span));
            assert!(audit.report().is_unbroken());
        });
        counted.bytes_max
    };
    let (few, many) = (bytes_for(10_000), bytes_for(30_000));
    println!("{few} bytes for 10,000 traces, {many} for 30,000");
    assert!(many < 40_000_000, "{many}");
    assert!(many < few + few / 4, "{few} and {many}");
}
