//! Encrypted connections to the collector.
//!
//! The files that the `OTEL_*` variables name are read once, when tracing is set up.

use std::fs;

use reqwest::ClientBuilder;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use super::env::{TlsFile, TlsFiles, VariableError};
use super::error::InitError;

const CERTIFICATES: &str = "a file with certificates in PEM";
const KEY: &str = "a file with a private key in PEM, of the certificate that is named beside it";

/// What the files hold.
pub(super) struct Tls {
    authorities: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Tls {
    /// Reads the files, and looks whether they are what they should be.
    pub(super) fn read(files: &TlsFiles) -> Result<Self, InitError> {
        let authorities = files.authorities.as_ref().map(certificates).transpose()?;
        let identity = match &files.identity {
            Some((certificate, key)) => {
                let both = (certificates(certificate)?, content(key, KEY)?);
                reqwest::Identity::from_pem(&joined(&both)).map_err(|_| wrong(key, KEY))?;
                Some(both)
            }
            None => None,
        };
        Ok(Self { authorities, identity })
    }

    pub(super) fn grpc(&self, endpoint: Endpoint) -> Result<Endpoint, tonic::transport::Error> {
        let mut tls = ClientTlsConfig::new();
        tls = match &self.authorities {
            Some(pem) => tls.ca_certificate(Certificate::from_pem(pem)),
            None => tls.with_native_roots(),
        };
        if let Some((certificate, key)) = &self.identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        endpoint.tls_config(tls)
    }

    pub(super) fn http(&self, mut client: ClientBuilder) -> reqwest::Result<ClientBuilder> {
        if let Some(pem) = &self.authorities {
            client = client.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem)?);
        }
        if let Some(identity) = &self.identity {
            client = client.identity(reqwest::Identity::from_pem(&joined(identity))?);
        }
        Ok(client)
    }
}

/// A client that will not need the certificates of this machine, which may have none.
pub(super) fn none(client: ClientBuilder) -> ClientBuilder {
    client.tls_certs_only([])
}

fn certificates(file: &TlsFile) -> Result<Vec<u8>, VariableError> {
    let pem = content(file, CERTIFICATES)?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(list) if !list.is_empty() => Ok(pem),
        _ => Err(wrong(file, CERTIFICATES)),
    }
}

fn content(file: &TlsFile, expected: &'static str) -> Result<Vec<u8>, VariableError> {
    fs::read(&file.path).map_err(|error| {
        VariableError::new(file.variable, &file.path, format!("{expected}, which can be read ({error})"))
    })
}

fn wrong(file: &TlsFile, expected: &'static str) -> VariableError {
    VariableError::new(file.variable, &file.path, expected)
}

fn joined((certificate, key): &(Vec<u8>, Vec<u8>)) -> Vec<u8> {
    [certificate, &b"\n"[..], key].concat()
}
