//! `measure-collector [--hang] [--core N]`: a collector that costs as little as possible.
//!
//! It prints its address, then a line of counts for each line that it reads, and exits at the end of its input. It only
//! decodes the names of spans: a collector that decoded everything would be slower than what is measured.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use throughline_performance::{calls, clock, options::Options};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tower_service::Service;

#[derive(Debug, Default)]
struct Counts {
    own: AtomicU64,
    others: AtomicU64,
    bytes: AtomicU64,
    requests: AtomicU64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let options = Options::from_arguments();
    if let Some(core) = options.number("--core") {
        clock::pin(core);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{}", listener.local_addr().expect("a bound listener has an address"));

    let counts = Arc::new(Counts::default());
    let answers = Arc::clone(&counts);
    std::thread::spawn(move || answer(&answers));
    if options.flag("--hang") {
        let mut connections = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            connections.push(connection);
        }
    } else {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Server::builder().add_service(Export(counts)).serve_with_incoming(incoming).await.expect("the server runs");
    }
}

/// Answers each line with the counts, and exits at the end of the input.
fn answer(counts: &Counts) {
    for line in stdin().lock().lines() {
        if line.is_err() {
            break;
        }
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let written = writeln!(
            stdout(),
            "{} {} {} {}",
            of(&counts.own),
            of(&counts.others),
            of(&counts.bytes),
            of(&counts.requests)
        );
        if written.is_err() {
            break;
        }
    }
    std::process::exit(0);
}

#[derive(Debug, Clone)]
struct Export(Arc<Counts>);

impl NamedService for Export {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl Service<http::Request<Body>> for Export {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let export = self.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(Raw).apply_max_message_size_config(Some(usize::MAX), None);
            Ok(grpc.unary(export, request).await)
        })
    }
}

impl UnaryService<Bytes> for Export {
    type Response = ();
    type Future = Ready<Result<Response<()>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let message = request.into_inner();
        let Some((own, others)) = count(&message) else {
            return ready(Err(Status::invalid_argument("not a request of OTLP")));
        };
        self.0.own.fetch_add(own, Ordering::Relaxed);
        self.0.others.fetch_add(others, Ordering::Relaxed);
        self.0.bytes.fetch_add(message.len() as u64, Ordering::Relaxed);
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        ready(Ok(Response::new(())))
    }
}

/// A codec that returns the bytes of a request, and encodes an empty response.
#[derive(Debug, Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = ();
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = ();
    type Error = Status;

    fn encode(&mut self, (): (), _: &mut EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}

/// How many spans of the workload, and how many others, are in an `ExportTraceServiceRequest`.
fn count(request: &[u8]) -> Option<(u64, u64)> {
    const RESOURCE_SPANS: u64 = 1;
    const SCOPE_SPANS: u64 = 2;
    const SPANS: u64 = 2;
    const NAME: u64 = 5;
    let (mut own, mut others) = (0, 0);
    for_each(request, RESOURCE_SPANS, &mut |resource| {
        for_each(resource, SCOPE_SPANS, &mut |scope| {
            for_each(scope, SPANS, &mut |span| {
                let mut is_own = false;
                for_each(span, NAME, &mut |name| {
                    is_own = name.starts_with(calls::PREFIX.as_bytes());
                    Some(())
                })?;
                *(if is_own { &mut own } else { &mut others }) += 1;
                Some(())
            })
        })
    })?;
    Some((own, others))
}

/// Calls `each` with the content of each length-delimited field of this number. `None` if the message is malformed.
fn for_each(mut message: &[u8], number: u64, each: &mut dyn FnMut(&[u8]) -> Option<()>) -> Option<()> {
    const VARINT: u64 = 0;
    const FIXED64: u64 = 1;
    const DELIMITED: u64 = 2;
    const FIXED32: u64 = 5;
    while !message.is_empty() {
        let key = varint(&mut message)?;
        match key & 7 {
            VARINT => _ = varint(&mut message)?,
            FIXED64 => message = message.get(8..)?,
            FIXED32 => message = message.get(4..)?,
            DELIMITED => {
                let (content, rest) =
                    usize::try_from(varint(&mut message)?).ok().and_then(|length| message.split_at_checked(length))?;
                if key >> 3 == number {
                    each(content)?;
                }
                message = rest;
            }
            _ => return None,
        }
    }
    Some(())
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}
