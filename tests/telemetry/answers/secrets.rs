//! Credentials are not logged, even if a response echoes them.

use super::*;

alone! {
    fn no_password_is_shown() {
        let log = Log::keep();
        let server = Server::start(vec![plain("400 Bad Request", b"")]);
        let telemetry = throughline::telemetry::builder()
            .variables(|_| None)
            .collector(format!("http://me:secret@{}/v1/traces", server.address), Protocol::HttpProtobuf)
            .init()
            .expect("a valid configuration");
        let text = refusal(telemetry, &log);
        assert!(text.contains("…@127.0.0.1") && !text.contains("secret"), "{text}");
    }
}

alone! {
    fn secrets_in_the_reason_of_a_refusal_are_redacted() {
        let log = Log::keep();
        let refused = "400 Bad Request\r\ncontent-type: text/plain; charset=utf-8";
        let server = Server::start(vec![plain(refused, b"no such token\n`abc-def-123`, of tenant t-9 at me:pass-word")]);
        let telemetry = throughline::telemetry::builder()
            .variables(|name| match name {
                "OTEL_EXPORTER_OTLP_HEADERS" => Some("authorization=Bearer%20abc-def-123,tenant=t-9".to_owned()),
                _ => None,
            })
            .collector(format!("http://me:pass-word@{}/v1/traces?key=query-key", server.address), Protocol::HttpProtobuf)
            .init()
            .expect("a valid configuration");
        let text = refusal(telemetry, &log);
        let expected = format!(
            "`http://…@{}/v1/traces?…` (http/protobuf) refused 3 spans: status 400 Bad Request: no such \
             token\\n`…`, of tenant t-9 at me:…\n",
            server.address
        );
        assert!(text.contains(&expected), "{text}");
    }
}

alone! {
    /// A password may be percent-encoded in a URL, and is sent in Base64.
    fn a_password_is_not_shown_in_any_encoding() {
        let log = Log::keep();
        let refused = "401 Unauthorized\r\ncontent-type: text/plain";
        let server = Server::start(vec![plain(refused, b"who is user-1:p@ss/word, p%40ss%2Fword or Basic dXNlci0xOnBAc3Mvd29yZA==?")]);
        let endpoint = format!("http://user-1:p%40ss%2Fword@{}/v1/traces", server.address);
        let telemetry = throughline::telemetry::builder()
            .variables(|_| None)
            .collector(endpoint, Protocol::HttpProtobuf)
            .init()
            .expect("a valid configuration");
        let text = refusal(telemetry, &log);
        assert!(text.contains("Unauthorized: who is …:…, … or …?; check the credentials"), "{text}");
    }
}
