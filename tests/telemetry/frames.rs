//! An OTLP/gRPC collector that resets streams and closes connections, like a proxy that restarts or is overloaded (RFC
//! 9113).

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use throughline::telemetry::{Protocol, Telemetry};
#[cfg(target_os = "linux")]
use throughline_load::connections_to;

use crate::process::alone;
#[cfg(target_os = "linux")]
use crate::process::until;
use crate::support::{run, trace};

const PREFACE: usize = 24;

// Types of frames, flags, and error codes.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const MAX_CONCURRENT_STREAMS: u8 = 3;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const NO_ERROR: u8 = 0;
const INTERNAL_ERROR: u8 = 2;
const REFUSED_STREAM: u8 = 7;
const CANCEL: u8 = 8;
const ENHANCE_YOUR_CALM: u8 = 11;

/// The response to a request.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Accept,
    /// The stream is reset as soon as it begins, or when the request is complete.
    Reset {
        code: u8,
        at_once: bool,
    },
    /// The response begins, with its message or without it, and then the stream is reset.
    CutOff {
        code: u8,
        with_message: bool,
    },
    /// A permanent failure, with a message of this length.
    Refuse(usize),
    /// A retryable failure, with this message and these details: in trailers after a message, or without one.
    Unavailable {
        message: &'static str,
        details: &'static str,
        after_message: bool,
    },
    /// The request is too large for a proxy.
    TooLarge,
    /// Accepted, as the last request of the connection.
    Last,
    /// Accepted, after which the server allows no further stream.
    NoMore,
    /// A GOAWAY frame without an accepted stream, after which the server does not read.
    GoAway(u8),
}

struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    /// Responds to requests with `answers` in turn, and accepts all later ones.
    fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let (accepted, asked) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let counts = (Arc::clone(&accepted), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answers, counts) = (answers.clone(), counts.clone());
                // Ends with the connection.
                thread::spawn(move || serve(&mut stream.expect("a connection"), &answers, &counts));
            }
        });
        Self { address, accepted, asked }
    }

    fn telemetry(&self) -> Telemetry {
        self.telemetry_with(|_| None)
    }

    fn telemetry_with(&self, variables: fn(&str) -> Option<String>) -> Telemetry {
        throughline::telemetry::builder()
            .variables(variables)
            .collector(format!("http://{}", self.address), Protocol::Grpc)
            .init()
            .expect("a valid configuration")
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A literal header field without indexing (RFC 7541, section 6.2.2).
fn header(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &length(name), name.as_bytes(), &length(value), value.as_bytes()].concat()
}

/// The length of a string (RFC 7541, section 5.1).
fn length(text: &str) -> Vec<u8> {
    const PREFIX: usize = 127;
    let Some(mut rest) = text.len().checked_sub(PREFIX) else {
        return vec![u8::try_from(text.len()).expect("short")];
    };
    let mut length = vec![127];
    while rest >= 128 {
        length.push(u8::try_from(rest % 128).expect("short") | 128);
        rest /= 128;
    }
    length.push(u8::try_from(rest).expect("short"));
    length
}

/// The headers of a response.
fn begun(stream: u32) -> Vec<u8> {
    // `:status: 200` is in the static table.
    let headers = [&[0x88][..], &header("content-type", "application/grpc")].concat();
    frame(HEADERS, END_HEADERS, stream, &headers)
}

/// An empty message.
fn message(stream: u32) -> Vec<u8> {
    frame(DATA, 0, stream, &[0; 5])
}

/// An empty response with status OK.
fn accepted(stream: u32) -> Vec<u8> {
    let trailers = header("grpc-status", "0");
    [begun(stream), message(stream), frame(HEADERS, END_HEADERS | END_STREAM, stream, &trailers)].concat()
}

fn cut_off(stream: u32, code: u8, with_message: bool) -> Vec<u8> {
    let message = if with_message { message(stream) } else { Vec::new() };
    [begun(stream), message, frame(RST_STREAM, 0, stream, &[0, 0, 0, code])].concat()
}

/// A response that consists of a status.
fn refused(stream: u32, length: usize) -> Vec<u8> {
    let message = header("grpc-message", &"x".repeat(length));
    let headers =
        [&[0x88][..], &header("content-type", "application/grpc"), &header("grpc-status", "3"), &message].concat();
    let mut frames = frame(HEADERS, END_STREAM, stream, &[]);
    for part in headers.chunks(1 << 14) {
        frames.extend(frame(CONTINUATION, 0, stream, part));
    }
    frames.extend(frame(CONTINUATION, END_HEADERS, stream, &[]));
    frames
}

/// A response that is only a status, or has an empty message before it.
fn unavailable(stream: u32, message_of_status: &str, details: &str, after_message: bool) -> Vec<u8> {
    let status = [
        header("grpc-status", "14"),
        header("grpc-message", message_of_status),
        header("grpc-status-details-bin", details),
    ]
    .concat();
    if after_message {
        return [begun(stream), message(stream), frame(HEADERS, END_HEADERS | END_STREAM, stream, &status)].concat();
    }
    let headers = [&[0x88][..], &header("content-type", "application/grpc"), &status].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &headers)
}

/// `:status: 413`, whose name is in the static table.
fn too_large(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &[&[8, 3][..], b"413"].concat())
}

fn go_away(last: u32, code: u8) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[&last.to_be_bytes()[..], &[0, 0, 0, code]].concat())
}

fn serve(
    socket: &mut TcpStream,
    answers: &[Answer],
    (ok, asked): &(Arc<AtomicUsize>, Arc<AtomicUsize>),
) -> io::Result<()> {
    socket.read_exact(&mut [0; PREFACE])?;
    socket.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    let mut answer = Answer::Accept;
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head)?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        socket.read_exact(&mut payload)?;
        let (kind, flags) = (head[3], head[4]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        if kind == SETTINGS && flags & ACK == 0 {
            socket.write_all(&frame(SETTINGS, ACK, 0, &[]))?;
        }
        if kind == PING && flags & ACK == 0 {
            socket.write_all(&frame(PING, ACK, 0, &payload))?;
        }
        let begins = kind == HEADERS;
        if begins {
            answer = answers.get(asked.fetch_add(1, Ordering::SeqCst)).copied().unwrap_or(Answer::Accept);
        }
        let is_complete = matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0;
        match answer {
            Answer::Reset { code, at_once } if if at_once { begins } else { is_complete } => {
                socket.write_all(&frame(RST_STREAM, 0, stream, &[0, 0, 0, code]))?;
            }
            Answer::CutOff { code, with_message } if is_complete => {
                socket.write_all(&cut_off(stream, code, with_message))?;
            }
            Answer::Refuse(length) if is_complete => socket.write_all(&refused(stream, length))?,
            Answer::Unavailable { message, details, after_message } if is_complete => {
                socket.write_all(&unavailable(stream, message, details, after_message))?;
            }
            Answer::TooLarge if is_complete => socket.write_all(&too_large(stream))?,
            Answer::GoAway(code) if begins => {
                socket.write_all(&go_away(0, code))?;
                return drain(socket);
            }
            Answer::Accept | Answer::Last | Answer::NoMore if is_complete => {
                ok.fetch_add(1, Ordering::SeqCst);
                if matches!(answer, Answer::NoMore) {
                    socket.write_all(&frame(SETTINGS, 0, 0, &[0, MAX_CONCURRENT_STREAMS, 0, 0, 0, 0]))?;
                }
                if matches!(answer, Answer::Last) {
                    socket.write_all(&go_away(stream, NO_ERROR))?;
                    socket.write_all(&accepted(stream))?;
                    return drain(socket);
                }
                socket.write_all(&accepted(stream))?;
            }
            _ => {}
        }
    }
}

/// Reads until the client closes the connection. Closing it here could reset it before the client reads the last
/// frames.
fn drain(socket: &mut TcpStream) -> io::Result<()> {
    io::copy(socket, &mut io::sink()).map(drop)
}

/// Exports `batches` batches of three spans each, all of which must arrive.
fn arrive(answers: Vec<Answer>, batches: usize) {
    let shown = format!("{answers:?}");
    let failures = answers.iter().filter(|answer| !matches!(answer, Answer::Accept | Answer::Last)).count();
    let server = Server::start(answers);
    let telemetry = server.telemetry();
    for _ in 0..batches {
        trace(2);
        telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector responds");
    }
    let stats = telemetry.export_stats();
    let count = u64::try_from(3 * batches).expect("few");
    assert_eq!((stats.exported, stats.refused), (count, 0), "{shown}");
    assert_eq!(server.accepted.load(Ordering::SeqCst), batches, "{shown}");
    assert_eq!(server.asked.load(Ordering::SeqCst), batches + failures, "{shown}");
    assert!(run(telemetry.shutdown(Duration::from_secs(30))).is_complete());
}

alone! {
    fn a_request_is_retried_after_a_stream_reset() {
        for code in [NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM, ENHANCE_YOUR_CALM] {
            for at_once in [true, false] {
                let reset = Answer::Reset { code, at_once };
                arrive(vec![Answer::Accept, reset, Answer::Accept, reset], 4);
            }
        }
    }
}

alone! {
    fn a_connection_that_goes_away_is_replaced() {
        for code in [NO_ERROR, ENHANCE_YOUR_CALM] {
            arrive(vec![Answer::GoAway(code), Answer::Accept, Answer::GoAway(code)], 3);
        }
        arrive(vec![Answer::Last, Answer::Last, Answer::Accept], 4);
    }
}

alone! {
    /// hyper would keep it open, with the request that waits for a stream.
    #[cfg(target_os = "linux")]
    fn an_abandoned_connection_that_allows_no_more_streams_is_closed() {
        let server = Server::start(vec![Answer::NoMore; 5]);
        let telemetry = server.telemetry_with(|name| (name == "OTEL_EXPORTER_OTLP_TIMEOUT").then(|| "300".to_owned()));
        for _ in 0..5 {
            trace(2);
            telemetry.provider().expect("it is enabled").force_flush().expect("there is an answer");
        }
        assert_eq!(telemetry.export_stats().exported, 15);
        until("abandoned connections are closed", || connections_to(server.address) <= 1);
        assert!(run(telemetry.shutdown(Duration::from_secs(30))).is_complete());
    }
}

/// Every way to cut off a response.
fn cut_offs() -> impl Iterator<Item = Answer> {
    [NO_ERROR, INTERNAL_ERROR, CANCEL]
        .into_iter()
        .flat_map(|code| [true, false].map(|with_message| Answer::CutOff { code, with_message }))
}

alone! {
    fn a_request_is_retried_after_a_response_without_a_status() {
        for answer in cut_offs() {
            arrive(vec![Answer::Accept, answer, Answer::Accept, answer], 4);
        }
    }
}

alone! {
    /// gRPC over HTTP/2, "Responses": values that cannot be decoded are no error.
    fn a_status_with_an_invalid_message_or_details_is_valid() {
        for (message, details) in [("not%20now", "CA4"), ("not%20now", "not base64!"), ("caf%E9", "CA4"), ("%", "=")] {
            for after_message in [true, false] {
                let answer = Answer::Unavailable { message, details, after_message };
                arrive(vec![answer, Answer::Accept, answer], 2);
            }
        }
    }
}

alone! {
    /// The server may store the spans each time.
    fn a_server_that_never_sends_a_status_gets_the_spans_once() {
        let server = Server::start(vec![Answer::CutOff { code: NO_ERROR, with_message: true }; 9]);
        let telemetry = server.telemetry();
        trace(2);
        let report = run(telemetry.shutdown(Duration::from_secs(30)));
        assert_eq!((report.stats.refused, report.stats.spans_unsent()), (3, 0), "{report:?}");
        assert_eq!(server.asked.load(Ordering::SeqCst), 1);
    }
}

alone! {
    fn a_request_that_is_too_large_for_a_proxy_is_split() {
        let server = Server::start(vec![Answer::TooLarge]);
        let telemetry = server.telemetry();
        trace(2);
        let report = run(telemetry.shutdown(Duration::from_secs(30)));
        assert!(report.is_complete() && report.stats.exported == 3, "{report:?}");
        assert!(server.accepted.load(Ordering::SeqCst) > 1);
    }
}

alone! {
    /// Otherwise, it would be retried forever, and block the queue.
    fn a_refusal_with_a_long_message_is_not_retried() {
        for length in [10, 20_000, 100_000] {
            let server = Server::start(vec![Answer::Refuse(length)]);
            let telemetry = server.telemetry();
            trace(2);
            telemetry.provider().expect("telemetry is enabled").force_flush().expect("the collector responds");
            trace(2);
            let report = run(telemetry.shutdown(Duration::from_secs(30)));
            assert_eq!((report.stats.refused, report.stats.exported), (3, 3), "{length}: {report:?}");
        }
    }
}
