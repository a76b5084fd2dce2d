//! TLS to the collector. The PEM files are read once, when the exporter is built.

use std::error::Error as _;
use std::fs;

use reqwest::ClientBuilder;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::telemetry::config::{ConfigError, TlsFile, TlsFiles};
use crate::telemetry::text::chain;

const CERTIFICATES: &str = "a PEM file with certificates";
const KEY: &str = "a PEM file with the private key of the client certificate";

/// The content of the PEM files.
pub(super) struct Tls {
    /// CA certificates to use instead of the system's.
    ca_certificates: Option<Vec<u8>>,
    /// A certificate and its key (mTLS).
    client_identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    /// Reads and validates the files.
    pub(super) fn read(files: &TlsFiles, identity: Option<(&TlsFile, &TlsFile)>) -> Result<Self, ConfigError> {
        let ca_certificates = files.ca_certificates.as_ref().map(read_authorities).transpose()?;
        let client_identity = match identity {
            Some((certificate, key)) => {
                let identity = (read_certificates(certificate)?, read(key, KEY)?);
                let parsed = reqwest::Identity::from_pem(&joined(&identity)).map_err(|_| wrong(key, KEY))?;
                if let Err(reason) = check(|client| client.identity(parsed).tls_certs_only([])) {
                    let expected = format!("a certificate that belongs to the key in `{}` ({reason})", key.value);
                    return Err(wrong(certificate, &expected));
                }
                Some(identity)
            }
            None => None,
        };
        Ok(Self { ca_certificates, client_identity })
    }

    pub(super) fn grpc(&self, endpoint: Endpoint) -> Result<Endpoint, tonic::transport::Error> {
        let mut tls = ClientTlsConfig::new();
        tls = match &self.ca_certificates {
            Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
            None => tls.with_native_roots(),
        };
        if let Some((certificate, key)) = &self.client_identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        endpoint.tls_config(tls)
    }

    pub(super) fn http(&self, mut client: ClientBuilder) -> reqwest::Result<ClientBuilder> {
        if let Some(pem) = &self.ca_certificates {
            client = client.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem)?);
        }
        if let Some(identity) = &self.client_identity {
            client = client.identity(reqwest::Identity::from_pem(&joined(identity))?);
        }
        Ok(client)
    }
}

/// A client for `http://`, which must not fail on a system without CA certificates.
pub(super) fn disabled(client: ClientBuilder) -> ClientBuilder {
    client.tls_certs_only([])
}

fn read_certificates(file: &TlsFile) -> Result<Vec<u8>, ConfigError> {
    let pem = read(file, CERTIFICATES)?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(list) if !list.is_empty() => Ok(pem),
        _ => Err(wrong(file, CERTIFICATES)),
    }
}

fn read_authorities(file: &TlsFile) -> Result<Vec<u8>, ConfigError> {
    let pem = read_certificates(file)?;
    let list = reqwest::Certificate::from_pem_bundle(&pem).map_err(|_| wrong(file, CERTIFICATES))?;
    match check(|client| client.tls_certs_only(list)) {
        Ok(()) => Ok(pem),
        Err(reason) => Err(wrong(file, &format!("{CERTIFICATES} ({reason})"))),
    }
}

/// Checks that a client can use the content of the files: valid PEM need not contain a valid certificate or key.
/// Without this check, a gRPC channel would ignore a certificate that it cannot parse, and an HTTP client would
/// attribute the error to the endpoint.
fn check(set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<(), String> {
    let built = set(reqwest::Client::builder().no_proxy()).build();
    built.map(drop).map_err(|error| error.source().map_or_else(|| chain(&error), chain))
}

fn read(file: &TlsFile, expected: &'static str) -> Result<Vec<u8>, ConfigError> {
    fs::read(&file.value).map_err(|error| ConfigError::new(file.name, &file.value, format!("{expected} ({error})")))
}

fn wrong(file: &TlsFile, expected: &str) -> ConfigError {
    ConfigError::new(file.name, &file.value, expected)
}

fn joined((certificate, key): &(Vec<u8>, Vec<u8>)) -> Vec<u8> {
    [certificate, &b"\n"[..], key].concat()
}
