//! A collector of OTLP/gRPC that treats HTTP/2 as a proxy does which restarts, or has too many streams (RFC 9113).

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use throughline::telemetry::Protocol;

use crate::process::alone;
use crate::support::{run, trace};

const PREFACE: usize = 24;

// Types of frames, flags, and error codes.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const NO_ERROR: u8 = 0;
const INTERNAL_ERROR: u8 = 2;
const REFUSED_STREAM: u8 = 7;
const ENHANCE_YOUR_CALM: u8 = 11;

/// What happens to a request.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Accept,
    /// The stream is reset as soon as it begins, or when the request is complete.
    Reset {
        code: u8,
        at_once: bool,
    },
    /// It is accepted, as the last one of the connection.
    Last,
    /// No stream was accepted, says the server, and reads no more.
    GoAway(u8),
}

struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

impl Server {
    /// Treats requests in turn like this, and accepts what comes after.
    fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let address = listener.local_addr().expect("it is bound");
        let (accepted, asked) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let counts = (Arc::clone(&accepted), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answers, counts) = (answers.clone(), counts.clone());
                // A client that is gone ends it.
                thread::spawn(move || serve(&mut stream.expect("somebody has connected"), &answers, &counts));
            }
        });
        Self { address, accepted, asked }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header that is not in a table (RFC 7541, section 6.2.2).
fn header(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).expect("short");
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

/// An empty response, and its status.
fn accepted(stream: u32) -> Vec<u8> {
    // `:status: 200` is in the static table.
    let headers = [&[0x88][..], &header("content-type", "application/grpc")].concat();
    let trailers = header("grpc-status", "0");
    [
        frame(HEADERS, END_HEADERS, stream, &headers),
        frame(DATA, 0, stream, &[0; 5]),
        frame(HEADERS, END_HEADERS | END_STREAM, stream, &trailers),
    ]
    .concat()
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
        let begins = kind == HEADERS;
        if begins {
            answer = answers.get(asked.fetch_add(1, Ordering::SeqCst)).copied().unwrap_or(Answer::Accept);
        }
        let is_complete = matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0;
        match answer {
            Answer::Reset { code, at_once } if if at_once { begins } else { is_complete } => {
                socket.write_all(&frame(RST_STREAM, 0, stream, &[0, 0, 0, code]))?;
            }
            Answer::GoAway(code) if begins => {
                socket.write_all(&go_away(0, code))?;
                return drain(socket);
            }
            Answer::Accept | Answer::Last if is_complete => {
                ok.fetch_add(1, Ordering::SeqCst);
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

/// Until the client closes the connection: it would not read the last frames of one that is reset.
fn drain(socket: &mut TcpStream) -> io::Result<()> {
    io::copy(socket, &mut io::sink()).map(drop)
}

/// Sends `batches` batches of three spans each, all of which must arrive.
fn arrive(answers: Vec<Answer>, batches: usize) {
    let shown = format!("{answers:?}");
    let failures = answers.iter().filter(|answer| !matches!(answer, Answer::Accept | Answer::Last)).count();
    let server = Server::start(answers);
    let telemetry = throughline::telemetry::builder()
        .variables(|_| None)
        .collector(format!("http://{}", server.address), Protocol::Grpc)
        .init()
        .expect("it is valid");
    for _ in 0..batches {
        trace(2);
        telemetry.provider().expect("it is enabled").force_flush().expect("there is an answer");
    }
    let stats = telemetry.export_stats();
    let count = u64::try_from(3 * batches).expect("few");
    assert_eq!((stats.exported, stats.refused), (count, 0), "{shown}");
    assert_eq!(server.accepted.load(Ordering::SeqCst), batches, "{shown}");
    assert_eq!(server.asked.load(Ordering::SeqCst), batches + failures, "{shown}");
    assert!(run(telemetry.shutdown(Duration::from_secs(30))).is_complete());
}

alone! {
    fn a_stream_that_is_reset_is_sent_again() {
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
