//! `measure-service MODE`: an axum service whose handler has five nested spans with two tags each.
//!
//! The service and its exporter have one core, the client and the collector the other, which has less to do. Prints one
//! line of `name=value`, and fails if a span was lost. `--seconds N` (3) is how long is measured, after a warm-up.
//! `--work N` makes the handler compute N thousand steps of a hash, each of which takes about a nanosecond; otherwise
//! it does nothing but call the five functions. `--client ADDRESS` is the client, which this program starts.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use throughline_performance::calls::Mode;
use throughline_performance::clock;
use throughline_performance::collector::{Behaviour, Collector};
use throughline_performance::options::Options;
use throughline_performance::rounds::float;
use throughline_performance::stack::{Setup, Stack};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const CONNECTIONS: usize = 16;
const SPANS_PER_REQUEST: u64 = 5;
/// Room for the backlog of the slowest exporter while the service is busy, so that no span is lost.
const QUEUE: usize = 4_000_000;

fn main() {
    let options = Options::from_arguments();
    if let Some(address) = options.value("--client") {
        return client(address, options.number("--seconds").unwrap_or(3.0));
    }
    let mode: Mode = options.positional(0).expect("usage: MODE").parse().unwrap_or_else(|error| panic!("{error}"));
    let seconds = options.number("--seconds").unwrap_or(3.0_f64).to_string();
    let work = 1_000 * options.number("--work").unwrap_or(0_u64);
    let mut collector = Collector::start(Behaviour::Accept, Some(1));
    clock::pin(0);
    let stack = Stack::new(&[mode], &collector.endpoint(), &Setup { queue: Some(QUEUE), ..Setup::default() });

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime can be built");
    let address = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        let handler = move |Path((tenant_id, order_no)): Path<(String, i64)>| async move {
            compute(work);
            mode.request_async(&tenant_id, order_no).await.to_string()
        };
        let app = Router::new().route("/tenants/{tenant}/orders/{order}", get(handler));
        tokio::spawn(async move { axum::serve(listener, app).await });
        address.to_string()
    });

    let cpu = clock::process_cpu();
    let client = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--client", &address, "--seconds", &seconds])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("the client runs");
    let served = clock::process_cpu().saturating_sub(cpu);
    stack.finish();
    let all = clock::process_cpu().saturating_sub(cpu);
    let said = String::from_utf8(client.stdout).expect("the client prints text");
    let (per_second, requests) = said.trim().split_once(' ').expect("a rate and a count");
    let requests: u64 = requests.parse().expect("a count");
    let arrived = collector.arrived();
    println!(
        "mode={mode} per_second={per_second} requests={requests} served={:.0} cpu={:.0} own={} others={}",
        served.as_secs_f64() * 1e9 / float(requests),
        all.as_secs_f64() * 1e9 / float(requests),
        arrived.own,
        arrived.others,
    );
    if mode != Mode::Plain && arrived.own != requests * SPANS_PER_REQUEST {
        eprintln!("{} spans of {requests} requests have arrived", arrived.own);
        std::process::exit(1);
    }
    drop(collector);
    std::process::exit(0);
}

/// The work of the handler: a chain of steps, each of which needs the result of the one before.
fn compute(steps: u64) {
    let hash = (0..steps).fold(0xcbf2_9ce4_8422_2325_u64, |hash, step| (hash ^ step).wrapping_mul(0x0100_0000_01b3));
    black_box(hash);
}

/// Sends requests on some connections, each as soon as the one before is answered. Prints how many a second there were
/// after a warm-up of half a second, and how many in all.
fn client(address: &str, seconds: f64) {
    clock::pin(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    let (measured, all) = runtime.block_on(async {
        let begin = Instant::now() + Duration::from_millis(500);
        let end = begin + Duration::from_secs_f64(seconds);
        let clients: Vec<_> =
            (0..CONNECTIONS).map(|_| tokio::spawn(connection(address.to_owned(), begin, end))).collect();
        let mut sums = (0_u64, 0_u64);
        for client in clients {
            let (measured, all) = client.await.expect("no client panics");
            sums = (sums.0 + measured, sums.1 + all);
        }
        sums
    });
    println!("{:.0} {all}", float(measured) / seconds);
}

async fn connection(address: String, begin: Instant, end: Instant) -> (u64, u64) {
    const REQUEST: &[u8] = b"GET /tenants/acme/orders/1001 HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut stream = TcpStream::connect(address).await.expect("the service listens");
    stream.set_nodelay(true).expect("a socket that is open");
    let mut buffer = vec![0; 4096];
    let (mut measured, mut all) = (0, 0);
    loop {
        stream.write_all(REQUEST).await.expect("the service reads");
        // The response is small, and its body is one digit after the head.
        let mut read = 0;
        loop {
            let more = stream.read(&mut buffer[read..]).await.expect("the service answers");
            assert!(more > 0, "the service has closed the connection");
            read += more;
            if buffer[..read].windows(4).rposition(|window| window == b"\r\n\r\n").is_some_and(|head| read > head + 4) {
                break;
            }
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&buffer[..read]));
        let now = Instant::now();
        all += 1;
        measured += u64::from(now >= begin && now < end);
        if now >= end {
            return (measured, all);
        }
    }
}
