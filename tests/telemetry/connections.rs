//! Connections whose peer does not read.
#![cfg(target_os = "linux")]

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use throughline::telemetry::Protocol;
use throughline_load::connections_to;

use crate::process::{alone, until};
use crate::support::run;

/// HTTP/2: a SETTINGS frame with the largest stream window, and a `WINDOW_UPDATE` frame for the connection.
const LARGEST_WINDOWS: [u8; 28] = [
    0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff, //
    0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0xff, 0, 0,
];

/// Spans that are larger than the buffers of sockets.
fn large() {
    const KEYS: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    for _ in 0..500 {
        let span = throughline::span("large").root();
        KEYS.iter().fold(span, |span, key| span.tag(key, "x".repeat(1000))).run(|| {});
    }
}

alone! {
    fn an_abandoned_connection_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let accepted = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&accepted);
        thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                stream.write_all(&LARGEST_WINDOWS).expect("short");
                held.push(stream);
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        let telemetry = throughline::telemetry::builder()
            .variables(|name| (name == "OTEL_EXPORTER_OTLP_TIMEOUT").then(|| "300".to_owned()))
            .collector(format!("http://{address}"), Protocol::Grpc)
            .init()
            .expect("a valid configuration");
        large();
        until("there are several attempts", || accepted.load(Ordering::SeqCst) >= 5);
        until("connections of failed attempts are closed", || connections_to(address) <= 1);
        let report = run(telemetry.shutdown(Duration::ZERO));
        assert_eq!(report.stats.left_behind, 500, "{report:?}");
    }
}
