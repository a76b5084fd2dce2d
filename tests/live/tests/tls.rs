//! `throughline::init` and a collector behind TLS, over real sockets. Needs no server of `tests/live/up`.

#![cfg(feature = "tls")]

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use throughline::in_span;
use throughline::telemetry::{InitError, ShutdownReport, Telemetry};
use throughline_load::Collector;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto};

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::new([]).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate")
}

/// A certificate for `name`, and its key.
fn certificate(name: &str, issuer: &Issuer) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new([name.to_owned()]).expect("a name");
    (params.signed_by(&key, issuer).expect("a certificate").pem(), key.serialize_pem())
}

/// Writes a file for one test.
fn file(name: &str, content: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{}-{name}", std::process::id()));
    fs::write(&path, content).expect("the folder can be written");
    path.to_str().expect("a plain path").to_owned()
}

/// Accepts TLS; callers need a certificate of `callers`, if that is given.
fn acceptor(issuer: &Issuer, callers: Option<&Issuer>) -> TlsAcceptor {
    let (chain, key) = certificate("localhost", issuer);
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("they are known");
    let builder = match callers {
        None => builder.with_no_client_auth(),
        Some(callers) => {
            let mut roots = RootCertStore::empty();
            roots.add(callers.der().clone()).expect("a certificate");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("there is a root"))
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
    let mut config = builder.with_single_cert(chain, key).expect("they belong together");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Terminates TLS for the server at `to`; callers need a certificate of `callers`, if that is given.
async fn front(to: SocketAddr, issuer: &Issuer, callers: Option<&Issuer>) -> SocketAddr {
    let acceptor = acceptor(issuer, callers);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut plain = TcpStream::connect(to).await?;
                copy_bidirectional(&mut acceptor.accept(socket).await?, &mut plain).await
            });
        }
    });
    address
}

/// Sets up tracing by these variables.
fn set_up(protocol: &'static str, address: SocketAddr, files: &[(&'static str, &str)]) -> Result<Telemetry, InitError> {
    set_up_at("https", protocol, address, files)
}

fn set_up_at(
    scheme: &'static str,
    protocol: &'static str,
    address: SocketAddr,
    files: &[(&'static str, &str)],
) -> Result<Telemetry, InitError> {
    let files: Vec<_> = files.iter().map(|(name, path)| (*name, (*path).to_owned())).collect();
    throughline::telemetry::builder()
        .variables(move |variable| match variable {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(format!("{scheme}://localhost:{}", address.port())),
            "OTEL_EXPORTER_OTLP_PROTOCOL" => Some(protocol.to_owned()),
            _ => files.iter().find(|(name, _)| *name == variable).map(|(_, path)| path.clone()),
        })
        .init()
}

/// Telemetry belongs to the process, so tests that set it up take turns.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// One span, sent within `limit`.
async fn send(telemetry: Telemetry, limit: Duration) -> ShutdownReport {
    in_span("order", || ());
    telemetry.shutdown(limit).await
}

const AUTHORITIES: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
const CERTIFICATE: &str = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE";
const KEY: &str = "OTEL_EXPORTER_OTLP_CLIENT_KEY";

#[tokio::test(flavor = "multi_thread")]
async fn spans_reach_a_collector_if_both_sides_have_certificates() {
    let _turn = TURN.lock().await;
    let arrived = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&arrived);
    let collector = Collector::start(move |request| {
        count.fetch_add(request.len(), Ordering::SeqCst);
    })
    .expect("a port");
    let (issuer, stranger) = (authority(), authority());
    let (client, client_key) = certificate("orders", &issuer);
    let authorities = file("ca.pem", &issuer.pem());
    // More than one may be in a file.
    let both = file("both.pem", &format!("{}{}", stranger.pem(), issuer.pem()));
    let strangers = file("stranger.pem", &stranger.pem());
    let (client, client_key) = (file("client.pem", &client), file("client.key", &client_key));
    let open = front(collector.address(), &issuer, None).await;
    let closed = front(collector.address(), &issuer, Some(&issuer)).await;
    let patient = Duration::from_secs(30);
    let identity = [(AUTHORITIES, &*authorities), (CERTIFICATE, &*client), (KEY, &*client_key)];

    for protocol in ["grpc", "http/protobuf"] {
        for (address, files) in [
            (open, &[(AUTHORITIES, &*authorities)][..]),
            (open, &[("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", &*both), (AUTHORITIES, &*strangers)]),
            (closed, &identity),
        ] {
            let before = arrived.load(Ordering::SeqCst);
            let report = send(set_up(protocol, address, files).expect("it is valid"), patient).await;
            assert!(report.is_complete(), "{protocol}: {report:?}");
            assert_eq!(arrived.load(Ordering::SeqCst), before + 1, "{protocol}");
        }
        // A collector with an untrusted certificate, and a client with one.
        let before = arrived.load(Ordering::SeqCst);
        for (address, files) in
            [(open, &[][..]), (open, &[(AUTHORITIES, &*strangers)]), (closed, &[(AUTHORITIES, &*authorities)])]
        {
            let telemetry = match set_up(protocol, address, files) {
                Ok(telemetry) => telemetry,
                // A machine without trusted CA certificates.
                Err(error) => {
                    assert!(files.is_empty(), "{error}");
                    continue;
                }
            };
            let report = send(telemetry, Duration::from_millis(500)).await;
            assert_eq!(report.stats.spans_unsent(), 1, "{protocol}: {report:?}");
        }
        assert_eq!(arrived.load(Ordering::SeqCst), before, "{protocol}");
    }
}

#[tokio::test]
async fn files_that_are_wrong_are_named() {
    let issuer = authority();
    let (certificate, key) = certificate("orders", &issuer);
    let (certificate, key) = (file("named.pem", &certificate), file("named.key", &key));
    let (nothing, none) = (file("nothing.pem", "nothing"), file("none", "x") + ".missing");
    // PEM without a valid certificate or key, and the key of another certificate.
    let empty = |what: &str| format!("-----BEGIN {what}-----\nAAAA\n-----END {what}-----\n");
    let (hollow, no_key) = (file("hollow.pem", &empty("CERTIFICATE")), file("hollow.key", &empty("PRIVATE KEY")));
    let other = file("other.key", &KeyPair::generate().expect("a key").serialize_pem());
    for protocol in ["grpc", "http/protobuf"] {
        for (files, variable, path) in [
            (&[(AUTHORITIES, &*nothing)][..], AUTHORITIES, &nothing),
            (&[(AUTHORITIES, &*none)], AUTHORITIES, &none),
            (&[(CERTIFICATE, &*nothing), (KEY, &*key)], CERTIFICATE, &nothing),
            (&[(CERTIFICATE, &*certificate), (KEY, &*nothing)], KEY, &nothing),
            (&[(CERTIFICATE, &*certificate)], CERTIFICATE, &certificate),
            (&[(KEY, &*key)], KEY, &key),
            (&[(AUTHORITIES, &*hollow)], AUTHORITIES, &hollow),
            (&[(CERTIFICATE, &*hollow), (KEY, &*key)], CERTIFICATE, &hollow),
            (&[(CERTIFICATE, &*certificate), (KEY, &*no_key)], CERTIFICATE, &certificate),
            (&[(CERTIFICATE, &*certificate), (KEY, &*other)], CERTIFICATE, &certificate),
        ] {
            let error = set_up(protocol, SocketAddr::from(([127, 0, 0, 1], 9)), files).expect_err("it is wrong");
            let InitError::Config(error) = error else { panic!("{error}") };
            assert_eq!(error.setting(), variable);
            // A long path is truncated.
            let shown: String = path.chars().take(80).collect();
            assert!(error.to_string().contains(&shown), "{error}");
        }
    }
}

/// Forwards connections to the server at `to`. Those that are open when `stalled` changes stay open, but forward
/// nothing more.
async fn relay(to: SocketAddr, stalled: watch::Receiver<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut stalled = stalled.clone();
            stalled.mark_unchanged();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(to).await?;
                tokio::select! {
                    copied = copy_bidirectional(&mut socket, &mut server) => copied,
                    _ = stalled.changed() => std::future::pending().await,
                }
            });
        }
    });
    address
}

/// Even if another crate of the application has enabled HTTP/2 in the HTTP client.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_dead_without_being_closed_is_replaced() {
    let _turn = TURN.lock().await;
    let collector = Collector::start(|_| ()).expect("a port");
    let issuer = authority();
    let authorities = file("replaced.pem", &issuer.pem());
    let front = front(collector.address(), &issuer, None).await;
    let (stall, stalled) = watch::channel(());
    let address = relay(front, stalled).await;
    let variables = [(AUTHORITIES, &*authorities), ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")];
    for protocol in ["grpc", "http/protobuf"] {
        let telemetry = set_up(protocol, address, &variables).expect("it is valid");
        in_span("before", || ());
        let provider = telemetry.provider().expect("it is enabled").clone();
        tokio::task::spawn_blocking(move || provider.force_flush()).await.expect("no panic").expect("an answer");
        stall.send(()).expect("the relay runs");
        let report = send(telemetry, Duration::from_secs(30)).await;
        assert!(report.is_complete() && report.stats.exported == 2, "{protocol}: {report:?}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_connection_is_closed() {
    const KEYS: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let _turn = TURN.lock().await;
    let issuer = authority();
    let authorities = file("closed.pem", &issuer.pem());
    let acceptor = acceptor(&issuer, None);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        // Nothing is read from the connections.
        let mut held = Vec::new();
        while let Ok((socket, _)) = listener.accept().await {
            held.push(acceptor.accept(socket).await);
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let variables = [(AUTHORITIES, &*authorities), ("OTEL_EXPORTER_OTLP_TIMEOUT", "500")];
    let telemetry = set_up("http/protobuf", address, &variables).expect("it is valid");
    // More than fits into socket buffers.
    for _ in 0..500 {
        let span = throughline::span("large").root();
        KEYS.iter().fold(span, |span, key| span.tag(key, "x".repeat(1000))).run(|| {});
    }
    let limit = std::time::Instant::now() + Duration::from_secs(60);
    while accepted.load(Ordering::SeqCst) < 5 || throughline_load::connections_to(address) > 1 {
        assert!(std::time::Instant::now() < limit, "failed attempts leave connections open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(telemetry.shutdown(Duration::ZERO).await.stats.left_behind, 500);
}

/// The warnings of this process.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn keep() -> Self {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .with_max_level(tracing::Level::WARN)
            .without_time()
            .finish();
        tracing::subscriber::set_global_default(subscriber).expect("the first of this process");
        log
    }

    /// The last line about the collector at `address`, with this protocol.
    fn last(&self, address: SocketAddr, protocol: &str) -> Option<String> {
        let text = String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text");
        let (port, protocol) = (format!("localhost:{}", address.port()), format!("({protocol})"));
        text.lines().rfind(|line| line.contains(&port) && line.contains(&protocol)).map(str::to_owned)
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_in_the_scheme_or_the_certificates_is_named() {
    let _turn = TURN.lock().await;
    let log = Log::keep();
    let collector = Collector::start(|_| {}).expect("a port");
    let (issuer, stranger) = (authority(), authority());
    let (authorities, strangers) = (file("known.pem", &issuer.pem()), file("unknown.pem", &stranger.pem()));
    let tls = "; check that the collector uses TLS (the endpoint starts with `https://`), and \
               `OTEL_EXPORTER_OTLP_CERTIFICATE`";
    let requires_tls = ", and whether the collector requires `https://`";
    let client = ", and `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE` if the collector requires a client certificate";
    for protocol in ["grpc", "http/protobuf"] {
        let open = front(collector.address(), &issuer, None).await;
        let closed = front(collector.address(), &issuer, Some(&issuer)).await;
        let wrong = front(collector.address(), &issuer, None).await;
        for (scheme, address, authorities, expected) in [
            ("https", collector.address(), &authorities, tls),
            ("http", open, &authorities, requires_tls),
            ("https", closed, &authorities, client),
            ("https", wrong, &strangers, tls),
        ] {
            let mut line = String::new();
            // An attempt may take longer on a busy machine.
            for limit in [300, 3_000, 30_000] {
                let files = [(AUTHORITIES, authorities.as_str())];
                let telemetry = set_up_at(scheme, protocol, address, &files).expect("it is valid");
                let report = send(telemetry, Duration::from_millis(limit)).await;
                assert_eq!(report.stats.spans_unsent(), 1, "{protocol}: {report:?}");
                line = log.last(address, protocol).expect("it is logged");
                if line.ends_with(expected) {
                    break;
                }
            }
            assert!(line.ends_with(expected), "{line}");
        }
    }
}
