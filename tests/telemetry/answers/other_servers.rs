//! Servers that are not collectors, or not for this protocol.

use super::*;

alone! {
    /// The response of a server in Go, which has no content type.
    fn the_error_of_an_https_server_is_logged() {
        let log = Log::keep();
        let text = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
        let server = Server::start(vec![Box::new(|stream| stream.write_all(text).expect("the client reads"))]);
        let text = refusal(server.telemetry(), &log);
        let expected = "status 400 Bad Request: Client sent an HTTP request to an HTTPS server.\n";
        assert!(text.contains(expected), "{text}");
    }
}

/// The hint at the setting for the protocol.
const HINT: &str = "; check `Builder::collector` and the port, commonly 4317 for `grpc` and 4318 for `http/protobuf`";

/// The hint at TLS: HTTPS servers respond in the same way.
const OR_TLS: &str = ", and whether the collector requires `https://`";

fn sending(address: SocketAddr, path: &str, protocol: Protocol) -> Telemetry {
    throughline::telemetry::builder()
        .variables(|_| None)
        .collector(format!("http://{address}{path}"), protocol)
        .init()
        .expect("a valid configuration")
}

alone! {
    fn grpc_to_an_http_1_server_hints_at_the_protocol() {
        let log = Log::keep();
        let server = Server::start(vec![plain("400 Bad Request", b"what is this")]);
        let telemetry = sending(server.address, "", Protocol::Grpc);
        trace(2);
        until("a warning is logged", || log.count("no successful export") == 1);
        assert!(log.text().trim_end().ends_with(&format!("{HINT}{OR_TLS}")), "{}", log.text());
        run(telemetry.shutdown(Duration::from_millis(100)));
    }
}

alone! {
    fn http_to_a_grpc_server_hints_at_the_protocol() {
        let log = Log::keep();
        // An HTTP/2 SETTINGS frame.
        let settings: Answer = Box::new(|stream| drop(stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])));
        let server = Server::start(vec![settings]);
        let telemetry = sending(server.address, "/v1/traces", Protocol::HttpProtobuf);
        trace(2);
        until("a warning is logged", || log.count("no successful export") == 1);
        assert!(log.text().contains("invalid HTTP version parsed"), "{}", log.text());
        assert!(log.text().trim_end().ends_with(&format!("{HINT}{OR_TLS}")), "{}", log.text());
        run(telemetry.shutdown(Duration::from_millis(100)));
    }
}

alone! {
    fn there_is_a_hint_until_the_server_has_accepted_spans() {
        let log = Log::keep();
        let kept = Kept::start();
        for (protocol, expected) in [
            (Protocol::Grpc, "(HTTP status 404)"),
            (Protocol::HttpProtobuf, "status 404 Not Found: no such page"),
        ] {
            kept.set(Behaviour::NotFound);
            let telemetry = kept.over(protocol).init().expect("a valid configuration");
            trace(2);
            assert_eq!(flush(&telemetry).refused, 3);
            run(telemetry.shutdown(Duration::from_secs(30)));
            let told = |spans: u32, expected: &str| {
                let begin = format!("({protocol}) refused {spans} spans: ");
                log.text().lines().any(|line| line.contains(&begin) && line.ends_with(expected))
            };
            assert!(told(3, &format!("{expected}{HINT}")), "{}", log.text());
            // A server that has accepted spans is a collector.
            kept.set(Behaviour::Accept);
            let telemetry = kept.over(protocol).init().expect("a valid configuration");
            trace(2);
            assert_eq!(flush(&telemetry).exported, 3);
            kept.set(Behaviour::NotFound);
            trace(3);
            assert_eq!(flush(&telemetry).refused, 4);
            run(telemetry.shutdown(Duration::from_secs(30)));
            assert!(told(4, expected), "{}", log.text());
        }
    }
}

alone! {
    fn a_server_for_another_format_or_http_version_hints_at_the_protocol() {
        let log = Log::keep();
        for head in ["415 Unsupported Media Type", "426 Upgrade Required", "505 HTTP Version Not Supported"] {
            let server = Server::start(vec![plain(head, b"")]);
            let telemetry = sending(server.address, "/v1/traces", Protocol::HttpProtobuf);
            trace(2);
            assert_eq!(flush(&telemetry).refused, 3);
            run(telemetry.shutdown(Duration::from_secs(30)));
            assert!(log.text().contains(&format!("refused 3 spans: status {head}{HINT}\n")), "{}", log.text());
        }
    }
}

alone! {
    /// A gRPC server responds with HTTP status 200, and with its own status in a header.
    fn over_http_a_grpc_error_is_a_refusal() {
        let log = Log::keep();
        let kept = Kept::start();
        let endpoint = format!("{}/v1/traces", kept.collector.endpoint());
        let telemetry = throughline::telemetry::builder()
            .variables(move |name| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone()))
            .init()
            .expect("a valid configuration");
        trace(2);
        let stats = flush(&telemetry);
        assert_eq!((stats.exported, stats.refused, kept.count()), (0, 3, 0));
        run(telemetry.shutdown(Duration::from_secs(30)));
        let expected = "/v1/traces/v1/traces` (http/protobuf) refused 3 spans: status 200 OK, but gRPC status 12; check \
                        the path: `/v1/traces` is appended to that of `OTEL_EXPORTER_OTLP_ENDPOINT`, and must not be \
                        part of it\n";
        assert!(log.text().contains(expected), "{}", log.text());
    }
}

alone! {
    /// tonic reports `OUT_OF_RANGE`, which the collector has not sent.
    fn an_invalid_length_of_a_grpc_message_is_a_permanent_failure() {
        let kept = Kept::start();
        kept.set(Behaviour::Garbage);
        let telemetry = kept.builder().init().expect("a valid configuration");
        trace(2);
        let stats = flush(&telemetry);
        assert_eq!((stats.exported, stats.refused, kept.collector.request_count()), (0, 3, 1));
        run(telemetry.shutdown(Duration::from_secs(30)));
    }
}
