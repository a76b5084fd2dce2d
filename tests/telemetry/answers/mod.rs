//! Responses that no well-behaved collector sends.

mod other_servers;
mod secrets;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use throughline::telemetry::{ExportStats, Protocol, Telemetry};
use throughline_load::{Behaviour, partial_success};

use crate::process::{alone, until};
use crate::support::{Kept, Log, run, trace};

/// An HTTP/1.1 server that sends the given responses in turn, and then repeats the last one.
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

type Answer = Box<dyn Fn(&mut TcpStream) + Send>;

impl Server {
    fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let asked = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                read_request(&stream);
                let at = counted.fetch_add(1, Ordering::Relaxed);
                answers[at.min(answers.len() - 1)](&mut stream);
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    fn telemetry(&self) -> Telemetry {
        self.sending_after("")
    }

    /// With this schedule delay, and without a request timeout.
    fn sending_after(&self, delay: &'static str) -> Telemetry {
        throughline::telemetry::builder()
            .variables(|name| match name {
                "OTEL_EXPORTER_OTLP_TIMEOUT" => Some("0".to_owned()),
                "OTEL_BSP_SCHEDULE_DELAY" => Some(delay.to_owned()),
                _ => None,
            })
            .collector(format!("http://{}/v1/traces", self.address), Protocol::HttpProtobuf)
            .init()
            .expect("a valid configuration")
    }
}

fn read_request(stream: &TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a request");
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
}

/// A complete response, after which the connection is closed.
fn plain(head: &str, body: &[u8]) -> Answer {
    let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    let answer = [head.as_bytes(), body].concat();
    Box::new(move |stream| stream.write_all(&answer).expect("the client reads"))
}

fn flush(telemetry: &Telemetry) -> ExportStats {
    telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector responds");
    telemetry.export_stats()
}

alone! {
    fn a_redirect_is_not_followed_and_is_not_a_success() {
        let log = Log::keep();
        for head in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
            // If the redirect was followed, the login page would be requested.
            let server = Server::start(vec![
                plain(&format!("{head}\r\nlocation: /login"), b""),
                plain("200 OK", b"please log in"),
            ]);
            let telemetry = server.telemetry();
            trace(2);
            let stats = flush(&telemetry);
            assert_eq!((stats.exported, stats.refused, server.asked()), (0, 3, 1), "{head}");
            run(telemetry.shutdown(Duration::from_secs(30)));
            assert!(log.text().contains(&format!("refused 3 spans: status {head}")), "{}", log.text());
        }
    }
}

alone! {
    /// OTLP, "OTLP/HTTP Response": a response of more than 4 MiB is an error that is not retryable.
    fn an_endless_response_is_not_read_to_its_end() {
        let log = Log::keep();
        let (tell, told) = mpsc::channel();
        let server = Server::start(vec![Box::new(move |stream: &mut TcpStream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("the client reads");
            // Until the client stops reading.
            while stream.write_all(&[b' '; 1 << 16]).is_ok() {}
            let _ = tell.send(());
        })]);
        let telemetry = server.telemetry();
        trace(2);
        let stats = flush(&telemetry);
        assert_eq!((stats.exported, stats.refused), (0, 3));
        told.recv().expect("the connection is closed");
        drop(telemetry);
        let expected = "refused 3 spans: status 200 OK, but the response is larger than 4 MiB";
        assert!(log.text().contains(expected), "{}", log.text());
    }
}

alone! {
    /// The largest responses that are read.
    fn a_response_is_read_up_to_the_limit() {
        let partial = |padding: usize| partial_success(1, &"x".repeat(padding));
        let largest = partial((4 << 20) - (partial(4 << 20).len() - (4 << 20)));
        assert_eq!(largest.len(), 4 << 20);
        let too_large = partial(4 << 20);
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", too_large.len());
        let not_read: Answer = Box::new(move |stream| {
            stream.write_all(head.as_bytes()).expect("the client reads");
            let _ = stream.write_all(&too_large);
        });
        let server = Server::start(vec![plain("200 OK", &largest), not_read]);
        let telemetry = server.telemetry();
        for (exported, refused) in [(2, 1), (2, 4)] {
            trace(2);
            let stats = flush(&telemetry);
            assert_eq!((stats.exported, stats.refused), (exported, refused));
        }
        drop(telemetry);
    }
}

alone! {
    /// As from a proxy, which does not store the spans.
    fn an_html_page_is_a_success_with_one_warning() {
        let log = Log::keep();
        let server = Server::start(vec![plain("200 OK\r\ncontent-type: text/html; charset=utf-8", b"<p>welcome")]);
        let telemetry = server.telemetry();
        for exported in [3, 6] {
            trace(2);
            assert_eq!(flush(&telemetry).exported, exported);
        }
        drop(telemetry);
        assert_eq!(log.count("responds with an HTML page (`text/html`), which no collector does"), 1, "{}", log.text());
    }
}

alone! {
    /// As from a gRPC server that has stored the spans.
    fn the_grpc_status_ok_is_a_success() {
        let server = Server::start(vec![plain("200 OK\r\ngrpc-status: 0", b"")]);
        let telemetry = server.telemetry();
        trace(2);
        let stats = flush(&telemetry);
        assert_eq!((stats.exported, stats.refused), (3, 0));
        drop(telemetry);
    }
}

alone! {
    fn an_invalid_or_truncated_body_does_not_change_a_success() {
        let garbage = plain("200 OK", &[0xff; 100]);
        let part: Answer = Box::new(|stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").expect("the client reads");
        });
        let server = Server::start(vec![garbage, part]);
        let telemetry = server.telemetry();
        for exported in [3, 6] {
            trace(2);
            let stats = flush(&telemetry);
            assert_eq!((stats.exported, stats.refused), (exported, 0));
        }
        drop(telemetry);
    }
}

alone! {
    fn permanent_failures_by_status() {
        for head in ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "500 Internal Server Error"] {
            let server = Server::start(vec![plain(head, b"no")]);
            let telemetry = server.telemetry();
            trace(2);
            let stats = flush(&telemetry);
            assert_eq!((stats.exported, stats.refused, server.asked()), (0, 3, 1), "{head}");
            drop(telemetry);
        }
    }
}

alone! {
    /// OTLP/HTTP, "Failures": the body is a `Status`. Other servers send text, or a page.
    fn the_reason_of_a_refusal_is_the_message_of_a_status_or_text() {
        let log = Log::keep();
        let status = b"\x08\x07\x12\x0eno such tenant";
        for (kind, body, reason) in [
            ("application/x-protobuf", &status[..], ": no such tenant"),
            ("application/json; charset=utf-8", br#"{"message":"full"}"#, r#": {"message":"full"}"#),
            ("text/html", b"<p>no such page", ""),
        ] {
            let server = Server::start(vec![plain(&format!("403 Forbidden\r\ncontent-type: {kind}"), body)]);
            let telemetry = server.telemetry();
            trace(2);
            assert_eq!(flush(&telemetry).refused, 3);
            run(telemetry.shutdown(Duration::from_secs(30)));
            let expected = format!("refused 3 spans: status 403 Forbidden{reason}; check the credentials");
            assert!(log.text().contains(&expected), "{}", log.text());
        }
    }
}

alone! {
    fn retryable_failures_by_status() {
        let server = Server::start(vec![
            plain("429 Too Many Requests\r\nretry-after: 0", b""),
            plain("502 Bad Gateway\r\nretry-after: soon", b""),
            plain("503 Service Unavailable\r\nretry-after: -99999999999999999999", b""),
            plain("504 Gateway Timeout", b""),
            Box::new(|_| {}),
            Box::new(|stream| stream.write_all(b"not HTTP at all\r\n\r\n").expect("the client reads")),
            plain("200 OK", b""),
        ]);
        let telemetry = server.telemetry();
        trace(2);
        let stats = flush(&telemetry);
        assert_eq!((stats.exported, stats.refused, server.asked()), (3, 0, 7));
        drop(telemetry);
    }
}

alone! {
    fn a_shutdown_cuts_the_backoff_short() {
        let server = Server::start(vec![plain("503 Service Unavailable\r\nretry-after: 30", b""), plain("200 OK", b"")]);
        let telemetry = server.sending_after("10");
        trace(0);
        until("a request has arrived", || server.asked() == 1);
        let report = run(telemetry.shutdown(Duration::from_secs(10)));
        assert!(report.is_complete() && server.asked() == 2, "{report:?}");
    }
}

alone! {
    /// A batch is split. The first part is refused, and the second is accepted with a partial success that rejects
    /// none, as the collector in Go sends it.
    fn the_reason_is_that_of_the_part_that_was_refused() {
        let log = Log::keep();
        let partial = |rejected, message: &str| plain("200 OK", &partial_success(rejected, message));
        let server = Server::start(vec![plain("413 Too Large", b""), partial(1, "too old"), partial(0, "")]);
        let telemetry = server.telemetry();
        trace(3);
        let stats = flush(&telemetry);
        assert_eq!((stats.exported, stats.refused), (3, 1));
        run(telemetry.shutdown(Duration::from_secs(30)));
        assert!(log.text().contains("refused 1 span: too old"), "{}", log.text());
    }
}

alone! {
    fn a_refusal_without_a_message_is_logged_as_such() {
        let log = Log::keep();
        let server = Server::start(vec![plain("200 OK", &partial_success(3, ""))]);
        let text = refusal(server.telemetry(), &log);
        assert!(text.contains("refused 3 spans: partial success without a message\n"), "{text}");
    }
}

alone! {
    /// Even if the collector has accepted spans before, because a token may expire.
    fn refused_credentials_are_logged_with_the_variable() {
        let log = Log::keep();
        for head in ["401 Unauthorized", "403 Forbidden"] {
            let server = Server::start(vec![plain("200 OK", b""), plain(head, b"")]);
            let telemetry = server.telemetry();
            trace(0);
            assert_eq!(flush(&telemetry).exported, 1);
            trace(0);
            assert_eq!(flush(&telemetry).refused, 1);
            run(telemetry.shutdown(Duration::from_secs(30)));
            let expected =
                format!("refused 1 span: status {head}; check the credentials, commonly in `OTEL_EXPORTER_OTLP_HEADERS`\n");
            assert!(log.text().contains(&expected), "{}", log.text());
        }
    }
}

alone! {
    fn a_timeout_that_is_too_long_for_a_socket_logs_no_warning() {
        let log = Log::keep();
        let server = Server::start(vec![plain("200 OK", b"")]);
        let telemetry = throughline::telemetry::builder()
            .variables(|name| (name == "OTEL_EXPORTER_OTLP_TIMEOUT").then(|| u64::MAX.to_string()))
            .collector(format!("http://{}/v1/traces", server.address), Protocol::HttpProtobuf)
            .init()
            .expect("a valid configuration");
        trace(0);
        assert_eq!(flush(&telemetry).exported, 1);
        run(telemetry.shutdown(Duration::from_secs(30)));
        assert_eq!(log.text(), "");
    }
}

alone! {
    fn a_timeout_is_logged_with_its_variable() {
        let log = Log::keep();
        for protocol in [Protocol::Grpc, Protocol::HttpProtobuf] {
            let kept = Kept::start();
            kept.set(Behaviour::HalfOpen);
            let endpoint = kept.collector.endpoint();
            let path = if protocol == Protocol::Grpc { "" } else { "/v1/traces" };
            let telemetry = throughline::telemetry::builder()
                .variables(|name| (name == "OTEL_EXPORTER_OTLP_TIMEOUT").then(|| "100".to_owned()))
                .collector(format!("{endpoint}{path}"), protocol)
                .init()
                .expect("a valid configuration");
            trace(0);
            drop(telemetry.provider().map(|provider| provider.shutdown_with_timeout(Duration::from_secs(1))));
            drop(telemetry);
        }
        let expected = "no response within 100 ms (`OTEL_EXPORTER_OTLP_TIMEOUT`)";
        assert_eq!(log.count(expected), 2, "{}", log.text());
    }
}

alone! {
    /// OTLP, section "Partial Success": the message of a collector that has accepted all spans is a warning.
    fn a_warning_of_the_collector_is_logged_once() {
        let log = Log::keep();
        let server = Server::start(vec![plain("200 OK", &partial_success(0, "attribute `a`\nis deprecated"))]);
        let telemetry = server.telemetry();
        for exported in [3, 6, 9] {
            trace(2);
            let stats = flush(&telemetry);
            assert_eq!((stats.exported, stats.refused), (exported, 0));
        }
        assert!(run(telemetry.shutdown(Duration::from_secs(30))).is_complete());
        assert_eq!(log.count("accepts spans with a warning: attribute `a`\\nis deprecated"), 1, "{}", log.text());
    }
}

alone! {
    /// The status is decisive, and a batch does not wait for the body.
    fn a_response_whose_body_stalls_is_a_success() {
        let (go, goes) = mpsc::channel::<()>();
        let server = Server::start(vec![Box::new(move |stream: &mut TcpStream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").expect("the client reads");
            let _ = goes.recv();
        })]);
        let telemetry = server.telemetry();
        trace(2);
        assert_eq!(flush(&telemetry).exported, 3, "although the request has no timeout");
        drop((go, telemetry));
    }
}

/// What is logged when three spans are refused.
fn refusal(telemetry: Telemetry, log: &Log) -> String {
    trace(2);
    flush(&telemetry);
    until("the message is logged", || log.count("refused 3 spans") == 1);
    drop(telemetry);
    log.text()
}
