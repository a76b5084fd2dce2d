//! Redacts the credentials for the collector, which must not appear in the log even if a response echoes them.

use percent_encoding::percent_decode_str;
use reqwest::header::HeaderValue;

use crate::telemetry::config::{OtlpConfig, may_be_token};

/// The minimum length of a secret. Anything shorter would match ordinary text.
const MIN_LEN: usize = 4;

#[derive(Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Collects the values of headers, and the user, the password, the query and tokens in the path of the endpoint.
    /// `authorization` is the header that is derived from user and password.
    pub(super) fn of(config: &OtlpConfig, authorization: Option<&HeaderValue>) -> Self {
        let mut secrets = Self::default();
        for value in config.headers.values().chain(authorization).filter_map(|value| value.to_str().ok()) {
            secrets.add(value);
            // The token in `Bearer token`.
            value.split_ascii_whitespace().skip(1).for_each(|word| secrets.add(word));
        }
        if let Ok(endpoint) = config.endpoint.value.parse::<reqwest::Url>() {
            let tokens = endpoint.path().split('/').filter(|segment| may_be_token(segment));
            for encoded in [endpoint.username(), endpoint.password().unwrap_or_default()].into_iter().chain(tokens) {
                secrets.add(encoded);
                secrets.add(&percent_decode_str(encoded).decode_utf8_lossy());
            }
            let encoded = endpoint.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
            encoded.for_each(|(_, value)| secrets.add(value));
            endpoint.query_pairs().for_each(|(_, value)| secrets.add(&value));
        }
        // Longest first, because a secret may be part of another.
        secrets.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets
    }

    fn add(&mut self, secret: &str) {
        if secret.len() >= MIN_LEN {
            self.0.push(secret.to_owned());
        }
    }

    /// Redacts the credentials in `text`.
    pub(super) fn redact(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::config::{ExporterConfig, Protocol};

    #[test]
    fn secrets_are_redacted_wherever_they_occur() {
        let mut secrets = Secrets::default();
        for secret in ["Bearer abcdef", "abcdef", "a"] {
            secrets.add(secret);
        }
        assert_eq!(secrets.redact("`Bearer abcdef`: no such token abcdef; a Bearer"), "`…`: no such token …; a Bearer");
    }

    /// A response may repeat the URL of the request.
    #[test]
    fn secrets_in_a_query_are_redacted_encoded_and_decoded() {
        let mut config = ExporterConfig::default();
        let endpoint = "http://c:4318/v1/traces?user=%C3%A4nne&key=ab%2Bcd+ef";
        config.set_collector(endpoint.to_owned(), Protocol::HttpProtobuf).expect("a URL");
        let secrets = Secrets::of(config.otlp().expect("a valid configuration"), None);
        let expected = "no such path: /v1/traces?user=…&key=…; no such key: …";
        assert_eq!(
            secrets.redact("no such path: /v1/traces?user=%C3%A4nne&key=ab%2Bcd+ef; no such key: ab+cd ef"),
            expected
        );
    }

    #[test]
    fn tokens_in_a_path_are_redacted() {
        let mut config = ExporterConfig::default();
        let endpoint = "http://c:4318/receiver/v1/otlp/ZaVnC4dhaV2%2FnFmRUkCPy0/v1/traces";
        config.set_collector(endpoint.to_owned(), Protocol::HttpProtobuf).expect("a URL");
        let secrets = Secrets::of(config.otlp().expect("a valid configuration"), None);
        let text = secrets.redact(&format!("error for url ({endpoint}): no source ZaVnC4dhaV2/nFmRUkCPy0"));
        assert_eq!(text, "error for url (http://c:4318/receiver/v1/otlp/…/v1/traces): no source …");
    }
}
