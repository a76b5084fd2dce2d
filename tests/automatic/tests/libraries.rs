//! A service whose libraries spawn. Its own code has spans; that of the libraries knows of none.
//!
//! The audit is told that only a server's span may begin a trace: what a task has lost is named, with its place.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::StreamBody;
use http_body_util::combinators::BoxBody;
use hyper::Request;
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use throughline::audit::{BreakKind, Report, Rules};
use throughline::testing::Capture;
use throughline::{Automatic, SpanKind, Value, in_span, span, without_context};
use tokio::runtime::Builder;
use tower::buffer::Buffer;
use tower::{Service as _, ServiceExt as _};

/// What the audit is to find: the name of a span, and its line.
type Lost = (&'static str, u32);

/// Opens connections for a pool, which does that in a task.
#[derive(Debug)]
struct Database;

const CONNECT: Lost = ("connect", line!() + 7);

impl bb8::ManageConnection for Database {
    type Connection = ();
    type Error = Infallible;

    async fn connect(&self) -> Result<(), Infallible> {
        in_span("connect", || Ok(()))
    }

    async fn is_valid(&self, (): &mut ()) -> Result<(), Infallible> {
        Ok(())
    }

    fn has_broken(&self, (): &mut ()) -> bool {
        false
    }
}

fn pool() -> bb8::Pool<Database> {
    bb8::Pool::builder().max_size(1).build_unchecked(Database)
}

async fn query(pool: &bb8::Pool<Database>) {
    let _connection = pool.get().await.expect("a connection");
    in_span("query", || ());
}

const CHARGE: Lost = ("charge", line!() + 5);

/// A buffer calls its service in a task.
async fn charge() {
    let service = tower::service_fn(|()| {
        in_span("charge", || ());
        async { Ok::<_, Infallible>(()) }
    });
    let mut buffer = Buffer::new(service, 1);
    buffer.ready().await.expect("the worker runs").call(()).await.expect("an answer");
}

type HttpClient = Client<HttpConnector, BoxBody<Bytes, Infallible>>;

fn http_client() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}

const READ: Lost = ("read file", line!() + 5);

/// A connection asks for the body of a request in its own task.
async fn upload(client: &HttpClient, server: SocketAddr, order_no: i64) {
    let chunk = futures_util::stream::once(async move {
        span("read file").biz_tag("order_no", order_no).run(|| ());
        Ok(Frame::data(Bytes::from_static(b"file")))
    });
    let request = Request::post(format!("http://{server}/")).body(BoxBody::new(StreamBody::new(chunk)));
    let answer = client.request(request.expect("it is valid")).await.expect("an answer");
    assert_eq!(answer.status(), 200);
}

/// Answers the requests of one connection, on a thread of its own.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("a client");
        connection.set_read_timeout(Some(Duration::from_secs(60))).expect("it is not zero");
        while let Some(()) = answer(&mut connection) {}
    });
    address
}

/// Reads a request, of which the last chunk is empty. `None` if there is none.
fn answer(connection: &mut TcpStream) -> Option<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n0\r\n\r\n") {
        let mut part = [0; 1024];
        let count = connection.read(&mut part).ok().filter(|count| *count > 0)?;
        request.extend_from_slice(&part[..count]);
    }
    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()
}

/// A cache that gives what it has, and has it refreshed in a task, as libraries do under the name
/// `stale-while-revalidate`.
mod cache {
    use tokio::task::JoinHandle;

    pub(super) fn get<R>(refresh: impl Future<Output = R> + Send + 'static) -> JoinHandle<R>
    where
        R: Send + 'static,
    {
        tokio::spawn(refresh)
    }
}

const REFRESH: Lost = ("refresh", line!() + 3);

async fn price() {
    cache::get(async { in_span("refresh", || ()) }).await.expect("no panic");
}

/// Runs `work` on a runtime whose tasks inherit, or not. What has no context is captured, too.
fn run(automatic: Option<Automatic>, work: impl Future<Output = ()>) -> Capture {
    let mut builder = Builder::new_current_thread();
    let _tasks = automatic.map(|automatic| automatic.install(&mut builder));
    let runtime = builder.enable_all().build().expect("a runtime");
    let capture = Capture::new();
    capture.run(|| runtime.block_on(work));
    drop(runtime);
    capture
}

fn audit(capture: &Capture) -> Report {
    capture.audit(Rules::new().root_kinds([SpanKind::Server]).business_tag("order_no"))
}

async fn request(name: &'static str, work: impl Future<Output = ()>) {
    span(name).kind(SpanKind::Server).run_async(work).await;
}

/// A request to a service that uses all of them.
async fn order() {
    // As at the start of a service.
    let (pool, client, server) = (pool(), http_client(), server());
    request("POST /orders", async {
        query(&pool).await;
        price().await;
        charge().await;
        upload(&client, server, 1001).await;
    })
    .await;
}

#[test]
fn without_propagation_the_audit_names_each() {
    let report = audit(&run(None, order()));
    let mut found: Vec<_> = report
        .breaks
        .iter()
        .map(|found| {
            assert_eq!((found.kind, found.count), (BreakKind::UnparentedEntry, 1), "{report}");
            let place = found.place.as_ref().expect("a place");
            assert!(place.file.ends_with("tests/libraries.rs"), "{place}");
            (&*found.span, place.line.expect("a line"))
        })
        .collect();
    found.sort_by_key(|(_, line)| *line);
    assert_eq!(found, [CONNECT, CHARGE, READ, REFRESH], "{report}");
    assert_eq!((report.total.traces, report.total.complete), (5, 1), "{report}");
}

#[test]
fn with_propagation_the_audit_finds_nothing() {
    let capture = run(Some(Automatic::new()), order());
    let report = audit(&capture);
    assert!(report.is_unbroken(), "{report}");
    capture.assert_tree(
        "
        POST /orders [server]
        ├── connect
        ├── query
        ├── refresh
        ├── charge
        └── read file
        ",
    );
}

/// A task may begin its work when the request is over.
#[test]
fn what_a_task_does_later_is_no_break() {
    let capture = run(Some(Automatic::new()), async {
        let (finish, finished) = tokio::sync::oneshot::channel();
        let mut job = None;
        request("GET /price", async {
            job = Some(cache::get(async {
                finished.await.expect("a sender");
                in_span("refresh", || ());
            }));
        })
        .await;
        // Longer than the precision of the audit.
        tokio::time::sleep(Duration::from_millis(1)).await;
        finish.send(()).expect("a receiver");
        job.expect("it was spawned").await.expect("no panic");
    });
    let report = audit(&capture);
    assert!(report.is_unbroken(), "{report}");
    capture.assert_tree("GET /price [server]\n└── refresh");
    let (request, refresh) = (capture.span("GET /price"), capture.span("refresh"));
    assert!(refresh.start_time > request.end_time);
    assert_eq!(refresh.attribute("throughline.detached"), Some(&Value::Bool(true)));
}

/// Two requests over one connection, whose task was spawned in the first of them.
async fn two_uploads(client: HttpClient) {
    let server = server();
    for order_no in [1001, 1002] {
        request("POST /orders", upload(&client, server, order_no)).await;
    }
}

/// A task that serves everyone is not that of the request in which it happens to be spawned. The audit sees two orders in
/// one trace; without the context, it sees what has no parent, which is the truth.
#[test]
fn workers_that_serve_everyone_are_left_out() {
    let capture = run(Some(Automatic::new()), two_uploads(http_client()));
    capture.assert_tree("POST /orders [server]\n├── read file\n└── read file\nPOST /orders [server]");
    let report = audit(&capture);
    assert_eq!((report.breaks.len(), report.count(BreakKind::ConflictingTag)), (1, 1), "{report}");

    let capture = run(Some(Automatic::new().except("/hyper-util-")), two_uploads(http_client()));
    let report = audit(&capture);
    assert_eq!(report.count(BreakKind::ConflictingTag), 0, "{report}");
    assert_eq!((report.breaks.len(), report.count(BreakKind::UnparentedEntry)), (1, 2), "{report}");
}

/// What such a worker does for a request gets the context with it: here, the stream of the body.
#[test]
fn what_a_worker_is_given_can_bring_its_context() {
    async fn upload(client: &HttpClient, server: SocketAddr, order_no: i64) {
        let context = throughline::Snapshot::capture();
        let chunk = futures_util::stream::once(async move {
            context.run(|| span("read file").biz_tag("order_no", order_no).run(|| ()));
            Ok(Frame::data(Bytes::from_static(b"file")))
        });
        let request = Request::post(format!("http://{server}/")).body(BoxBody::new(StreamBody::new(chunk)));
        client.request(request.expect("it is valid")).await.expect("an answer");
    }
    let capture = run(Some(Automatic::new().except("/hyper-util-")), async {
        let (client, server) = (http_client(), server());
        for order_no in [1001, 1002] {
            request("POST /orders", upload(&client, server, order_no)).await;
        }
    });
    let report = audit(&capture);
    assert!(report.is_unbroken(), "{report}");
    capture.assert_tree("POST /orders [server]\n└── read file\nPOST /orders [server]\n└── read file");
}

/// A worker that was spawned before the request has nothing to inherit: the audit names what it does.
#[test]
fn workers_from_before_the_request_do_not_inherit() {
    let capture = run(Some(Automatic::new()), async {
        let service = tower::service_fn(|()| {
            in_span("charge", || ());
            async { Ok::<_, Infallible>(()) }
        });
        let mut buffer = without_context(|| Buffer::new(service, 1));
        request("POST /orders", async {
            buffer.ready().await.expect("the worker runs").call(()).await.expect("an answer");
        })
        .await;
    });
    let report = audit(&capture);
    assert_eq!((report.breaks.len(), report.count(BreakKind::UnparentedEntry)), (1, 1), "{report}");
}
